"""One SQL database, SQLite or PostgreSQL: its connections, its transactions, its tables, and its refusals as
sentences."""

import contextlib
import functools
import logging
import math
import re
import select
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import psycopg
import sqlalchemy as sa
from sqlalchemy import Connection, Dialect, Engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from store.enums import ENUMS
from store.errors import (
    DatabaseError,
    DatabaseHeldError,
    DuplicateError,
    InvalidValueError,
    MissingReferenceError,
    StillInUseError,
    StoreError,
)
from store.statements import Statement, spell
from store.streaming import TEXT
from store.tables import MODELS, db
from store.tables.tandem import SCHEMA, own_tables

log = logging.getLogger("tandem.database")

BUSY_MS = 15_000  # how long a SQLite writer waits for another one
TRUSTED_S = 1.0  # a connection that rested no longer than this is there, unless its server said that it is not
# What Prisma reads from a connection string and libpq does not know.
_PRISMA_ONLY = {"schema", "connection_limit", "pool_timeout", "pgbouncer", "socket_timeout", "statement_cache_size"}


class Database:
    """An open database. ``own`` are Tandem's tables under the names they have in it."""

    def __init__(self, url: str, *, durable: bool = True) -> None:
        """``durable`` False leaves out the sync of each commit on SQLite: for what can be rebuilt."""
        self._url = url
        self.engine = _make_engine(url, durable=durable)
        self.dialect = self.engine.dialect.name
        self.own = own_tables(self.dialect)

    @contextlib.contextmanager
    def session(self, at_hand: "Session | None" = None) -> Iterator["Session"]:
        """One connection for several transactions, one after the other: the one ``at_hand``, where it is given."""
        with translated():
            if at_hand is not None:
                yield at_hand
                return
            with self.engine.connect() as connection:
                yield Session(connection)

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot: every statement inside sees the same state."""
        with self.session() as session, session.read() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction that may write, committed durably at its end and rolled back by an error."""
        with self.session() as session, session.write() as connection:
            yield connection

    def prepare(self) -> None:
        """Give an empty database Quilltap's tables, and bring Tandem's own up to date. A Quilltap database is not
        altered.

        Raises DatabaseError when some of Quilltap's tables are there and others are not.
        """
        with translated(), self.engine.connect() as connection, connection.begin():
            present = set(sa.inspect(connection).get_table_names())
            missing = [table.name for table in MODELS.values() if table.name not in present]
            if len(missing) == len(MODELS):
                create_tables(connection)
            elif missing:
                raise DatabaseError(
                    f"The database has Quilltap's tables but for {', '.join(missing)}.",
                    hint="Bring Quilltap's own schema up to 0.7.0 first (prisma migrate deploy), then start again.",
                )
            if self.dialect == "postgresql":
                connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            config = alembic.config.Config()
            config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, "head")

    def size(self, connection: Connection) -> int:
        """How many bytes it takes on its disk."""
        if self.dialect == "postgresql":
            return int(connection.scalar(sa.text("SELECT pg_database_size(current_database())")) or 0)
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar() or 0
        return int(pages * (connection.exec_driver_sql("PRAGMA page_size").scalar() or 0))

    def for_others(self) -> tuple[str, dict[str, Any]] | None:
        """The dialect, and what its driver needs in another process to connect to the same database; None where it
        cannot, for it lies in this one's memory."""
        url, options = _options(self._url)
        if self.dialect == "postgresql":
            told = self.engine.dialect.create_connect_args(url)[1]
            return self.dialect, {**{name: one for name, one in told.items() if isinstance(one, str | int)}, **options}
        is_file = url.database and url.database != ":memory:" and not url.query
        return (self.dialect, {"database": url.database, **options}) if is_file else None

    def get_state(self, key: str) -> str | None:
        """A value Tandem remembers under ``key``; None when there is none."""
        state = self.own.state
        with self.read() as connection:
            value: str | None = connection.scalar(sa.select(state.c.value).where(state.c.key == key))
        return value

    def set_state(self, key: str, value: str | None) -> None:
        """Remember ``value`` under ``key``; None forgets it."""
        state = self.own.state
        with self.write() as connection:
            connection.execute(sa.delete(state).where(state.c.key == key))
            if value is not None:
                connection.execute(sa.insert(state).values(key=key, value=value))

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


