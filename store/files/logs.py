"""The files of chats: one message per line, in reading order, each with a checksum; new ones are only appended.

What cannot be read is of two kinds. Behind the last good line, a piece without its newline (or anything from a bad line
on that lies behind the length the chat's line in the index vouches for) is what a crash left of an append: a torn tail.
Anything else that is bad is damage: it is told by its line, its neighbours stay readable, and the file is not written
anew.
"""

import errno
import io
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from store import codec
from store.documents import ContextSummary, Message
from store.documents.base import Document, known, with_unknown
from store.errors import StoreError, UnreadableError
from store.files.lines import Key, order_key, sealed
from store.files.replace import Append
from store.files.shelves import Plan, Record, check_name, file_name, parse_object, read_or_none, understand
from store.files.system import System

FOLDER: Final = "chats"
INDEX: Final = f"{FOLDER}/index.jsonl"
BLOCK = 64 * 1024  # bytes read at once from a file's end, at first; a line seldom has more than LINE
LINE = 2048
_EVENTS: Final[dict[str, type[Document]]] = {"message": Message, "context-summary": ContextSummary}
_CRC = re.compile(rb'(?P<only>,"extras":\{|,)"crc":"(?P<crc>[0-9a-f]{8})"\}\}\Z')
_CRC_BYTES = len(b',"extras":{"crc":"00000000"}}')  # at most, of what the pattern finds


def log_path(chat_id: str) -> str:
    """Where the messages of a chat lie; never where the index does, whatever the chat's id is."""
    path = f"{FOLDER}/{file_name(chat_id)}l"
    return path if path != INDEX else f"{FOLDER}/%69ndex.jsonl"


def chat_of(path: str) -> str:
    """The id of the chat whose messages lie at this path."""
    return unquote(path.rpartition("/")[2].removesuffix(".jsonl"))


def order(record: Record) -> Key:
    """What messages are sorted by; no swipeIndex comes before any."""
    return order_key(record["createdAt"], record.get("swipeIndex"), record["id"])


def line(record: Record) -> bytes:
    """A record as a line of a chat file: with ``extras.crc``, the CRC-32 of the line as it would be without it."""
    extras = {key: value for key, value in (record.get("extras") or {}).items() if key != "crc"}
    bare = {key: value for key, value in record.items() if key != "extras"} | ({"extras": extras} if extras else {})
    return sealed(codec.dumps(bare), within_extras=bool(extras))


def _crc_of(record: Record) -> Any:
    """The checksum that a line bears; None without one."""
    extras = record.get("extras")
    return extras.get("crc") if isinstance(extras, dict) else None


def _check_crc(record: Record, data: bytes) -> str | None:
    """What is wrong with a line's checksum; None when it is right, or when there is none."""
    if (told := _crc_of(record)) is None:
        return None
    match = _CRC.search(data, max(0, len(data) - _CRC_BYTES))
    if match is None or match["crc"].decode() != told:
        return "its checksum is not at its end: somebody else has written it anew"
    bare = data[: match.start()] + (b"}" if match["only"].startswith(b',"extras"') else b"}}")
    right = f"{zlib.crc32(bare):08x}".encode()
    return None if right == match["crc"] else "its checksum is wrong: some of its bytes have changed"


@dataclass(frozen=True)
class Event:
    """A line of a chat file. ``document`` is None for an event that Tandem does not know: it is kept as it is."""

    line: int
    data: bytes
    record: Record
    document: Document | None


@dataclass
class Log:
    """A chat file as it is. ``good_bytes``: how much of it comes before the torn tail."""

    events: list[Event] = field(default_factory=list)
    bad: list[UnreadableError] = field(default_factory=list)
    torn: bytes = b""
    good_bytes: int = 0

    @property
    def messages(self) -> list[Event]:
        """The messages in the order of the file."""
        return [event for event in self.events if isinstance(event.document, Message)]


def parse(path: str, data: bytes, known_good: int | None = None) -> Log:
    """What a chat file holds. ``known_good``: bytes that the chat's line in the index vouches for; None: not known."""
    log = Log()
    log.events.extend(scan(log, path, data, known_good))
    return log


