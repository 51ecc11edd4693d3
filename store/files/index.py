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
from store.files import logs
from store.files.layout import SHELVES
from store.files.replace import Write
from store.files.shelves import Entry, read_or_none
from store.files.side import JsonSide, record_of
from store.files.system import Signature, told_as_json_side
from store.mapping import MAPPINGS, Child, Row
from store.mapping.base import with_owner
from store.mapping.messages import MESSAGES
from store.tables.messages import messages
from store.tables.users import users

VERSION = "3"  # another version's index is thrown away
FULL_LOOK_S = 2.0  # a file changed in place, without its folder changing, is noticed in lists after at most so long
# A file (or folder) may change again within one tick of the kernel's clock and show the same time.
SETTLED_NS = 50_000_000
LOG = "log"  # the kind under which chats' files are noted
_FIRST_KINDS = [kind for kind, shelf in SHELVES.items() if shelf.kinds[0] == kind]  # each shelf once
_OLDEST_USER = sa.select(users.c.id).order_by(users.c.createdAt, users.c.id).limit(1)

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
                if folder in times:
                    continue
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
            for kind in _FIRST_KINDS:
                present = dict(self._side.files(kind))
                mine = set(connection.scalars(sa.select(_files.c.path).where(_files.c.kind == kind)))
                changed = [path for path, signature in present.items() if known.get(path) != signature]
                self._forget(connection, [*changed, *(mine - present.keys())])
                for path in changed:
                    self._read_in(connection, kind, path, present[path])
            present = dict(self._side.log_files())
            mine = set(connection.scalars(sa.select(_files.c.path).where(_files.c.kind == LOG)))
            for path in mine - present.keys():
                self._forget_log(connection, path)
            for path, signature in present.items():
                if known.get(path) != signature:
                    self._read_log_in(connection, path, signature)
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

    def _forget(self, connection: Connection, paths: list[str]) -> None:
        for some in rows.chunks(paths):
            here = sa.select(_entries.c.kind, _entries.c.id).where(_entries.c.path.in_(some))
            by_kind: dict[str, list[str]] = {}
            for kind, record_id in connection.execute(here):
                by_kind.setdefault(kind, []).append(record_id)
            for kind, ids in by_kind.items():
                mapping = MAPPINGS[kind]
                own = Child(mapping.main, mapping.key)
                for child in () if mapping.derived else (*mapping.children, own):
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
        bad += [(entry.id, taken) for entry in entries if (taken := self._add(connection, path, entry))]
        for record_id, problem in bad:
            self._note_bad(connection, path, kind, record_id, problem)
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

    @staticmethod
    def _note_bad(
        connection: Connection, path: str, kind: str, record_id: str | None, problem: UnreadableError
    ) -> None:
        values = {"path": path, "kind": kind, "id": record_id, "line": problem.line, "reason": problem.reason}
        connection.execute(sa.insert(_unreadable).values(values))

    def _add(self, connection: Connection, path: str, entry: Entry) -> UnreadableError | None:
        mapping = MAPPINGS[entry.kind]
        try:
            with connection.begin_nested():
                if not mapping.derived:
                    made = mapping.to_rows(record_of(entry))
                    if made[mapping.main.name][0].get("userId", "") is None:  # an API key as Quilltap writes it
                        made = with_owner(made, connection.scalar(_OLDEST_USER))
                    rows.insert(connection, mapping, made)
                connection.execute(sa.insert(_entries).values(kind=entry.kind, id=entry.id, path=path))
        except IntegrityError:
            called = mapping.document.called(entry.record)  # which tells no token
            problem = f"{called[0].lower()}{called[1:]} takes an id or a name that another record has"
            return UnreadableError(path, problem)
        return None

    # ------------------------------------------------------------------ chats' files
    def _forget_log(self, connection: Connection, path: str) -> None:
        connection.execute(sa.delete(messages).where(messages.c.chatId == logs.chat_of(path)))
        for table in (_unreadable, _files):
            connection.execute(sa.delete(table).where(table.c.path == path))

    def _read_log_in(self, connection: Connection, path: str, signature: Signature) -> None:
        """Take in a chat's file. A torn tail is no message; whoever writes next cuts it off."""
        self._forget_log(connection, path)
        chat_id = logs.chat_of(path)
        try:
            log = self._side.read_log(chat_id) or logs.Log()
        except UnreadableError as error:
            self._note_bad(connection, path, "chat", chat_id, error)
            log, signature = logs.Log(), Signature(0, 0, 0)
        for problem in log.bad:
            self._note_bad(connection, path, LOG, chat_id, problem)
        taken = [
            {**MESSAGES.to_rows(event.document.model_dump())["messages"][0], "chatId": chat_id}
            for event in log.messages
            if event.document
        ]
        for some in rows.chunks(taken):
            try:
                with connection.begin_nested():
                    connection.execute(sa.insert(messages), some)
            except IntegrityError:
                self._add_one_by_one(connection, path, chat_id, some)
        self._note_file(connection, path, LOG, signature)

    def _add_one_by_one(self, connection: Connection, path: str, chat_id: str, some: list[Row]) -> None:
        for row in some:
            try:
                with connection.begin_nested():
                    connection.execute(sa.insert(messages), [row])
            except IntegrityError:
                problem = UnreadableError(path, f"the message {row['id']} has an id that another chat's message has")
                self._note_bad(connection, path, LOG, chat_id, problem)

    @staticmethod
    def _note_file(connection: Connection, path: str, kind: str, signature: Signature) -> None:
        connection.execute(sa.delete(_files).where(_files.c.path == path))
        connection.execute(
            sa.insert(_files).values(
                path=path, kind=kind, mtime_ns=signature.mtime_ns, size=signature.size, inode=signature.inode
            )
        )

    def wrote(self, connection: Connection, files: dict[str, Write]) -> None:
        """Note which records the files hold now that we wrote them. They are read once more at the next look, but for
        chats' files: whoever else writes one of those changes its size, or replaces it."""
        for path, data in files.items():
            if path.startswith(f"{logs.FOLDER}/") and path != logs.INDEX:
                connection.execute(sa.delete(_files).where(_files.c.path == path))
                if data is not None:
                    with contextlib.suppress(OSError):  # it is written; without its signature it is read once more
                        signature = self._side.system.signature(self._side.data_dir / path)
                        self._note_file(connection, path, LOG, signature)
                continue
            shelf = next((shelf for shelf in SHELVES.values() if shelf.owns(path)), None)
            if shelf is None:
                continue
            for table in (_entries, _files, _unreadable):
                connection.execute(sa.delete(table).where(table.c.path == path))
            entries = shelf.parse(path, data)[0] if isinstance(data, bytes) else []
            for entry in entries:
                here = sa.and_(_entries.c.kind == entry.kind, _entries.c.id == entry.id)
                connection.execute(sa.delete(_entries).where(here))
            if entries:
                values = [{"kind": entry.kind, "id": entry.id, "path": path} for entry in entries]
                connection.execute(sa.insert(_entries), values)

    # ------------------------------------------------------------------ what cannot be read
    def problems(self, kinds: Iterable[str] = (*SHELVES, LOG)) -> list[UnreadableError]:
        """Every file or record that the last look could not read."""
        first = {SHELVES[kind].kinds[0] if kind in SHELVES else kind for kind in kinds}
        of_kinds = sa.select(_unreadable).where(_unreadable.c.kind.in_(first))
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
            shelf = SHELVES[kind].kinds[0]
            row = connection.execute(sa.select(_unreadable).where(column.kind == shelf, named)).first()
        return UnreadableError(row.path, row.reason, line=row.line) if row else None
