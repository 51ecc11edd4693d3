"""Many records in one file, and beside it, line by line, those that would make Quilltap refuse the whole file."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from store import codec
from store.documents.base import Document, with_unknown
from store.errors import StoreError, UnreadableError
from store.files.forms import Form, LinesForm, Piece
from store.files.shelves import (
    Bad,
    Changes,
    Context,
    Entity,
    Entry,
    Plan,
    Record,
    parse_json,
    read_or_none,
    understand,
)
from store.files.system import Signature, System
from store.quilltap import rejection

_LINES = LinesForm()
_BEGINS_WITH_VERSION = re.compile(rb'\{\s*"version":\s*[0-9]+\s*,')  # as nearly every file does


def by_creation(record: Record) -> tuple[str, ...]:
    """The order of most files."""
    return record["createdAt"], record["id"]


@dataclass(frozen=True)
class Section:
    """The records of one kind in a file. ``owns`` tells them from others in the same lines; ``list_name`` is their list
    in an object."""

    kind: str
    document: type[Document]
    list_name: str = ""
    owns: Callable[[Record], bool] = lambda record: True
    order: Callable[[Record], tuple[str, ...]] = by_creation


@dataclass
class _Contents:
    """The two files as they are: good records, and what else they hold, untouched."""

    good: dict[Entity, Record] = field(default_factory=dict)
    bad: dict[Entity, UnreadableError] = field(default_factory=dict)
    rest: list[Piece] = field(default_factory=list)  # of the file
    side_rest: list[Piece] = field(default_factory=list)


class Aggregate:
    """One file for many records of one or several kinds; ``side_path`` has the records Quilltap would refuse."""

    def __init__(self, path: str, form: Form, *sections: Section, side_name: str = "") -> None:
        self.path, self._form, self._sections = path, form, sections
        self.kinds = tuple(section.kind for section in sections)
        self._by_kind = {section.kind: section for section in sections}
        name = side_name or path.rpartition("/")[2].partition(".")[0]
        self.side_path = f"extras/{name}.jsonl"

    @property
    def list_names(self) -> tuple[str, ...]:
        """The lists of the object that holds its records; none where those are lines."""
        return tuple(section.list_name for section in self._sections if section.list_name)

    def folders(self) -> tuple[str, ...]:
        return (self.path.rpartition("/")[0], "extras")

    def owns(self, path: str) -> bool:
        return path in (self.path, self.side_path)

    def files(self, system: System, root: Path) -> Iterator[tuple[str, Signature]]:
        for path in (self.path, self.side_path):
            try:
                yield path, system.signature(root / path)
            except FileNotFoundError:
                continue

    def paths(self, record_id: str) -> tuple[str, ...]:
        return (self.path, self.side_path)

    # ------------------------------------------------------------------ order
    def order(self, kind: str, record: Record) -> tuple[str, ...]:
        """By what records of a kind are sorted."""
        return self._by_kind[kind].order(record)

    def in_lists(self, path: str, entries: Iterable[Entry]) -> list[list[Entry]]:
        """The records of a file as they are in one order each: list by list, or all of its lines."""
        found: dict[str, list[Entry]] = {}
        for entry in entries:
            found.setdefault(self._by_kind[entry.kind].list_name if path == self.path else "", []).append(entry)
        return list(found.values())

    # ------------------------------------------------------------------ reading
    def parse(self, path: str, data: bytes) -> tuple[list[Entry], list[Bad]]:
        good: list[Entry] = []
        bad: list[Bad] = []
        seen: set[Entity] = set()
        try:
            pieces = list(self._pieces(path, data))
        except UnreadableError as whole:
            return [], [(None, whole)]
        for piece in pieces:
            entry, problem = self._judge(path, piece, seen)
            if entry:
                good.append(entry)
            elif problem:
                section = self._section(path, piece)
                bad.append((section.document.id_of(piece.record) if section else _id_of(piece.record), problem))
        return good, bad

    def readable(self, path: str, data: bytes) -> bytes | None:
        """The file without the records that cannot be read; None when nothing can be. What is somebody else's stays."""
        try:
            pieces = list(self._pieces(path, data))
        except UnreadableError:
            return None
        good: dict[str, list[Record]] = {}
        rest, seen = [], set[Entity]()
        for piece in pieces:
            entry, problem = self._judge(path, piece, seen)
            if entry:
                good.setdefault(piece.list_name, []).append(entry.record)
            elif not problem:
                rest.append(piece)
        return (self._form if path == self.path else _LINES).render(data, path, good, rest)

    def _pieces(self, path: str, data: bytes) -> Iterator[Piece]:
        return (self._form if path == self.path else _LINES).pieces(path, data)

    def _section(self, path: str, piece: Piece) -> Section | None:
        for section in self._sections:
            if path == self.path and section.list_name:
                if section.list_name == piece.list_name:
                    return section
            elif isinstance(piece.record, dict) and section.owns(piece.record):
                return section
        return None

    def is_foreign(self, record: Any) -> bool:
        """Whether a record that no section owns is Quilltap's own business: then it is kept, and no problem."""
        return False

    def _judge(self, path: str, piece: Piece, seen: set[Entity]) -> tuple[Entry | None, UnreadableError | None]:
        """The record of a piece, or what is wrong with it; neither for what is somebody else's."""
        if piece.error:
            return None, piece.error
        section = self._section(path, piece)
        if section is None:
            if self.is_foreign(piece.record):
                return None, None
            return None, UnreadableError(path, "a record is not of a kind that belongs there", line=piece.line)
        try:
            record, document = understand(section.document, path, piece.record, piece.line)
        except UnreadableError as error:
            return None, error
        entity = section.kind, document.id
        if entity in seen:
            called = section.document.called(record)  # which tells no token
            return None, UnreadableError(path, f"{called[0].lower()}{called[1:]} is there twice", line=piece.line)
        seen.add(entity)
        return Entry(section.kind, document.id, record, document), None

    # ------------------------------------------------------------------ writing
    def plan(self, system: System, root: Path, changes: dict[str, Changes], context: Context) -> Plan:
        plan = Plan({}, {})
        asked = [(kind, record_id) for kind, records in changes.items() for record_id in records]
        try:
            old, old_side = (read_or_none(system, root, path) for path in (self.path, self.side_path))
            contents = self._contents(old, old_side)
        except UnreadableError as error:  # the whole file: every change would have to touch it
            return Plan({}, dict.fromkeys(asked, error))
        documents = {section.kind: section.document for section in self._sections}
        for entity in asked:
            record = changes[entity[0]][entity[1]]
            if entity in contents.bad:
                plan.refused[entity] = contents.bad[entity]
            elif record is None:
                contents.good.pop(entity, None)
            else:
                before = contents.good.get(entity, {})
                record = self.prepared(entity, record, before, system, root, context)
                contents.good[entity] = with_unknown(documents[entity[0]], record, before)
        try:
            new, new_side = self._render(contents, old)
        except StoreError as error:
            return Plan({}, dict.fromkeys(asked, error))
        if new != old and (contents.good or contents.rest or old is not None):
            plan.files[self.path] = new
        if new_side != (old_side or b""):
            plan.files[self.side_path] = new_side or None
        return plan

    def prepared(
        self, entity: Entity, record: Record, before: Record, system: System, root: Path, context: Context
    ) -> Record:
        """The record with what only the files can tell. ``before``: as the file has it; empty when it is new."""
        return record

    def _contents(self, old: bytes | None, old_side: bytes | None) -> _Contents:
        contents = _Contents()
        for path, data, rest in (
            (self.path, old, contents.rest),
            (self.side_path, old_side, contents.side_rest),
        ):
            seen: set[Entity] = set()
            for piece in self._pieces(path, data) if data is not None else ():
                entry, error = self._judge(path, piece, seen)
                if entry is not None:
                    contents.good[entry.kind, entry.id] = entry.record
                    continue
                rest.append(piece)  # of two with one id the second stays as it is, and neither is changed
                section = self._section(path, piece)
                record_id = section.document.id_of(piece.record) if section else None
                if error and section and record_id is not None:
                    contents.bad[section.kind, record_id] = error
        return contents

    def _render(self, contents: _Contents, old: bytes | None) -> tuple[bytes, bytes]:
        good: dict[str, list[Record]] = {}
        refused: list[Record] = []
        # Lines have no lists: the records of all kinds are in one order.
        ordered = [
            (section.order(record), section, record)
            for section in self._sections
            for (kind, _), record in contents.good.items()
            if kind == section.kind
        ]
        for _, section, record in sorted(ordered, key=lambda one: one[0]):
            if rejection(section.kind, record):
                refused.append(record)
            else:
                good.setdefault(section.list_name, []).append(record)
        new = self._form.render(self._with_version(old), self.path, good, contents.rest)
        return new, _LINES.render(None, self.side_path, {"": refused}, contents.side_rest)

    def _with_version(self, old: bytes | None) -> bytes | None:
        """The file without a version that is no number: Quilltap would take the file for empty."""
        if old is None or not self.path.endswith(".json") or _BEGINS_WITH_VERSION.match(old):
            return old
        wrapper = parse_json(self.path, old)
        if not isinstance(wrapper, dict) or is_version(wrapper.get("version", 1)):
            return old
        return codec.dumps({key: value for key, value in wrapper.items() if key != "version"})


def is_version(value: Any) -> bool:
    """Whether Quilltap takes this for the version of a file: any number."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _id_of(record: Any) -> str | None:
    record_id = record.get("id") if isinstance(record, dict) else None
    return record_id if isinstance(record_id, str) else None
