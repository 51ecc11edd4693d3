"""The derived index: the JSON side as SQL tables, for lists, search, filter and sort, and for following links.

A SQLite file below ``<DATA_DIR>.tandem/``. It holds nothing that is not in the files, notices by mtime, size and
inode when somebody else changed one, and can be deleted at any time.
"""

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator

import sqlalchemy as sa
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text
from sqlalchemy.exc import IntegrityError

from store import capture, rows
from store.database import Database, create_tables, translated
from store.errors import DatabaseError, UnreadableError
from store.files.layout import SHELVES
from store.files.shelves import Entry, read_or_none
from store.files.side import JsonSide, record_of
from store.files.system import Signature, told_as_json_side
from store.mapping import MAPPINGS

VERSION = "2"  # another version's index is thrown away
FULL_LOOK_S = 2.0  # a file changed in place, without its folder changing, is noticed in lists after at most so long
# A file (or folder) may change again within one tick of the kernel's clock and show the same time.
SETTLED_NS = 50_000_000

_metadata = MetaData()
_files = Table(
    "index_files",
    _metadata,
    Column("path", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("mtime_ns", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("inode", Integer, nullable=False),
)
_entries = Table(
    "index_entries",
    _metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("path", Text, nullable=False, index=True),
)
_unreadable = Table(
    "index_unreadable",
    _metadata,
    Column("path", Text, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("id", Text),
    Column("line", Integer),
    Column("reason", Text, nullable=False),
)

# Lists read these instead of the rows with their long texts: in order, and with what is searched.
_FOR_LISTS = [
    f"CREATE INDEX index_{table}_{name} ON {table} ({key}, id, {searched})"
    for table, searched in (("characters", "name, title"), ("personas", "name, title"))
    for name, key in (("name", "name COLLATE NOCASE"), ("createdAt", '"createdAt"'), ("updatedAt", '"updatedAt"'))
]


class JsonIndex:
    """The index of one JSON side. ``database`` has Quilltap's tables, with their rules, filled from the files."""

    def __init__(self, side: JsonSide) -> None:
        self._side = side
        self._path = side.own_dir / "index.sqlite"
        self._mutex = threading.RLock()
        self._looked_at = float("-inf")
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
                        _metadata.create_all(connection)
                        for statement in _FOR_LISTS:
                            connection.exec_driver_sql(statement)
                        connection.exec_driver_sql(f"INSERT INTO index_version VALUES ('{VERSION}')")
                    capture.install(connection)
                if version in (None, VERSION):
                    return database
            except DatabaseError:
                if attempt == 2:
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
    def refresh(self, entities: Iterable[tuple[str, str]] = (), *, full: bool = False) -> None:
        """Take in what changed in the files. Raises JsonSideError when the folder cannot be read.

        Without ``full`` a look at the folders is enough while nothing is added, replaced or removed in them, and the
        files of ``entities`` are looked at in any case.
        """
        with self._mutex, told_as_json_side(self._side.data_dir):
            if not self._path.exists():  # deleted by hand
                self.database.close()
                self.database = self._open()
                full = True
            now = time.monotonic()
            folders = self._folder_times()
            quiet = folders == self._folders and None not in folders.values()
            if full or not quiet or now - self._looked_at > FULL_LOOK_S or self._moved(entities):
                self._take_in()
                self._looked_at, self._folders = now, folders

    def _folder_times(self) -> dict[str, tuple[int, int] | None]:
        """mtime and inode per folder; None where it changed so lately that it may do so again unseen."""
        times: dict[str, tuple[int, int] | None] = {}
        for shelf in SHELVES.values():
            for folder in shelf.folders():
                try:
                    status = self._side.system.signature(self._side.data_dir / folder)
                except FileNotFoundError:
                    times[folder] = (0, 0)
                    continue
                settled = time.time_ns() - status.mtime_ns > SETTLED_NS
                times[folder] = (status.mtime_ns, status.inode) if settled else None
        return times

    def _moved(self, entities: Iterable[tuple[str, str]]) -> bool:
        """Whether a file that may hold one of these records is not as it was."""
        paths = {path for kind, record_id in entities for path in SHELVES[kind].paths(record_id)}
        if not paths:
            return False
        with self.database.read() as connection:
            known = {
                row.path: Signature(row.mtime_ns, row.size, row.inode)
                for row in connection.execute(sa.select(_files).where(_files.c.path.in_(paths)))
            }
        for path in paths:
            try:
                current = self._side.system.signature(self._side.data_dir / path)
            except FileNotFoundError:
                current = None
            if current != known.get(path):
                return True
        return False

    def _take_in(self) -> None:
        with self._without_foreign_keys() as connection:
            before = connection.scalar(sa.select(sa.func.max(self.database.own.outbox.c.seq))) or 0
            known = {
                row.path: Signature(row.mtime_ns, row.size, row.inode) for row in connection.execute(sa.select(_files))
            }
            for kind in SHELVES:
                present = dict(self._side.files(kind))
                mine = set(connection.scalars(sa.select(_files.c.path).where(_files.c.kind == kind)))
                changed = [path for path, signature in present.items() if known.get(path) != signature]
                self._forget(connection, kind, [*changed, *(mine - present.keys())])
                for path in changed:
                    self._read_in(connection, kind, path, present[path])
            # Our own reading is no change that would have to be written back.
            connection.execute(sa.delete(self.database.own.outbox).where(self.database.own.outbox.c.seq > before))

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

    def _forget(self, connection: Connection, kind: str, paths: list[str]) -> None:
        mapping = MAPPINGS[kind]
        for some in rows.chunks(paths):
            ids = list(connection.scalars(sa.select(_entries.c.id).where(_entries.c.path.in_(some))))
            for child in (*mapping.children, mapping.tables[0]):
                for few in rows.chunks(ids):
                    connection.execute(sa.delete(child.table).where(child.table.c[child.column].in_(few)))
            for table in (_entries, _unreadable, _files):
                connection.execute(sa.delete(table).where(table.c.path.in_(some)))

    def _read_in(self, connection: Connection, kind: str, path: str, signature: Signature) -> None:
        refused = False
        try:
            data = read_or_none(self._side.system, self._side.data_dir, path)
            entries, bad = SHELVES[kind].parse(path, data) if data is not None else ([], [])
        except UnreadableError as error:
            entries, bad = [], [(None, error)]
            refused = isinstance(error.__cause__, OSError)  # by the system, perhaps for a moment: not by what it holds
        bad += [(entry.id, taken) for entry in entries if (taken := self._add(connection, kind, path, entry))]
        for record_id, problem in bad:
            values = {"path": path, "kind": kind, "id": record_id, "line": problem.line, "reason": problem.reason}
            connection.execute(sa.insert(_unreadable).values(values))
        settled = not refused and time.time_ns() - signature.mtime_ns > SETTLED_NS
        connection.execute(
            sa.insert(_files).values(
                path=path,
                kind=kind,
                mtime_ns=signature.mtime_ns if settled else 0,  # 0 never matches: it is read once more
                size=signature.size,
                inode=signature.inode,
            )
        )

    def _add(self, connection: Connection, kind: str, path: str, entry: Entry) -> UnreadableError | None:
        mapping = MAPPINGS[kind]
        try:
            with connection.begin_nested():
                rows.insert(connection, mapping, mapping.to_rows(record_of(entry)))
                connection.execute(sa.insert(_entries).values(kind=kind, id=entry.id, path=path))
        except IntegrityError:
            return UnreadableError(path, f"the {kind} {entry.id} takes an id or a name that another record has")
        return None

    def wrote(self, connection: Connection, files: dict[str, bytes | None]) -> None:
        """Note which records the files hold now that we wrote them. They are read once more at the next look."""
        for kind, shelf in SHELVES.items():
            prefixes = tuple(f"{folder}/" for folder in shelf.folders())
            for path, data in files.items():
                if not path.startswith(prefixes):
                    continue
                for table in (_entries, _files, _unreadable):
                    connection.execute(sa.delete(table).where(table.c.path == path))
                entries = shelf.parse(path, data)[0] if data is not None else []
                for some in rows.chunks([entry.id for entry in entries]):
                    here = sa.and_(_entries.c.kind == kind, _entries.c.id.in_(some))
                    connection.execute(sa.delete(_entries).where(here))
                    connection.execute(sa.insert(_entries), [{"kind": kind, "id": one, "path": path} for one in some])

    # ------------------------------------------------------------------ what cannot be read
    def problems(self, kinds: Iterable[str] = SHELVES) -> list[UnreadableError]:
        """Every file or record that the last look could not read."""
        of_kinds = sa.select(_unreadable).where(_unreadable.c.kind.in_(list(kinds)))
        with self.database.read() as connection:
            found = connection.execute(of_kinds.order_by(_unreadable.c.path, _unreadable.c.line)).all()
        return [UnreadableError(row.path, row.reason, line=row.line) for row in found]

    def problem(self, kind: str, record_id: str) -> UnreadableError | None:
        """Why this record may be there and cannot be read; None when nothing speaks for that."""
        paths = SHELVES[kind].paths(record_id)
        column = _unreadable.c
        # A whole file that is bad may hold any of its records.
        named = sa.or_(column.id == record_id, sa.and_(column.id.is_(None), column.path.in_(paths)))
        with self.database.read() as connection:
            row = connection.execute(sa.select(_unreadable).where(column.kind == kind, named)).first()
        return UnreadableError(row.path, row.reason, line=row.line) if row else None