def scan(log: Log, path: str, data: bytes, known_good: int | None = None) -> Iterator[Event]:
    """The good events one by one, for who does not want to hold them all; everything else goes into ``log``."""
    position, number = 0, 0
    seen: set[str] = set()
    while position < len(data):
        end = data.find(b"\n", position)
        number += 1
        whole = end >= 0
        piece = data[position:end] if whole else data[position:]
        try:
            event = _event(path, piece, number)
            # Whoever writes, ends a line with a newline. Only a checksum shows that nothing else is missing.
            if not whole and _crc_of(event.record) is None:
                raise UnreadableError(path, "it was not written to its end", line=number)
            if event.document is not None and event.document.id in seen:
                raise UnreadableError(path, f"the id {event.document.id} is there twice", line=number)
        except UnreadableError as error:
            if not whole or (known_good is not None and position >= known_good):
                log.torn = data[position:]
                break
            log.bad.append(error)
        else:
            if event.document is not None:
                seen.add(event.document.id)
            yield event
        position = log.good_bytes = end + 1 if whole else len(data)


def _event(path: str, piece: bytes, number: int) -> Event:
    record = parse_object(path, piece, number)
    if problem := _check_crc(record, piece):
        raise UnreadableError(path, problem, line=number)
    kind = record.get("type")
    if not isinstance(kind, str):
        raise UnreadableError(path, "it does not say what type of event it is", line=number)
    if kind not in _EVENTS:
        return Event(number, piece, record, None)
    record, document = understand(_EVENTS[kind], path, record, number)
    return Event(number, piece, record, document)


# ------------------------------------------------------------------ the end of a file
@dataclass(frozen=True)
class Tail:
    """The end of a chat file: its size without a torn piece, whether there is one, and the last message's place."""

    size: int
    torn: bool
    key: Key | None


def tail(system: System, root: Path, chat_id: str) -> Tail | None:
    """The end of a chat's file, read without the rest; None without a file. Raises UnreadableError."""
    path = log_path(chat_id)
    if (size := _size(system, root / path)) is None:
        return None
    data, start = _last_lines(system, root / path, size, 1)
    whole = data.rfind(b"\n") + 1
    lines = data[:whole].split(b"\n")[:-1]
    torn = whole < len(data)
    if not lines:
        return Tail(start + whole, torn, None)
    event = _event(path, lines[-1], 0)
    # An event that is no message says nothing about the order: then the whole file has to be looked at.
    key = order(event.record) if isinstance(event.document, Message) else None
    return Tail(start + whole, torn or key is None, key)


def _size(system: System, path: Path) -> int | None:
    """How long a file is; None without one, also where no file can have its name."""
    try:
        return system.signature(path).size
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise


def plan_append(end: Tail, records: list[Record]) -> Append | None:
    """What to append; None when the file has to be looked at as a whole, because a message belongs further up."""
    if end.torn or (end.key is not None and records and order(records[0]) <= end.key):
        return None
    return Append(end.size, b"".join(map(line, records)))


def last(system: System, root: Path, chat_id: str, count: int) -> list[Message]:
    """The last messages of a chat's file in their order, read from its end. Bad lines are passed over."""
    path = log_path(chat_id)
    if (size := _size(system, root / path)) is None:
        return []
    wanted = count
    while True:  # what is no message, or bad, is passed over
        data, start = _last_lines(system, root / path, size, wanted)
        messages = [event.document for event in parse(path, data).messages]
        if len(messages) >= count or start == 0:
            return [one for one in messages if isinstance(one, Message)][-count:]
        wanted *= 2


def good_size(system: System, root: Path, chat_id: str, known_good: int | None) -> int:
    """How much of a chat's file the index may vouch for; 0 without a file. Behind what it has vouched for, a bad line
    is what a crash left; if it vouched for that too, it would be damage from then on."""
    path = log_path(chat_id)
    if (size := _size(system, root / path)) is None:
        return 0
    if known_good is None or not 0 < known_good < size:
        return size
    data = system.read_from(root / path, known_good - 1, size - known_good + 1)
    if not data.startswith(b"\n"):  # written anew since: no line ends there
        return size
    return known_good + parse(path, data[1:], 0).good_bytes


def _last_lines(system: System, path: Path, size: int, count: int) -> tuple[bytes, int]:
    """The last ``count`` whole lines of a file and what follows them, and the offset at which they begin."""
    data, start = b"", size
    while start > 0 and data.count(b"\n") <= count:
        step = min(max(min(count * LINE, BLOCK), len(data)), start)
        start -= step
        data = system.read_from(path, start, step) + data
    begin = data.rfind(b"\n") + 1
    for _ in range(count):
        if begin == 0:
            break
        begin = data.rfind(b"\n", 0, begin - 1) + 1
    return data[begin:], start + begin


