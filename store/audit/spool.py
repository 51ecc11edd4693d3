"""In ``json`` mode the audit's entries wait in a small file beside the data until the database takes them.

The files are the truth there, and a change may never wait for the database. So before a change is made its entries are
on the disk, as an *intent* that names some of the files it will write and what they will then hold; after it one more
line says that it counts. A process that died in between left an intent without that line: who holds the store lock
next looks at those files, and writes the line. Entries carry a name of their own, by which the database knows one that
it has already. Each line begins with the checksum of the rest.
"""

import contextlib
import logging
import secrets
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from store import codec
from store.audit.entries import UNKNOWN, Change, actor
from store.audit.table import Audit, rows_of
from store.database import Database
from store.documents.base import now
from store.errors import InvalidValueError, StoreError
from store.files.lock import StoreLock
from store.files.replace import Append, Write, append
from store.files.side import JsonSide
from store.files.system import Signature, told_as_json_side

log = logging.getLogger("tandem.audit")

FILE: Final = "audit"  # its name below the own folder
WITNESSES: Final = 10  # files that an intent names; the change is made of all its files or of none
_LAST: Final = 200  # bytes in which a last line that settles an intent is found whole
_COUNTS, _VOID = "counts", "void"
_DOUBT: Final = "The process was ended as it made this change, and others wrote to the files since: it may not count."
Row = dict[str, Any]