class Session:
    """A connection between transactions."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name
        self._isolation = ""

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot: every statement inside sees the same state."""
        self._isolate("REPEATABLE READ")
        with self._connection.begin():
            yield self._connection

    @contextlib.contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Connection]:
        """One transaction that may write, committed at its end and rolled back by an error.

        With ``durable`` False a power cut may undo it after the commit (never a part of it): for acknowledgements that
        can safely come back.
        """
        connection = self._connection
        if self._dialect == "postgresql":
            self._isolate("READ COMMITTED")
            with connection.begin():
                if not durable:
                    connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
                yield connection
            return
        connection.execution_options(tandem_write=True)
        try:
            if not durable:
                self._pragma("synchronous=NORMAL")
            with connection.begin():
                yield connection
        finally:
            connection.execution_options(tandem_write=False)
            if not durable:
                self._pragma("synchronous=FULL")

    def change_lazily(self, statement: Statement, **given: Any) -> None:
        """Carry out one statement that gives no rows, in a transaction of its own that is not durable by itself."""
        if self._dialect == "postgresql":
            self._isolate("READ COMMITTED")
            with self._connection.begin():
                spelled = spell(self._connection, statement, given)
                self._connection.exec_driver_sql(f"SET LOCAL synchronous_commit = off; {spelled}")
            return
        with self.write(durable=False) as connection:
            statement.change(connection, **given)

    def _isolate(self, level: str) -> None:
        """What the next transactions see, on PostgreSQL."""
        if self._dialect == "postgresql" and self._isolation != level:
            self._connection.execution_options(isolation_level=level)
            self._isolation = level

    def _pragma(self, setting: str) -> None:
        driver: Any = self._connection.connection.driver_connection
        driver.execute(f"PRAGMA {setting}").close()


def create_tables(connection: Connection) -> None:
    """Make Quilltap's 23 tables (and on PostgreSQL its five enum types) in a database that has none of them."""
    if connection.dialect.name == "postgresql":
        for name, values in ENUMS.items():
            labels = ", ".join(f"'{value}'" for value in values)
            connection.exec_driver_sql(f'CREATE TYPE "{name}" AS ENUM ({labels})')
    db.metadata.create_all(connection)


def containing(connection: Connection, column: sa.ColumnElement[Any], search: str) -> sa.ColumnElement[bool]:
    """Whether a text is in a column, without regard to case."""
    if connection.dialect.name == "sqlite" and not search.isascii():
        # SQLite's LIKE folds the case of ASCII only.
        return sa.func.instr(sa.func.tandem_casefold(column), search.casefold()) > 0
    escaped = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    if connection.dialect.name == "sqlite":
        return column.like(f"%{escaped}%", escape="\\")
    return column.ilike(f"%{escaped}%", escape="\\")


