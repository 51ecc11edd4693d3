"""The derived index: the JSON side as SQL tables, for lists, search, filter and sort, and for following links.

A SQLite file below ``<DATA_DIR>.tandem/``. It holds nothing that is not in the files, notices by mtime, size and
inode when somebody else changed one, and can be deleted at any time.
"""

import contextlib
import threading
import time
from collections.abc import Collection, Iterable, Iterator

import sqlalchemy as sa
from sqlalchemy import Connection

from store import capture
from store.database import Database, create_tables, translated
from store.errors import DatabaseError, DatabaseHeldError, LockedError, ReadOnlyError, UnreadableError
from store.files import behind, intake, logs
from store.files.intake import LOG, SETTLED_NS, Intake, own_changes, unreadable
from store.files.layout import SHELVES
from store.files.replace import Write
from store.files.shelves import Entity
from store.files.side import JsonSide
from store.files.system import Signature, told_as_json_side
from store.statements import Statement, among

VERSION = "4"  # another version's index is thrown away
FULL_LOOK_S = 2.0  # a file changed in place, without its folder changing, is noticed in lists after at most so long
READ_WAIT_S = 1.0  # a reader waits so long for who is writing; then it sees what was there before

# Lists read these instead of the rows with their long texts: in order, and with what is searched.
_FOR_LISTS = [
    f"CREATE INDEX index_{table}_{name} ON {table} ({key}, id, {searched})"
    for table, searched in (("characters", "name, title"), ("personas", "name, title"))
    for name, key in (("name", "name COLLATE NOCASE"), ("createdAt", '"createdAt"'), ("updatedAt", '"updatedAt"'))
]

_SIGNED = ("path", *Signature._fields)
_KNOWN = Statement(
    lambda dialect: sa.select(*(intake.files.c[name] for name in _SIGNED)).where(
        among(dialect, intake.files.c.path, "paths")
    )
)


