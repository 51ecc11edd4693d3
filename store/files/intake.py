"""Reading files into the tables of the index, and noting what was read from which file.

Everything here happens within one transaction of the index, under the store lock. A file is known again by mtime, size
and inode; where those may not tell, by the hash of its bytes.
"""

import contextlib
import hashlib
import time
from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, insert
from sqlalchemy.exc import IntegrityError

from store import capture, rows
from store.documents import Message
from store.errors import UnreadableError
from store.files import logs
from store.files.layout import SHELVES
from store.files.replace import Append, Write
from store.files.shelves import Entity, Entry, read_with_signature
from store.files.side import JsonSide, record_of
from store.files.system import Signature
from store.mapping import MAPPINGS, Child, Row, Rows
from store.mapping.base import with_owner
from store.mapping.messages import MESSAGES
from store.statements import Statement
from store.tables.messages import messages
from store.tables.users import users

# A file (or folder) may change again within one tick of the kernel's clock and show the same time.
SETTLED_NS = 50_000_000
LOG = capture.LOG  # the kind under which chats' files are noted
_REFUSED = Signature(0, 0, 0)  # of a file that the system would not let us read
_FIRST_KINDS = [kind for kind, shelf in SHELVES.items() if shelf.kinds[0] == kind]  # each shelf once
_OLDEST_USER = sa.select(users.c.id).order_by(users.c.createdAt, users.c.id).limit(1)

