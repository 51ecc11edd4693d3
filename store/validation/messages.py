"""Chats' files, message by message: each line that is not as SQL would have it, what is missing or too much, and the
order."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy import Connection

from store import capture, rows
from store.chat_files import Batch, Made
from store.documents import Message
from store.errors import InvalidRecordError, UnreadableError
from store.files import logs
from store.files.shelves import parse_object, read_or_none, understand
from store.files.side import JsonSide
from store.hands import AT_ONCE, Hands, Work
from store.mapping import Record, Row, Rows
from store.mapping.messages import MESSAGES
from store.tables.messages import messages
from store.validation.order import out_of_place
from store.validation.reading import Facts
from store.validation.report import Difference, Rejected, Unreadable
from store.validation.rows import compare_documents, compare_rows
from store.validation.tally import SQL, Derived, Moved, Outcome, Tally
from store.validation.values import plain, same, shown_id
from store.validation.vouching import NOTHING, Vouched

_BLOCK = 400  # messages loaded at once
_ID = re.compile(rb'"id"\s*:\s*("(?:[^"\\]|\\.)*")')
Keyed = tuple[str, str, Rows | None]  # chat, message, its rows; None where no file could hold it


@dataclass
class _File:
    """The messages of a chat's file: id -> place and line."""

    lines: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    others: int = 0  # bytes of events that are no messages
    last: str | None = None


@dataclass(frozen=True)
class Begun:
    """The comparison of these chats is under way; so many more are vouched for."""

    chat_ids: Sequence[str]
    vouched: int
    work: Work[Batch, Made]


