"""What all tables share: the Flask-SQLAlchemy object, Quilltap's four special column types, and column helpers.

Values leave and enter the database in the plain forms of the documents: a moment is ``YYYY-MM-DDTHH:MM:SS.mmmZ``, an
enum its name, JSON an object tree without floats (see ``store.codec``), JSON null the object ``JSON_NULL``.
"""

from typing import Any, Final

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    ForeignKey,
    Index,
    MetaData,
    Text,
    cast,
    false,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import UserDefinedType

from store import codec
from store.errors import InvalidValueError
from store.spelling import spelled


class Database(SQLAlchemy):
    """Flask-SQLAlchemy that uses the open store's engine, so that there is one recipe for connections."""

    def _make_engine(self, bind_key: str | None, options: dict[str, Any], app: Any) -> Any:
        return app.extensions["tandem_store"].database.engine


# The names Prisma gives: <table>_pkey, <table>_<column>_fkey; unique indexes end in _key, others in _idx (see below).
db = Database(
    metadata=MetaData(
        naming_convention={"pk": "%(table_name)s_pkey", "fk": "%(table_name)s_%(column_0_N_name)s_fkey"},
    )
)


class _JsonNull:
    """JSON null in a column: not the same as SQL NULL, which is None."""

    def __repr__(self) -> str:
        return "JSON_NULL"

    def __deepcopy__(self, memo: object) -> "_JsonNull":
        return self


JSON_NULL: Final = _JsonNull()


class Moment(UserDefinedType[str]):
    """TIMESTAMP(3) without zone, always UTC. A stored value of another form comes back as it is, for the document to
    refuse."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "TEXT"

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        # As text, because Python's datetime has no infinity and ends at year 9999: one such row would hide the others.
        return type_coerce(cast(column, Text), self)

    def bind_processor(self, dialect: Dialect) -> Any:
        def to_sql(value: str | None) -> str | None:
            # SQLite keeps text and compares it as text, so there is one spelling; PostgreSQL reads the ISO form.
            return None if value is None else f"{value[:10]} {value[11:23]}000"

        return to_sql

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        return spelled


class FreeForm(UserDefinedType[Any]):
    """Free-form JSON: JSONB on PostgreSQL, JSON text on SQLite (declared JSON, SQLite would turn 1.0 into 1)."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "TEXT"

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return type_coerce(cast(column, Text), self)

    def bind_processor(self, dialect: Dialect) -> Any:
        def to_sql(value: Any) -> str | None:
            return None if value is None else codec.dumps(None if value is JSON_NULL else value).decode()

        return to_sql

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        def from_sql(text: str | None) -> Any:
            if text is None:
                return None
            try:
                value = codec.canonical(codec.loads(text))
            except InvalidValueError as error:
                return Unusable(text, error)
            return JSON_NULL if value is None else value

        return from_sql


class Unusable:
    """A stored value that cannot be brought into its plain form. It travels with its row, so that one bad value hides
    no neighbour."""

    def __init__(self, stored: str, error: InvalidValueError) -> None:
        self.stored, self.error = stored, error


class EnumName(UserDefinedType[str]):
    """One of Quilltap's five enum types on PostgreSQL, its name as text on SQLite. Unknown names are read as they
    are."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        return "TEXT"


@compiles(Moment, "postgresql")
def _moment_on_postgresql(element: Moment, compiler: Any, **_: Any) -> str:
    return "TIMESTAMP(3)"


@compiles(FreeForm, "postgresql")
def _free_form_on_postgresql(element: FreeForm, compiler: Any, **_: Any) -> str:
    return "JSONB"


@compiles(EnumName, "postgresql")
def _enum_on_postgresql(element: EnumName, compiler: Any, **_: Any) -> str:
    return f'"{element.name}"'


class now(FunctionElement[str]):
    """The database's clock, in the column's own form."""

    inherit_cache = True
    type = Moment()


@compiles(now)
def _now(element: now, compiler: Any, **_: Any) -> str:
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


@compiles(now, "postgresql")
def _now_on_postgresql(element: now, compiler: Any, **_: Any) -> str:
    return "CURRENT_TIMESTAMP"


def identity() -> Column[str]:
    """A record's id: text holding a UUID that the client makes."""
    return Column("id", Text, primary_key=True)


def link(name: str, target: str, ondelete: str, *, nullable: bool = False, primary_key: bool = False) -> Column[Any]:
    """A foreign key to another table's id; every one of Quilltap's follows an update."""
    key = ForeignKey(f"{target}.id", ondelete=ondelete, onupdate="CASCADE")
    return Column(name, Text, key, nullable=nullable, primary_key=primary_key)


def owner() -> Column[str]:
    """The user a record belongs to; it goes with the user."""
    return link("userId", "users", "CASCADE")


def text(name: str, *, nullable: bool = False, default: str | None = None) -> Column[Any]:
    """A text column; Prisma knows one kind only."""
    return Column(name, Text, nullable=nullable, server_default=default)


def flag(name: str, default: Any = None) -> Column[bool]:
    """A boolean that is never null; false by default."""
    return Column(name, Boolean, nullable=False, server_default=false() if default is None else default)


def moment(name: str, *, nullable: bool = False) -> Column[Any]:
    """A moment without a default in the database: whoever writes gives it."""
    return Column(name, Moment, nullable=nullable)


def created() -> Column[str]:
    """When the row was made, by the database's clock where the writer says nothing."""
    return Column("createdAt", Moment, nullable=False, server_default=now())


def unique(table: str, *columns: str) -> Index:
    """Prisma makes uniqueness an index, not a constraint."""
    return Index(f"{table}_{'_'.join(columns)}_key", *columns, unique=True)


def index(table: str, *columns: str) -> Index:
    """A plain index under Prisma's name."""
    return Index(f"{table}_{'_'.join(columns)}_idx", *columns)


def profile_columns(provider: str) -> list[Column[Any]]:
    """What connection profiles and image profiles have in common; they differ in the providers they may name."""
    return [
        identity(),
        owner(),
        text("name"),
        Column("provider", EnumName(provider), nullable=False),
        link("apiKeyId", "api_keys", "SET NULL", nullable=True),
        text("baseUrl", nullable=True),
        text("modelName"),
        Column("parameters", FreeForm, nullable=False, server_default="{}"),
        flag("isDefault"),
        created(),
        moment("updatedAt"),
    ]


def tag_links(table: str, owner_column: str, owner_table: str) -> Any:
    """One of the five tables that tie tags to records."""
    return db.Table(
        table,
        identity(),
        link(owner_column, owner_table, "CASCADE"),
        link("tagId", "tags", "CASCADE"),
        created(),
        unique(table, owner_column, "tagId"),
        index(table, "tagId"),
    )