class Spool:
    """The file of one JSON side. ``announce``, ``confirm`` and ``settle`` are called by who holds the store lock."""

    def __init__(self, side: JsonSide) -> None:
        self._side, self._system = side, side.system
        self._path = side.own_dir / FILE
        # Who brings entries to the database holds this lock; the files stay free while the database takes its time.
        self._lock = StoreLock(self._system, side.own_dir / "audit.lock")

    # ------------------------------------------------------------------ writing
    def announce(self, changes: Sequence[Change], summary: str, files: Mapping[str, Write]) -> str | None:
        """Have entries on the disk before the files they are about; the name of the intent, None when there is nothing
        to be said. Raises JsonSideError; then nothing was written."""
        if not changes:
            return None
        name, rows = secrets.token_hex(8), rows_of(changes, actor(), now())
        told = {"intent": name, "rows": rows, "summary": summary, "files": dict(self._witnesses(files))}
        self._append([_line(told)], sync=True)
        return name

    def confirm(self, name: str | None) -> None:
        """The change of this intent counts. When that cannot be written, it is found out later."""
        if name is not None:
            with contextlib.suppress(StoreError):
                self._append([_line({_COUNTS: name})], sync=False)

    def keep(self, rows: Sequence[Row]) -> None:
        """Keep entries of something that is done already. Raises JsonSideError."""
        name = secrets.token_hex(8)
        with self._side.lock.hold(1):
            self.settle()
            lines = [_line({"intent": name, "rows": list(rows), "summary": "", "files": {}}), _line({_COUNTS: name})]
            self._append(lines, sync=True)

    def _witnesses(self, files: Mapping[str, Write]) -> Iterator[tuple[str, dict[str, Any]]]:
        """What tells later whether files were written: what they will hold, and how they were before."""
        seen = 0
        for path, data in files.items():
            if seen == WITNESSES:
                return
            if isinstance(data, bytes):
                after: list[int] | None = [0, len(data), zlib.crc32(data)]
            elif isinstance(data, Append):
                after = [data.offset, len(data.data), zlib.crc32(data.data)]
            elif data is None:
                after = None
            else:  # a copy, which is made before all else
                continue
            seen += 1
            yield path, {"after": after, "before": self._signature(path)}

    def _append(self, lines: Iterable[bytes], *, sync: bool) -> None:
        data = b"".join(lines)
        with told_as_json_side(self._side.own_dir):
            size = self._size()
            if sync:
                append(self._system, self._path, Append(size, data))
                if not size:
                    self._system.sync_folder(self._side.own_dir)
                return
            handle = self._system.open_to_append(self._path)
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[self._system.write(handle, bytes(rest)) :]
            finally:
                self._system.close(handle)

    # ------------------------------------------------------------------ what a killed process left
    def settle(self) -> None:
        """Find out about the change of an intent that nobody confirmed, before the next one is made. The journal was
        carried out before. Raises JsonSideError."""
        with told_as_json_side(self._side.own_dir):
            size = self._size()
            if not size:
                return
            end = self._system.read_from(self._path, max(size - _LAST, 0), _LAST)
            last = _read(end[:-1].rpartition(b"\n")[2]) if end.endswith(b"\n") else None
            if last is not None and "intent" not in last:
                return
            data = self._system.read(self._path)
            whole = data[: data.rfind(b"\n") + 1]
            if len(whole) < len(data):  # its change had not begun
                append(self._system, self._path, Append(len(whole), b""))
        open_ones: dict[str, dict[str, Any]] = {}
        for line in _lines(whole):
            if "intent" in line:
                open_ones[line["intent"]] = line
            else:
                for name in line.values():
                    open_ones.pop(name, None)
        verdicts = [_line({self._verdict(intent["files"]): name}) for name, intent in open_ones.items()]
        if verdicts:
            self._append(verdicts, sync=True)

    def _verdict(self, files: Mapping[str, Any]) -> str:
        """Whether the change counts whose intent names these files."""
        seen = {
            (self._holds(path, witness["after"]), self._signature(path) == witness["before"])
            for path, witness in files.items()
        }
        if (True, False) in seen:
            return _COUNTS
        if (False, True) in seen:
            return _VOID
        # All of them were before as they had to become; or all were written by others.
        return UNKNOWN if (False, False) in seen else _COUNTS

    def _holds(self, path: str, after: Sequence[int] | None) -> bool:
        place = self._side.data_dir / path
        with told_as_json_side(self._side.data_dir):
            try:
                size = self._system.signature(place).size
                if after is None or size < after[0] + after[1] or (not after[0] and size != after[1]):
                    return False
                return zlib.crc32(self._system.read_from(place, after[0], after[1])) == after[2]
            except FileNotFoundError:
                return after is None

    def _signature(self, path: str) -> list[int] | None:
        with told_as_json_side(self._side.data_dir):
            try:
                found: Signature = self._system.signature(self._side.data_dir / path)
            except FileNotFoundError:
                return None
        return list(found)

    # ------------------------------------------------------------------ to the database
    def waits(self) -> bool:
        """Whether entries may wait for the database."""
        with told_as_json_side(self._side.own_dir):
            return self._size() > 0

    def bring_over(self, database: Database, timeout: float = 0) -> int:
        """Give the database what waits; how many changes that were. Raises DatabaseError, JsonSideError; what was not
        given still waits."""
        if not self.waits():
            return 0
        with self._lock.hold(timeout):
            with self._side.lock.hold(max(timeout, 1.0)):
                self._side.journal.recover(changing=False)
                self.settle()
                with told_as_json_side(self._side.own_dir):
                    data = self._system.read(self._path)
            given = self._give(database, data)
            with self._side.lock.hold(max(timeout, 1.0)):
                self._drop(len(data))
        return given

    @staticmethod
    def _give(database: Database, data: bytes) -> int:
        settled: dict[str, str] = {}
        intents: list[dict[str, Any]] = []
        for line in _lines(data):
            if "intent" in line:
                intents.append(line)
            else:
                settled.update({name: verdict for verdict, name in line.items()})
        audit, given = Audit(database), 0
        with database.write() as connection:
            known = audit.spooled(connection, [intent["intent"] for intent in intents])
            for intent in intents:
                verdict = settled.get(intent["intent"], UNKNOWN)
                if verdict == _VOID or intent["intent"] in known:
                    continue
                doubt = {"outcome": UNKNOWN, "message": _DOUBT} if verdict == UNKNOWN else {}
                rows = [row | doubt for row in intent["rows"]]
                audit.insert(connection, [rows[0] | {"spooled": intent["intent"]}, *rows[1:]], intent["summary"])
                given += 1
        return given

    def _drop(self, size: int) -> None:
        """Forget the first bytes: the database has them."""
        with told_as_json_side(self._side.own_dir):
            rest = self._system.read_from(self._path, size, max(self._size() - size, 0))
            if not rest:
                handle = self._system.open_to_append(self._path)
                try:
                    self._system.truncate(handle, 0)  # lost in a power cut, it is only done again
                finally:
                    self._system.close(handle)
                return
        self._side.write_own(FILE, rest)

    def _size(self) -> int:
        try:
            return self._system.signature(self._path).size
        except FileNotFoundError:
            return 0


def _line(content: Mapping[str, Any]) -> bytes:
    body = codec.dumps(dict(content))
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _read(line: bytes) -> dict[str, Any] | None:
    """What a line says; None where it is not whole."""
    told, _, body = line.partition(b" ")
    if told != b"%08x" % zlib.crc32(body):
        return None
    try:
        content: dict[str, Any] = codec.loads(body)
    except InvalidValueError:
        return None
    return content


def _lines(data: bytes) -> Iterator[dict[str, Any]]:
    """Every line; one that cannot be read is told, and passed over."""
    for number, line in enumerate(data.splitlines(), 1):
        if (content := _read(line)) is not None:
            yield content
        else:
            log.error("Line %d of the audit's file is damaged: it is passed over.", number)