class Messages:
    """Compares chats' files. ``facts``: of those that are not as SQL has them; ``totals``: what is in those that are,
    in the snapshot that was looked at last."""

    def __init__(self, side: JsonSide, vouched: Vouched = NOTHING) -> None:
        self._side, self._vouched = side, vouched
        self.facts: dict[str, Facts] = {}
        self.totals: dict[str, Row] = {}

    def chat_ids(self, connection: Connection) -> list[str]:
        """Every chat that has messages, or a file, or is one."""
        chats = sa.table("chats", sa.column("id"))
        found = {
            *connection.scalars(sa.select(chats.c.id)).all(),
            *connection.scalars(sa.select(messages.c.chatId).distinct()).all(),
        }
        return sorted({one for one in found if rows.is_sound(one)} | set(self._side.log_ids()))

    def begin(self, chat_ids: Sequence[str], tally: Tally, workers: Hands) -> "Begun":
        """Begin to compare these chats. What is vouched for goes into the tally."""
        left = [one for one in chat_ids if not self._vouched.take(logs.log_path(one), (messages,), tally)]
        live = str(self._side.data_dir)
        paths = ({one: logs.log_path(one) for one in some} for some in rows.chunks(left, AT_ONCE))
        work = workers.begin_to_make([Batch(live, None, some, {}, hashed=False) for some in paths])
        return Begun(left, len(chat_ids) - len(left), work)

    def compare(
        self, connection: Connection, tally: Tally, begun: "Begun", step: Callable[[int], None] = lambda done: None
    ) -> Iterator[Outcome]:
        """What is not equal of these chats; what is goes straight into the tally."""
        left, odd, refused = dict.fromkeys(begun.chat_ids), set[str](), dict[str, Made]()
        self.totals.clear()
        step(begun.vouched)
        for several in begun.work.results():
            for made in several:
                if not made.good:
                    odd.add(made.chat_id)
                    continue
                del left[made.chat_id]
                self.facts.pop(made.chat_id, None)
                self.totals[made.chat_id] = made.totals
                tally.equal(messages, made.messages)
                if made.rejected:
                    refused[made.chat_id] = made
            step(sum(made.good for made in several))
        for chat_id in sorted(refused):  # whoever was done first
            told = [Rejected(MESSAGES.model, shown_id("", one), reason) for one, reason in refused[chat_id].rejected]
            yield Outcome((capture.LOG, chat_id), rejected=told)
        there = _there(connection, left)
        for chat_id in left:
            if out := self._chat(connection, chat_id, chat_id in there, has_messages=chat_id in odd):
                yield out
            step(1)

    def _chat(self, connection: Connection, chat_id: str, there: bool, *, has_messages: bool) -> Outcome | None:
        entity, path = (capture.LOG, chat_id), logs.log_path(chat_id)
        self.facts.pop(chat_id, None)
        try:
            data = read_or_none(self._side.system, self._side.data_dir, path)
        except UnreadableError as error:
            out = Outcome(entity, unreadable=[Unreadable(path, None, MESSAGES.kind, None, error.reason)])
            names = [shown_id("", one) for _, one, _ in _in_order(connection, [chat_id])]
            out.rows += [(MESSAGES.model, name, "unreadable") for name in names]
            return out
        if there and not has_messages and data == b"":
            return None
        out = self._closely(connection, chat_id, data)
        if there != (data is not None) and not out.rows:
            self._lone_file(out, chat_id, path, there)
        return out

    def _lone_file(self, out: Outcome, chat_id: str, path: str, there: bool) -> None:
        """A chat without its file, or a file without its chat, and no message in it."""
        here, place = (path, None) if there else (None, path)
        shown = shown_id("chat", chat_id)
        out.derived.append(Derived(Difference("Chat", shown, "file", here, place, "chat", shown)))

    # ------------------------------------------------------------------ a file that is not as it should be
    def _closely(self, connection: Connection, chat_id: str, data: bytes | None) -> Outcome:
        out, path = Outcome((capture.LOG, chat_id)), logs.log_path(chat_id)
        log, file = self._read(chat_id, path, data or b"")
        wanted, missing = file.others, list[tuple[str, Rows | None]]()
        common: list[tuple[str, int]] = []
        for _, message_id, loaded in _in_order(connection, [chat_id]):
            written = _line(loaded, out, message_id)
            wanted += len(written or b"")
            place, line = file.lines.pop(message_id, (0, None))
            if line is None:
                missing.append((message_id, loaded))
            elif written == line + b"\n":
                out.rows.append((MESSAGES.model, shown_id("", message_id), "equal"))
                common.append((message_id, place))
            elif _compare_line(out, chat_id, path, message_id, loaded, line):
                common.append((message_id, place))
        _compare_order(out, common)
        self._bad_lines(out, chat_id, path, data or b"", log, missing)
        for message_id, loaded in missing:
            _only_in_sql(out, message_id, loaded)
        elsewhere = _chats_of(connection, file.lines)
        for message_id, (_, line) in file.lines.items():
            if message_id in elsewhere:
                out.moved.append(Moved(shown_id("", message_id), elsewhere[message_id], chat_id, path))
            else:
                _only_in_file(out, chat_id, path, message_id, line)
        if data is not None:
            size = len(data) - len(log.torn)
            self.facts[chat_id] = Facts(_count(out), file.last, size, wanted)
        return out

    def _read(self, chat_id: str, path: str, data: bytes) -> tuple[logs.Log, _File]:
        log, file = logs.Log(), _File()
        self._scan(log, file, path, data, None)
        if log.bad:  # only then is it worth a look at what the index says
            log, file = logs.Log(), _File()
            self._scan(log, file, path, data, self._side.known_good(chat_id))
        return log, file

    def _scan(self, log: logs.Log, file: _File, path: str, data: bytes, known_good: int | None) -> None:
        for place, event in enumerate(logs.scan(log, path, data, known_good)):
            if isinstance(event.document, Message):
                file.lines[event.document.id] = (place, event.data)
                file.last = max(file.last or "", event.document.createdAt)
            else:
                file.others += len(event.data) + 1

    def _bad_lines(
        self,
        out: Outcome,
        chat_id: str,
        path: str,
        data: bytes,
        log: logs.Log,
        missing: list[tuple[str, Rows | None]],
    ) -> None:
        """What cannot be read: which message each line is, and what of it can be told all the same. Messages that are
        there in this way are missing no more."""
        lines = data.split(b"\n") if log.bad else []
        bad = [(error.line or 0, error.reason, lines[(error.line or 1) - 1]) for error in log.bad]
        if log.torn:
            number = data.count(b"\n", 0, len(data) - len(log.torn)) + 1
            bad.append((number, f"the file's end is torn: {len(log.torn)} bytes are no whole message", log.torn))
        named = [(number, reason, piece, _id_in(piece)) for number, reason, piece in bad]
        left = dict(missing)
        known = {message_id for _, _, _, message_id in named}
        nameless = iter([message_id for message_id in left if message_id not in known])
        for number, reason, piece, message_id in named:
            if message_id is None:
                message_id = next(nameless, None)
            shown = None if message_id is None else shown_id("", message_id)
            fields: tuple[str, ...] = ()
            if message_id in left:
                loaded = left.pop(message_id)
                out.rows.append((MESSAGES.model, shown or "", "unreadable"))
                fields = _what_differs(out, message_id, chat_id, loaded, piece)
            else:
                out.rows.append((MESSAGES.model, f"{path}, line {number}", "unreadable"))
            out.unreadable.append(Unreadable(path, number, MESSAGES.kind, shown, reason, fields))
        missing[:] = [(message_id, loaded) for message_id, loaded in missing if message_id in left]


def _there(connection: Connection, chat_ids: Iterable[str]) -> set[str]:
    chats = sa.table("chats", sa.column("id"))
    found: set[str] = set()
    for some in rows.chunks(chat_ids):
        found.update(connection.scalars(sa.select(chats.c.id).where(chats.c.id.in_(some))))
    return found


def _chats_of(connection: Connection, message_ids: Iterable[str]) -> dict[str, str]:
    """Message -> the chat that SQL has it in."""
    found: dict[str, str] = {}
    for some in rows.chunks(message_ids):
        here = sa.select(messages.c.id, messages.c.chatId).where(messages.c.id.in_(some))
        found.update({row.id: row.chatId for row in connection.execute(here)})
    return found


