"""How records lie in files: a file per record, or one file for many. Reading tells bad records apart, writing leaves
them be."""

import errno
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote

from store import codec
from store.documents.base import Document, known, with_unknown
from store.errors import InvalidRecordError, InvalidValueError, StoreError, UnreadableError
from store.files.public import PublicFiles
from store.files.replace import Write
from store.files.system import Signature, System

_OFFSET = re.compile(r"T\d\d:\d\d.*[+-]\d\d:?\d\d\Z")
_MOMENTS = frozenset(
    ["createdAt", "updatedAt", "lastMessageAt", "lastUsed", "expires", "emailVerified", "verifiedAt", "totpVerifiedAt"]
)
_FREE_FORM = frozenset(["sillyTavernData", "sillyTavernMetadata", "parameters", "rawResponse", "raw"])
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PIECE = 1 << 20  # bytes read at once
LONGEST_NAME = 255  # bytes; file names are ASCII here
Record = dict[str, Any]
Changes = dict[str, Record | None]  # id -> the record as it should be; None: there should be none
Entity = tuple[str, str]  # kind, id
Bad = tuple[str | None, UnreadableError]  # the id of a bad record, where it can be told


@dataclass(frozen=True)
class Entry:
    """A record found in a file. ``record`` is as the file has it, ``document`` as it was understood."""

    kind: str
    id: str
    record: Record
    document: Document


@dataclass(frozen=True)
class Plan:
    """What a change means for files: path below the data folder -> what becomes of it, and what is refused."""

    files: dict[str, Write]
    refused: dict[Entity, StoreError]


@dataclass(frozen=True)
class Context:
    """What a plan may ask about other files: how long those will be that are written with it, and the real bytes of
    images."""

    sizes: Mapping[str, int] = field(default_factory=dict)
    public: PublicFiles | None = None


class Shelf(Protocol):
    """Where the records of one kind, or of several, lie. Paths are relative to the data folder, with ``/``."""

    @property
    def kinds(self) -> tuple[str, ...]: ...

    def folders(self) -> tuple[str, ...]:
        """The folders that hold its files."""

    def owns(self, path: str) -> bool:
        """Whether a file with this path is one of its files."""

    def files(self, system: System, root: Path) -> Iterator[tuple[str, Signature]]:
        """Every file that is there."""

    def paths(self, record_id: str) -> tuple[str, ...]:
        """The files that may hold the record."""

    def parse(self, path: str, data: bytes) -> tuple[list[Entry], list[Bad]]:
        """The good records of a file, and its bad ones with their id where it can be told."""

    def plan(self, system: System, root: Path, changes: dict[str, Changes], context: Context) -> Plan:
        """What has to be written. Nothing is written yet. The caller holds the store lock."""


def read_or_none(system: System, root: Path, path: str) -> bytes | None:
    """The file's bytes, None when there is no such file. Whatever else goes wrong is no missing file:
    UnreadableError."""
    try:
        return system.read(root / path)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # so there cannot be one
            return None
        raise UnreadableError(path, error.strerror or str(error)) from error


def read_with_signature(system: System, root: Path, path: str) -> tuple[bytes, Signature] | None:
    """The file's bytes and what that very file is known by, None when there is no such file. Raises UnreadableError."""
    try:
        while True:
            handle = system.open_to_read(root / path)
            try:
                before, pieces = system.signature_of(handle), []
                while piece := system.read_some(handle, _PIECE):
                    pieces.append(piece)
                after = system.signature_of(handle)
            finally:
                system.close(handle)
            if before == after:  # else somebody is writing it
                return b"".join(pieces), after
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreadableError(path, error.strerror or str(error)) from error


def parse_json(path: str, data: bytes, line: int | None = None) -> Any:
    """A JSON value. Raises UnreadableError that names the place."""
    try:
        return codec.loads(data)
    except InvalidValueError as error:
        raise UnreadableError(path, error.message.rstrip("."), line=line) from error


def parse_object(path: str, data: bytes, line: int | None = None) -> Record:
    """A JSON object. Raises UnreadableError that names the place."""
    value = parse_json(path, data, line)
    if not isinstance(value, dict):
        raise UnreadableError(path, "it is not a JSON object", line=line)
    return value