metadata = MetaData()
files = Table(
    "index_files",
    metadata,
    Column("path", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("mtime_ns", Integer, nullable=False),  # 0 never matches: the file is looked at once more
    Column("size", Integer, nullable=False),
    Column("inode", Integer, nullable=False),
    Column("digest", Text, nullable=False),
)
entries = Table(
    "index_entries",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("path", Text, nullable=False, index=True),
)
unreadable = Table(
    "index_unreadable",
    metadata,
    Column("path", Text, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("id", Text),
    Column("line", Integer),
    Column("reason", Text, nullable=False),
)


_NOTED = Statement(
    lambda _: insert(files).prefix_with("OR REPLACE").values({one.name: sa.bindparam(one.name) for one in files.c})
)


_TAKEN = Statement(
    lambda _: sa.select(files.c.kind, files.c.path, files.c.digest, *map(files.c.get, Signature._fields))
)


class _Known(NamedTuple):
    """What a file was when it was taken in."""

    signature: Signature
    digest: str


class Intake:
    """One transaction in which the index learns what is in the files. ``changed``: the records it is about."""

    def __init__(self, side: JsonSide, connection: Connection) -> None:
        self._side, self._connection = side, connection
        self._is_first = False
        self._waiting: list[tuple[str, Entry]] = []  # read, and not yet added
        self.changed: dict[Entity, None] = {}

    def is_first(self) -> bool:
        """Whether nothing was ever taken in, and now something is there."""
        known = (sa.select(sa.literal(1)).select_from(one).limit(1) for one in (files, entries, unreadable, messages))
        return all(self._connection.execute(one).first() is None for one in known) and any(
            True for kind in (*_FIRST_KINDS, LOG) for _ in self._present(kind)
        )

    def _present(self, kind: str) -> Iterator[tuple[str, Signature]]:
        return self._side.log_files() if kind == LOG else self._side.files(kind)

    def doubt(self, kind: str, record_id: str) -> None:
        """Read the files of this record anew, whatever is known of them: somebody else changed its rows."""
        if kind in SHELVES:
            self._connection.execute(sa.delete(files).where(files.c.path.in_(SHELVES[kind].paths(record_id))))
        elif kind == LOG:
            self._connection.execute(sa.delete(files).where(files.c.path == logs.log_path(record_id)))
        else:  # a message; of which chat, its row may not say any more
            self._connection.execute(sa.delete(files).where(files.c.kind == LOG))

    def take_in(self, *, thorough: bool = False) -> None:
        """Look at every file, and read what is not as it was, or with ``thorough`` all of them."""
        self._is_first = self.is_first()
        taken: dict[str, dict[str, _Known]] = {}
        for kind, path, digest, *signature in _TAKEN.read(self._connection):
            taken.setdefault(kind, {})[path] = _Known(Signature(*signature), digest)
        for kind in (*_FIRST_KINDS, LOG):
            known, present = taken.get(kind, {}), dict(self._present(kind))
            for path in known.keys() - present.keys():
                self._forget(kind, path)
            changed = [
                path for path, now in present.items() if thorough or path not in known or known[path].signature != now
            ]
            # A record may have gone from one of them to another: what they held goes first.
            for path in [path for path in changed if not self._is_as_it_was(kind, path, known.get(path))]:
                self._read_anew(kind, path)
            self._add_waiting()

    def knows(self, path: str) -> bool:
        """Whether a file is still the one that was taken in; a missing one, when none was. Raises OSError."""
        row = self._connection.execute(sa.select(files).where(files.c.path == path)).first()
        try:
            current = self._side.system.signature(self._side.data_dir / path)
        except FileNotFoundError:
            return row is None
        if row is None or row.mtime_ns:
            return row is not None and (row.mtime_ns, row.size, row.inode) == current
        found = None
        with contextlib.suppress(UnreadableError):
            found = read_with_signature(self._side.system, self._side.data_dir, path)
        return found is not None and _digest(found[0]) == row.digest

    # ------------------------------------------------------------------ one file
    def _is_as_it_was(self, kind: str, path: str, known: _Known | None) -> bool:
        """Whether the file holds what it held, or still cannot be read; otherwise what it held is forgotten."""
        refused = known is not None and known.signature == _REFUSED
        if known is not None and (known.digest or refused):
            try:
                found = read_with_signature(self._side.system, self._side.data_dir, path)
            except UnreadableError:
                if refused:
                    return True
            else:
                if found is not None and _digest(found[0]) == known.digest:
                    self._note(path, kind, found[1], known.digest)
                    return True
        self._forget(kind, path)
        return False

    def _read_anew(self, kind: str, path: str) -> None:
        problem: UnreadableError | None = None
        data, signature = b"", _REFUSED
        try:
            found = read_with_signature(self._side.system, self._side.data_dir, path)
            if found is None:  # gone since it was listed
                return
            data, signature = found
        except UnreadableError as error:  # refused by the system, perhaps for a moment: not by what it holds
            problem = error
        if kind == LOG:
            self._read_log(path, data, problem)
        else:
            self._read(kind, path, data, problem)
        self._note(path, kind, signature, _digest(data) if problem is None else "")

    def _forget(self, kind: str, path: str) -> None:
        if self._is_first:
            return
        connection = self._connection
        if kind == LOG:
            connection.execute(sa.delete(messages).where(messages.c.chatId == logs.chat_of(path)))
            self.changed[LOG, logs.chat_of(path)] = None
        by_kind: dict[str, list[str]] = {}
        for of, record_id in connection.execute(sa.select(entries.c.kind, entries.c.id).where(entries.c.path == path)):
            by_kind.setdefault(of, []).append(record_id)
            self.changed[of, record_id] = None
        for of, ids in by_kind.items():
            mapping = MAPPINGS[of]
            own = Child(mapping.main, mapping.key)
            for child in () if mapping.derived else (*mapping.children, own):
                for few in rows.chunks(ids):
                    connection.execute(sa.delete(child.table).where(child.table.c[child.column].in_(few)))
        for table in (entries, unreadable, files):
            connection.execute(sa.delete(table).where(table.c.path == path))

    def _note(self, path: str, kind: str, signature: Signature, digest: str) -> None:
        settled = bool(digest) and time.time_ns() - signature.mtime_ns > SETTLED_NS
        values = {**signature._asdict(), "mtime_ns": signature.mtime_ns if settled else 0}
        _NOTED.change(self._connection, path=path, kind=kind, digest=digest, **values)

    def _read(self, kind: str, path: str, data: bytes, problem: UnreadableError | None) -> None:
        found, bad = SHELVES[kind].parse(path, data) if problem is None else ([], [(None, problem)])
        for record_id, reason in bad:
            self._note_bad(path, kind, record_id, reason)
        self._waiting += [(path, entry) for entry in found]
        if len(self._waiting) >= rows.CHUNK:
            self._add_waiting()

    def _note_bad(self, path: str, kind: str, record_id: str | None, problem: UnreadableError) -> None:
        values = {"path": path, "kind": kind, "id": record_id, "line": problem.line, "reason": problem.reason}
        self._connection.execute(sa.insert(unreadable).values(values))

    def _add_waiting(self) -> None:
        """Add what was read, all at once; where any of it cannot be, one by one, so that it stops no other."""
        waiting, self._waiting = self._waiting, []
        try:
            if waiting:
                self._add(waiting)
        except IntegrityError:
            for path, entry in waiting:
                try:
                    self._add([(path, entry)])
                except IntegrityError:
                    called = MAPPINGS[entry.kind].document.called(entry.record)  # which tells no token
                    problem = f"{called[0].lower()}{called[1:]} takes an id or a name that another record has"
                    self._note_bad(path, SHELVES[entry.kind].kinds[0], entry.id, UnreadableError(path, problem))

    def _add(self, several: list[tuple[str, Entry]]) -> None:
        """Add all of it or, when IntegrityError is raised, nothing."""
        connection = self._connection
        made: dict[str, list[Rows]] = {}
        for _, entry in several:
            self.changed[entry.kind, entry.id] = None
            mapping = MAPPINGS[entry.kind]
            if not mapping.derived:
                made.setdefault(entry.kind, []).append(mapping.to_rows(record_of(entry)))
        with connection.begin_nested():
            for kind, records in made.items():
                main = MAPPINGS[kind].main.name
                for place, record in enumerate(records):
                    if record[main][0].get("userId", "") is None:  # an API key as Quilltap writes it
                        records[place] = with_owner(record, connection.scalar(_OLDEST_USER))
                rows.insert(connection, MAPPINGS[kind], *records)
            told = [{"kind": entry.kind, "id": entry.id, "path": path} for path, entry in several]
            connection.execute(sa.insert(entries), told)

    # ------------------------------------------------------------------ chats' files
    def _read_log(self, path: str, data: bytes, problem: UnreadableError | None) -> None:
        """Take in a chat's file. A torn tail is no message; whoever writes next cuts it off."""
        chat_id = logs.chat_of(path)
        self.changed[LOG, chat_id] = None
        if problem:
            self._note_bad(path, "chat", chat_id, problem)
            return
        log = logs.Log()
        self._add_messages(path, chat_id, logs.scan(log, path, data))
        if log.bad:  # only then is it worth a look at what the index says: it may be what a crash left
            self._connection.execute(sa.delete(messages).where(messages.c.chatId == chat_id))
            self._connection.execute(sa.delete(unreadable).where(unreadable.c.path == path))
            log, known_good = logs.Log(), self._side.known_good(chat_id)
            self._add_messages(path, chat_id, logs.scan(log, path, data, known_good))
        for bad in log.bad:
            self._note_bad(path, LOG, chat_id, bad)

    def _add_messages(self, path: str, chat_id: str, events: Iterator[logs.Event]) -> None:
        """A block at a time: a chat may be longer than what one wants to hold."""
        taken = (
            {**MESSAGES.to_rows(event.document.model_dump())["messages"][0], "chatId": chat_id}
            for event in events
            if isinstance(event.document, Message)
        )
        for some in rows.chunks(taken):
            try:
                with self._connection.begin_nested():
                    self._connection.execute(sa.insert(messages), some)
            except IntegrityError:
                self._add_one_by_one(path, chat_id, some)

    def _add_one_by_one(self, path: str, chat_id: str, some: list[Row]) -> None:
        for row in some:
            try:
                with self._connection.begin_nested():
                    self._connection.execute(sa.insert(messages), [row])
            except IntegrityError:
                problem = UnreadableError(path, f"the message {row['id']} has an id that another chat's message has")
                self._note_bad(path, LOG, chat_id, problem)

    # ------------------------------------------------------------------ what we wrote ourselves
    def wrote(self, written: dict[str, Write], signatures: dict[str, Signature | None]) -> None:
        """Note which records the files hold now that we wrote them. They are looked at once more, but for chats' files:
        whoever else writes one of those changes its size, or replaces it."""
        for path, data in written.items():
            if isinstance(data, Append):
                self._grew(path, data, signatures.get(path))
                continue
            is_log = path.startswith(f"{logs.FOLDER}/") and path != logs.INDEX
            shelf = next((shelf for shelf in SHELVES.values() if not is_log and shelf.owns(path)), None)
            if not is_log and shelf is None:
                continue
            for table in (entries, files, unreadable):
                self._connection.execute(sa.delete(table).where(table.c.path == path))
            if (signature := signatures.get(path)) is None:
                continue
            digest = _digest(data) if isinstance(data, bytes) else ""
            kind = LOG if shelf is None else shelf.kinds[0]
            values = {**signature._asdict(), "mtime_ns": signature.mtime_ns if is_log else 0}
            self._connection.execute(sa.insert(files).values(path=path, kind=kind, digest=digest, **values))
            if shelf is not None and isinstance(data, bytes):
                found, bad = shelf.parse(path, data)
                self._note_entries(path, found)
                for record_id, problem in bad:
                    self._note_bad(path, kind, record_id, problem)

    def _grew(self, path: str, data: Append, now: Signature | None) -> None:
        """A chat's file is known after we appended to it if it was before, and nothing else came to it. Otherwise the
        next look reads it; and what could not be read in it still cannot."""
        size = data.offset + len(data.data)
        before = sa.and_(files.c.path == path, files.c.size == data.offset)
        if now is not None and now.size == size:
            moment = sa.case((files.c.mtime_ns == 0, 0), else_=now.mtime_ns)
            same = sa.and_(before, files.c.inode == now.inode)
            self._connection.execute(sa.update(files).where(same).values(mtime_ns=moment, size=size, digest=""))

    def _note_entries(self, path: str, found: list[Entry]) -> None:
        for entry in found:
            here = sa.and_(entries.c.kind == entry.kind, entries.c.id == entry.id)
            self._connection.execute(sa.delete(entries).where(here))
        if found:
            values = [{"kind": entry.kind, "id": entry.id, "path": path} for entry in found]
            self._connection.execute(sa.insert(entries), values)


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


@contextlib.contextmanager
def own_changes(connection: Connection, outbox: Table, intake: Intake) -> Iterator[None]:
    """What reading the files writes to the index is no change that would have to be written back, but for what the
    lines of chats say about their messages."""
    lasting = outbox.c.kind == capture.TOTALS
    for row in connection.execute(sa.select(outbox).where(~lasting)):
        intake.doubt(row.kind, row.entity_id)
    before = connection.scalar(sa.select(sa.func.max(outbox.c.seq)).where(lasting)) or 0
    yield
    connection.execute(sa.delete(outbox).where(sa.or_(outbox.c.seq > before, ~lasting)))
    chats = [record_id for kind, record_id in intake.changed if kind == LOG]
    if chats:
        marks = [{"kind": capture.TOTALS, "entity_id": chat_id} for chat_id in chats]
        connection.execute(sa.insert(outbox), marks)