def _in_order(connection: Connection, chat_ids: list[str]) -> Iterator[Keyed]:
    """The messages of chats as SQL has them, in the order of their files."""
    column = messages.c
    wanted = sa.select(column.chatId, column.id, column.createdAt, column.swipeIndex).where(column.chatId.in_(chat_ids))
    keyed = [
        (chat_id, str(made), (-1,) if swipe is None else (0, swipe), str(one), one)
        for chat_id, one, made, swipe in connection.execute(wanted)
    ]
    keyed.sort(key=lambda key: key[:4])
    for some in rows.chunks(keyed, _BLOCK):
        loaded = rows.load(connection, MESSAGES, [key[4] for key in some if rows.is_sound(key[4])])
        for key in some:
            yield key[0], key[4], loaded.get(key[4])


def _line(loaded: Rows | None, out: Outcome, message_id: str) -> bytes | None:
    """The line of a message as SQL has it; None when no file can hold it."""
    if loaded is None:
        return None
    try:
        record = MESSAGES.check(loaded)[1]
    except InvalidRecordError:
        return None
    out.judge(MESSAGES.kind, message_id, record)
    return logs.line(record)


def _count(out: Outcome) -> int:
    """How many messages a chat's file has."""
    return len(out.moved) + sum(state in ("equal", "different", "only_json") for _, _, state in out.rows)


def _compare_line(out: Outcome, chat_id: str, path: str, message_id: str, loaded: Rows | None, line: bytes) -> bool:
    """Compare a good line with its row; whether both say the same of its place."""
    document = understand(Message, path, parse_object(path, line))[1]
    shown = shown_id("", message_id)
    if loaded is None:
        out.rows.append((MESSAGES.model, shown, "unreadable"))
        reason = rows.unsound(MESSAGES.kind, message_id).message
        out.unreadable.append(Unreadable(SQL, None, MESSAGES.kind, shown, reason))
        return False
    back = _rows_of(document.model_dump(), chat_id)
    wrong = compare_rows(out, MESSAGES, shown, loaded, back)
    try:
        wanted = MESSAGES.check(loaded)[0]
    except InvalidRecordError as error:
        out.notes.append(f"SQL: {error.message}")
        if not wrong:
            model, name, _ = out.rows.pop()
            out.rows.append((model, name, "unreadable"))
            out.unreadable.append(Unreadable(SQL, None, MESSAGES.kind, shown, error.message, tuple(error.problems)))
    else:
        compare_documents(out, MESSAGES, shown, wanted, document, wrong, loaded)
    return not wrong & {"createdAt", "swipeIndex"}


def _rows_of(record: Record, chat_id: str) -> Rows:
    (row,) = MESSAGES.to_rows(record)["messages"]
    return {"messages": [{**row, "chatId": chat_id}]}


def _compare_order(out: Outcome, common: list[tuple[str, int]]) -> None:
    """Which messages are not in their place."""
    in_file = sorted(place for _, place in common)
    for number in sorted(out_of_place([place for _, place in common])):
        message_id, place = common[number]
        shown = shown_id("", message_id)
        places = (number + 1, in_file.index(place) + 1)
        out.derived.append(Derived(Difference(MESSAGES.model, shown, "order", *places, MESSAGES.kind, shown)))


def _only_in_sql(out: Outcome, message_id: str, loaded: Rows | None) -> None:
    shown = shown_id("", message_id)
    reason = None
    try:
        if loaded is None:
            raise rows.unsound(MESSAGES.kind, message_id)
        MESSAGES.check(loaded)
    except InvalidRecordError as error:
        reason = error.message.rstrip(".")
        out.unreadable.append(Unreadable(SQL, None, MESSAGES.kind, shown, reason, tuple(error.problems)))
    if reason is not None:
        out.rows.append((MESSAGES.model, shown, "unreadable"))
    else:
        out.one_sided(messages, {"id": message_id}, "only_sql", MESSAGES.kind, shown)


def _only_in_file(out: Outcome, chat_id: str, path: str, message_id: str, line: bytes) -> None:
    record = understand(Message, path, parse_object(path, line))[0]
    out.one_sided(messages, {"id": message_id}, "only_json", MESSAGES.kind, shown_id("", message_id))
    out.judge(MESSAGES.kind, message_id, record)
    out.add_links(messages, {"id": message_id, "chatId": chat_id})


def _id_in(piece: bytes) -> str | None:
    """The id that a line bears, also where the line is no JSON."""
    match = _ID.search(piece)
    try:
        told = json.loads(match[1]) if match else None
    except ValueError:
        return None
    return told if isinstance(told, str) and rows.is_sound(told) else None


def _what_differs(out: Outcome, message_id: str, chat_id: str, loaded: Rows | None, piece: bytes) -> tuple[str, ...]:
    """Columns that are not the same in a line that cannot be trusted."""
    try:
        record = parse_object("", piece)
        back = _rows_of(record, chat_id)["messages"][0]
    except (UnreadableError, KeyError, TypeError, AttributeError):
        return ()
    row = loaded["messages"][0] if loaded else {}
    fields = tuple(name for name in row if name in back and not same(messages, name, row[name], back[name]))
    shown = shown_id("", message_id)
    out.differences += [
        Difference(
            MESSAGES.model, shown, name, plain(row[name]), plain(back[name]), MESSAGES.kind, shown, unreadable=True
        )
        for name in fields
    ]
    return fields