def understand(document: type[Document], path: str, record: Any, line: int | None = None) -> tuple[Record, Document]:
    """A record of a file, completed where Quilltap leaves out what it needs, and its document; keys that Quilltap added
    later are passed over. Raises UnreadableError."""
    if not isinstance(record, dict):
        raise UnreadableError(path, "a record is not a JSON object", line=line)
    try:
        record = document.completed(record)
        understood = document.check(known(document, record))
        return (_in_utc(record, understood.model_dump()) if _names_offset(record) else record), understood
    except InvalidRecordError as error:
        raise UnreadableError(path, error.message.rstrip("."), line=line) from error


def _names_offset(record: Any) -> bool:
    """Whether a moment with an offset may be in a record. Quilltap refuses those, and as text they sort elsewhere."""
    if isinstance(record, list):
        return any(map(_names_offset, record))
    if isinstance(record, dict):
        for key, value in record.items():
            if value.__class__ is str:
                if key in _MOMENTS and not value.endswith("Z"):
                    return True
            elif value.__class__ in (dict, list) and key not in _FREE_FORM and _names_offset(value):
                return True
    return False


def _in_utc(record: Any, understood: Any) -> Any:
    """The record with its moments as the document spells them."""
    if isinstance(record, dict) and isinstance(understood, dict):
        return {key: _in_utc(value, understood[key]) if key in understood else value for key, value in record.items()}
    if isinstance(record, list) and isinstance(understood, list) and len(record) == len(understood):
        return [_in_utc(*pair) for pair in zip(record, understood, strict=True)]
    is_moment = isinstance(record, str) and isinstance(understood, str) and _OFFSET.search(record)
    return understood if is_moment else record


def check_name(path: str, noun: str = "record") -> None:
    """Raise InvalidRecordError when no file can have this name. ``noun``: what would lie in it."""
    name = path.rpartition("/")[2]
    if len(name) > LONGEST_NAME:
        raise InvalidRecordError(f"The {noun} {name[:40]}…", {"id": "it is too long for the name of a file"})


def file_name(record_id: str) -> str:
    """The id as a file name: percent-encoded where it is not a letter, digit, ``_`` or ``-``."""
    if _PLAIN_NAME.fullmatch(record_id):
        return f"{record_id}.json"
    return quote(record_id, safe="").replace(".", "%2E").replace("~", "%7E") + ".json"


class OwnFiles:
    """One file per record, named by its id."""

    def __init__(self, kind: str, folder: str, document: type[Document]) -> None:
        self.kind, self._folder, self._document = kind, folder, document
        self.kinds = (kind,)

    def folders(self) -> tuple[str, ...]:
        return (self._folder,)

    def owns(self, path: str) -> bool:
        return path.startswith(f"{self._folder}/")

    def files(self, system: System, root: Path) -> Iterator[tuple[str, Signature]]:
        for name, signature in system.list(root / self._folder):
            if name.endswith(".json"):
                yield f"{self._folder}/{name}", signature

    def paths(self, record_id: str) -> tuple[str, ...]:
        return (f"{self._folder}/{file_name(record_id)}",)

    def parse(self, path: str, data: bytes) -> tuple[list[Entry], list[Bad]]:
        named = unquote(path.rpartition("/")[2].removesuffix(".json"))
        try:
            record, document = understand(self._document, path, parse_object(path, data))
            if record["id"] != named:
                raise UnreadableError(path, f"it holds the id {record['id']}, which is not its name")
        except UnreadableError as error:
            return [], [(named, error)]
        return [Entry(self.kind, named, record, document)], []

    def plan(self, system: System, root: Path, changes: dict[str, Changes], context: Context) -> Plan:
        plan = Plan({}, {})
        for record_id, record in changes[self.kind].items():
            (path,) = self.paths(record_id)
            try:
                old = read_or_none(system, root, path)
                if old is None:
                    if record is not None:
                        check_name(path, self._document.noun)
                        plan.files[path] = codec.dumps_pretty(record)
                    continue
                entries, bad = self.parse(path, old)
                if bad:
                    raise bad[0][1]
                if record is None:
                    plan.files[path] = None
                else:
                    new = codec.dumps_pretty(with_unknown(self._document, record, entries[0].record))
                    if new != old:
                        plan.files[path] = new
            except StoreError as error:
                plan.refused[self.kind, record_id] = error
        return plan