def _options(url: str) -> tuple[sa.URL, dict[str, Any]]:
    """The address as libpq knows it, and what the driver is told besides."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        schema = parsed.query.get("schema")
        parsed = parsed.difference_update_query(_PRISMA_ONLY)
        # ISO dates in UTC, whatever the server's defaults are: moments are read as text.
        settings = f"{parsed.query.get('options', '')} -c DateStyle=ISO -c TimeZone=UTC".lstrip()
        if isinstance(schema, str) and re.fullmatch(r"\w+", schema):
            settings += f" -c search_path={schema},public"
        return parsed, {"options": settings}
    return parsed, {"timeout": BUSY_MS / 1000}


def _make_engine(url: str, *, durable: bool) -> Engine:
    parsed, options = _options(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Values stay out of messages and logs: they may be secrets.
    engine = sa.create_engine(parsed, hide_parameters=True, connect_args=options)
    if engine.dialect.name == "postgresql":
        event.listen(engine, "checkin", _on_postgresql_rest)
        event.listen(engine, "checkout", functools.partial(_on_postgresql_checkout, engine.dialect))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _on_sqlite_connect if durable else _on_sqlite_connect_lazily)
        event.listen(engine, "begin", _on_sqlite_begin)
    return engine


def _on_postgresql_rest(connection: object, record: ConnectionPoolEntry) -> None:
    record.info["rests_since"] = time.monotonic()


def _on_postgresql_checkout(dialect: Dialect, connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
    """A database that was restarted is simply connected to again. A server that ends says so to the connections that
    rest; only after a longer rest is it worth a round trip to ask."""
    try:
        said = select.poll()
        said.register(connection.fileno(), select.POLLIN)
        gone = bool(said.poll(0))
        if not gone and time.monotonic() - record.info.get("rests_since", math.inf) > TRUSTED_S:
            dialect.do_ping(connection)
    except (psycopg.Error, OSError):
        gone = True
    if gone:
        raise DisconnectionError


def _on_sqlite_connect(connection: Any, _record: object) -> None:
    connection.text_factory = TEXT
    connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "recursive_triggers=ON"):
        connection.execute(f"PRAGMA {pragma}").close()
    connection.create_function("tandem_casefold", 1, lambda text: text and text.casefold(), deterministic=True)


def _on_sqlite_connect_lazily(connection: Any, record: object) -> None:
    _on_sqlite_connect(connection, record)
    connection.execute("PRAGMA synchronous=NORMAL").close()


def _on_sqlite_begin(connection: Connection) -> None:
    # A writer takes the write lock at once: one that first read and then wrote could be refused half-way.
    immediate = connection.get_execution_options().get("tandem_write")
    driver: Any = connection.connection.driver_connection
    driver.execute("BEGIN IMMEDIATE" if immediate else "BEGIN").close()


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into the store's: a sentence, a next step, and the driver's own words on
    ``__cause__``."""
    try:
        yield
    except IntegrityError as error:
        raise _refusal(error) from error
    except UnicodeEncodeError as error:
        raise InvalidValueError("A text holds half a character (a lone surrogate), which no database takes.") from error
    except (DBAPIError, sqlite3.Error, psycopg.Error) as error:
        log.warning("The database refused: %s", error)
        text = str(getattr(error, "orig", error)).lower()
        if "readonly" in text or "read-only" in text:
            raise DatabaseError("The database is read-only.", hint="Make it writable and try again.") from error
        if "full" in text or "space" in text:
            raise DatabaseError("The database's disk is full.", hint="Free some space and try again.") from error
        if "locked" in text:
            raise DatabaseHeldError("Another program holds the database.") from error
        raise DatabaseError("The database did not carry it out.") from error
    except SQLAlchemyError as error:
        log.warning("The database refused: %s", error)
        raise DatabaseError("The database did not carry it out.") from error


def _refusal(error: IntegrityError) -> StoreError:
    """What a broken constraint means to a person."""
    text = str(error.orig)
    state = getattr(error.orig, "sqlstate", None)
    if state == "23505" or "UNIQUE" in text:
        columns = re.findall(r"Key \((.*?)\)=", text) or re.findall(r"\w+\.(\w+)", text)
        named = ", ".join(column.replace('"', "") for column in columns) or "value"
        return DuplicateError(f"There is already a record with this {named}.")
    if state == "23001" or (state == "23503" and "still referenced" in text):
        return StillInUseError("Other records still need this one.")
    if state == "23503" or "FOREIGN KEY" in text:
        # SQLite does not say which link broke, nor in which direction; the repository knows what it was doing.
        return MissingReferenceError("A linked record does not exist (any more).")
    if state == "23502" or "NOT NULL" in text:
        return DatabaseError("A required value is missing.", hint="Fill in every required field and save again.")
    return DatabaseError(
        "The database refused the change.", hint="Look at the log for the reason; nothing was written."
    )