# ------------------------------------------------------------------ a file as a whole
def plan_whole(
    system: System,
    root: Path,
    chat_id: str,
    records: Iterable[Record] | None,
    known_good: Callable[[], int | None] = lambda: None,
) -> tuple[Plan, bytes]:
    """What has to be written so that a chat's file holds these messages, in their order, and the torn tail that goes
    with it. None: there is no chat. ``known_good`` is only asked where something is bad.

    Events that are no messages keep their place in time, and so do the lines of messages that stay ``as_it_is``. A file
    with damage in its middle is not written: refused.
    """
    path, entity = log_path(chat_id), ("log", chat_id)
    try:
        old = read_or_none(system, root, path)
        if old is None:
            if records is None:
                return Plan({}, {}), b""
            check_name(path, "chat")
        log, kept = _read_kept(path, old or b"", None)
        if log.bad:
            log, kept = _read_kept(path, old or b"", known_good())
        if log.bad:
            raise log.bad[0]
    except StoreError as error:
        return Plan({}, {entity: error}), b""
    if records is None:
        return Plan({path: None}, {}), log.torn
    staying: set[str] = set()
    new = _rewritten(old or b"", kept.merged(records, staying))
    if old and staying:
        new = _with_lines(path, old, old if new is None else new, staying)
    if old is None or new is not None:
        return Plan({path: new or b""}, {}), log.torn
    # Perhaps a killed process wrote it, and it is not on the disk yet.
    return Plan({path: Append(len(old), b"")}, {}), b""


def as_it_is(message_id: str) -> Record:
    """In the place of a message of which no line can be made: the line that the file has of it stays."""
    return {"id": message_id}


def _read_kept(path: str, data: bytes, known_good: int | None) -> "tuple[Log, _Kept]":
    log, kept = Log(), _Kept()
    for event in scan(log, path, data, known_good):
        kept.add(event)
    return log, kept


def _rewritten(old: bytes, lines: Iterable[bytes]) -> bytes | None:
    """What the lines are together; None when that is what there was. While they are the same, they are not held."""
    same, new = 0, io.BytesIO()
    for one in lines:
        if new.tell() == 0 and old.startswith(one, same):
            same += len(one)
            continue
        if new.tell() == 0:
            new.write(old[:same])
        new.write(one)
    if new.tell() == 0:
        return None if same == len(old) else old[:same]
    return new.getvalue()


def _with_lines(path: str, old: bytes, new: bytes, staying: set[str]) -> bytes | None:
    """The new file with those lines of the old one byte for byte, each before what comes after it; None when that is
    what there was."""
    found = [event for event in scan(Log(), path, old) if event.document and event.document.id in staying]
    left = deque(sorted((one for one in found if isinstance(one.document, Message)), key=_key))
    lines = []
    for number, piece in enumerate(new.split(b"\n")[:-1], start=1):
        while left and _is_behind(_event(path, piece, number), left[0]):
            lines.append(left.popleft().data)
        lines.append(piece)
    whole = b"".join(one + b"\n" for one in [*lines, *(event.data for event in left)])
    return None if whole == old else whole


def _key(event: Event) -> Key:
    return order(event.record)


def _is_behind(event: Event, other: Event) -> bool:
    """Whether an event comes after a message."""
    if isinstance(event.document, Message):
        return _key(event) > _key(other)
    return _moment(event) >= str(other.record["createdAt"])


class _Kept:
    """What of a file's events outlives writing it anew: those that are no messages, and of messages the keys that a
    later Quilltap added."""

    def __init__(self) -> None:
        self._others: list[Event] = []
        self._grown: dict[str, Record] = {}

    def add(self, event: Event) -> None:
        """The next event of the file."""
        if not isinstance(event.document, Message):
            self._others.append(event)
        elif known(Message, event.record) != event.record:
            self._grown[event.document.id] = _without_crc(event.record)

    def merged(self, records: Iterable[Record], staying: set[str]) -> Iterator[bytes]:
        """The lines of the new messages, and between them what else the file holds. The ids of those whose lines stay
        go to ``staying``."""
        for record in records:
            if "type" not in record:
                staying.add(record["id"])
                continue
            while self._others and _moment(self._others[0]) < record["createdAt"]:
                yield self._others.pop(0).data + b"\n"
            if record["id"] in self._grown:
                record = with_unknown(Message, record, self._grown[record["id"]])
            yield line(record)
        yield from (event.data + b"\n" for event in self._others)


def _moment(event: Event) -> str:
    """Where an event belongs; one without a moment stays before everything that comes after it."""
    moment: Any = event.record.get("createdAt")
    return moment if isinstance(moment, str) else ""


def _without_crc(record: Record) -> Record:
    extras = {key: value for key, value in (record.get("extras") or {}).items() if key != "crc"}
    return {**record, "extras": extras}