class JsonIndex:
    """The index of one JSON side. ``database`` has Quilltap's tables, with their rules, filled from the files."""

    def __init__(self, side: JsonSide) -> None:
        self._side = side
        self._path = side.own_dir / "index.sqlite"
        self._mutex = threading.RLock()
        self._looked_at = float("-inf")
        self._places = {folder: side.data_dir / folder for shelf in SHELVES.values() for folder in shelf.folders()}
        self._folders: dict[str, tuple[int, int] | None] = {}
        self.database = self._open()

    def _open(self) -> Database:
        for attempt in (1, 2):
            database = Database(f"sqlite:///{self._path}", durable=False)
            try:
                with database.write() as connection:
                    connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS index_version (version TEXT)")
                    version = connection.exec_driver_sql("SELECT version FROM index_version").scalar()
                    if version is None:
                        create_tables(connection)
                        database.own.metadata.create_all(connection)
                        for metadata in (intake.metadata, behind.metadata):
                            metadata.create_all(connection)
                        for statement in _FOR_LISTS:
                            connection.exec_driver_sql(statement)
                        connection.exec_driver_sql("INSERT INTO index_version VALUES (?)", (VERSION,))
                    capture.install(connection)
                if version in (None, VERSION):
                    return database
            except DatabaseError as error:
                if attempt == 2 or isinstance(error, DatabaseHeldError):  # that one may be filling it
                    database.close()
                    raise
            # Another version's, or damaged: it is only derived.
            database.close()
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        return self._open()

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    # ------------------------------------------------------------------ looking for changes
    def refresh(self, entities: Iterable[Entity] = (), *, full: bool = False, thorough: bool = False) -> None:
        """Take in what changed in the files. Raises JsonSideError when the folder cannot be read.

        Without ``full`` a look at the folders is enough while nothing is added, replaced or removed in them, and the
        files of ``entities`` are looked at in any case. With ``thorough`` every file is read, also one that looks as it
        did: a disk can lose bits, and a program can set a time back. While another writes for long, what was there
        before is kept: a change of several files is seen as a whole or not at all.
        """
        if not full and not thorough and self._is_quiet(list(entities)):
            return
        try:
            with self._side.lock.hold(READ_WAIT_S):
                self._side.journal.recover(changing=False)
                self.take_in(thorough=thorough)
        except LockedError:
            if not self._filled():
                raise
        except ReadOnlyError:  # then there is no writer either, and no journal could be carried out
            if self._side.journal.is_there():
                raise
            self.take_in(thorough=thorough)

    def _is_quiet(self, entities: Collection[Entity]) -> bool:
        with self._mutex, told_as_json_side(self._side.data_dir):
            if not self._path.exists() or time.monotonic() - self._looked_at > FULL_LOOK_S:
                return False
            folders = self._folder_times()
            return folders == self._folders and None not in folders.values() and not self._moved(entities)

    def _filled(self) -> bool:
        with self._mutex:
            return self._path.exists() and self._looked_at != float("-inf")

    def take_in(self, *, thorough: bool = False) -> None:
        """Look at every file, and read what is not as it was, or with ``thorough`` all of them. The caller holds the
        store lock, and has carried out what was in the journal."""
        with self._mutex, told_as_json_side(self._side.data_dir):
            if not self._path.exists():  # deleted by hand
                self.database.close()
                self.database = self._open()
            now, folders = time.monotonic(), self._folder_times()
            with self._without_foreign_keys() as connection:
                taking = Intake(self._side, connection)
                with own_changes(connection, self.database.own.outbox, taking):
                    if first := taking.is_first():  # then there may be much, and no change of it is to be noted
                        capture.remove(connection)
                    taking.take_in(thorough=thorough)
                    if first:
                        capture.install(connection)
                behind.add(connection, taking.changed)
            self._looked_at, self._folders = now, folders

    def _folder_times(self) -> dict[str, tuple[int, int] | None]:
        """mtime and inode per folder; None where it changed so lately that it may do so again unseen."""
        times: dict[str, tuple[int, int] | None] = {}
        for folder, place in self._places.items():
            try:
                status = self._side.system.signature(place)
            except FileNotFoundError:
                times[folder] = (0, 0)
                continue
            settled = time.time_ns() - status.mtime_ns > SETTLED_NS
            times[folder] = (status.mtime_ns, status.inode) if settled else None
        return times

    def _moved(self, entities: Collection[Entity]) -> bool:
        """Whether a file that may hold one of these records is not as it was."""
        paths = {path for kind, record_id in entities for path in SHELVES[kind].paths(record_id)}
        paths |= {logs.log_path(record_id) for kind, record_id in entities if kind == "chat"}
        if not paths:
            return False
        with self.database.read() as connection:
            known = {path: Signature(*known) for path, *known in _KNOWN.read(connection, paths=list(paths))}
        for path in paths:
            try:
                current = self._side.system.signature(self._side.data_dir / path)
            except FileNotFoundError:
                current = None
            if current != known.get(path):
                return True
        return False

    @contextlib.contextmanager
    def _without_foreign_keys(self) -> Iterator[Connection]:
        """Files may name records that are not there; they are taken in as they are."""
        with translated(), self.database.engine.connect() as raw:
            driver = raw.connection.driver_connection
            assert driver is not None
            driver.execute("PRAGMA foreign_keys=OFF")
            try:
                connection = raw.execution_options(tandem_write=True)
                with connection.begin():
                    yield connection
            finally:
                driver.execute("PRAGMA foreign_keys=ON")

    def wrote(self, connection: Connection, files: dict[str, Write], signatures: dict[str, Signature | None]) -> None:
        """Note what the files hold now that we wrote them, within the caller's transaction."""
        Intake(self._side, connection).wrote(files, signatures)

    def knows(self, connection: Connection, path: str) -> bool:
        """Whether a chat's file is still the one whose messages the index holds; a missing one, when it holds none. The
        caller holds the store lock."""
        with told_as_json_side(self._side.data_dir):
            return Intake(self._side, connection).knows(path)

    # ------------------------------------------------------------------ what cannot be read
    def problems(self, kinds: Iterable[str] = (*SHELVES, LOG)) -> list[UnreadableError]:
        """Every file or record that the last look could not read."""
        first = {SHELVES[kind].kinds[0] if kind in SHELVES else kind for kind in kinds}
        of_kinds = sa.select(unreadable).where(unreadable.c.kind.in_(first))
        with self.database.read() as connection:
            found = connection.execute(of_kinds.order_by(unreadable.c.path, unreadable.c.line)).all()
        return [UnreadableError(row.path, row.reason, line=row.line) for row in found]

    def problem(self, kind: str, record_id: str) -> UnreadableError | None:
        """Why this record may be there and cannot be read; None when nothing speaks for that."""
        with self.database.read() as connection:
            return self.problem_in(connection, kind, record_id)

    @staticmethod
    def problem_in(connection: Connection, kind: str, record_id: str) -> UnreadableError | None:
        """The same, within the caller's transaction. Of a message it cannot be told which chat's file it may be in."""
        column = unreadable.c
        here: sa.ColumnElement[bool]
        if kind == capture.MESSAGE:
            here = sa.and_(column.path.startswith(f"{logs.FOLDER}/"), column.path != logs.INDEX)
        elif kind == LOG:
            here = column.path == logs.log_path(record_id)
        else:
            # A whole file that is bad may hold any of its records.
            paths = SHELVES[kind].paths(record_id)
            named = sa.or_(column.id == record_id, sa.and_(column.id.is_(None), column.path.in_(paths)))
            here = sa.and_(column.kind == SHELVES[kind].kinds[0], named)
        row = connection.execute(sa.select(unreadable).where(here)).first()
        return UnreadableError(row.path, row.reason, line=row.line) if row else None
