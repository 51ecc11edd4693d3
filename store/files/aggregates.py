"""Many records in one .json file, and beside it, line by line, those that would make Quilltap refuse the whole file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store import codec
from store.documents.base import EPOCH, Document, with_unknown
from store.documents.quilltap import rejection
from store.errors import StoreError, UnreadableError
from store.files.shelves import (
    Changes,
    Entry,
    Plan,
    Record,
    parse_object,
    read_or_none,
    understand,
)
from store.files.system import Signature, System

Bad = tuple[str | None, UnreadableError]


@dataclass
class _Contents:
    """The two files as they are: good records by id, and the bad ones untouched."""

    wrapper: Record
    good: dict[str, Record]
    bad_ids: dict[str, UnreadableError]
    bad_records: list[Any]  # of the .json file
    bad_lines: list[bytes]  # of the side file
    seen: set[tuple[str, str]]  # file and id


class Aggregate:
    """``path`` holds ``{"version", key: […], "createdAt", "updatedAt"}``; ``side_path`` the records Quilltap would
    refuse."""

    def __init__(self, kind: str, path: str, key: str, document: type[Document]) -> None:
        self.kind, self.path, self._key, self._document = kind, path, key, document
        self.side_path = f"extras/{path.rpartition('/')[2].removesuffix('.json')}.jsonl"

    def folders(self) -> tuple[str, ...]:
        return (self.path.rpartition("/")[0], "extras")

    def files(self, system: System, root: Path) -> Iterator[tuple[str, Signature]]:
        for path in (self.path, self.side_path):
            try:
                yield path, system.signature(root / path)
            except FileNotFoundError:
                continue

    def paths(self, record_id: str) -> tuple[str, ...]:
        return (self.path, self.side_path)

    def parse(self, path: str, data: bytes) -> tuple[list[Entry], list[Bad]]:
        good: list[Entry] = []
        bad: list[Bad] = []
        seen: set[str] = set()

        def take(record: Any, line: int | None) -> None:
            try:
                document = understand(self._document, path, record, line)
                if record["id"] in seen:
                    raise UnreadableError(path, f"the {self.kind} {record['id']} is there twice", line=line)
                seen.add(record["id"])
                good.append(Entry(record["id"], record, document))
            except UnreadableError as error:
                bad.append((_id_of(record), error))

        if path == self.path:
            try:
                records = self._records(parse_object(path, data))
            except UnreadableError as error:
                return [], [(None, error)]
            for record in records:
                take(record, None)
            return good, bad
        for number, line in _lines(data):
            try:
                take(parse_object(path, line, number), number)
            except UnreadableError as error:
                bad.append((None, error))
        return good, bad

    def _records(self, wrapper: Record) -> list[Any]:
        records = wrapper.get(self._key, [])
        if not isinstance(records, list):
            raise UnreadableError(self.path, f"“{self._key}” is not a list")
        return records

    def plan(self, system: System, root: Path, changes: Changes) -> Plan:
        plan = Plan({}, {})
        try:
            old, old_side = (read_or_none(system, root, path) for path in (self.path, self.side_path))
            contents = self._contents(old, old_side)
        except UnreadableError as error:  # the whole file: every change would have to touch it
            return Plan({}, dict.fromkeys(changes, error))
        for record_id, record in changes.items():
            if record_id in contents.bad_ids:
                plan.refused[record_id] = contents.bad_ids[record_id]
            elif record is None:
                contents.good.pop(record_id, None)
            else:
                previous = contents.good.get(record_id, {})
                contents.good[record_id] = with_unknown(self._document, record, previous)
        try:
            new, new_side = self._render(contents)
        except StoreError as error:
            return Plan({}, dict.fromkeys(changes, error))
        if new != old and (contents.good or contents.bad_records or old is not None):
            plan.files[self.path] = new
        if new_side != (old_side or b""):
            plan.files[self.side_path] = new_side or None
        return plan

    def _contents(self, old: bytes | None, old_side: bytes | None) -> _Contents:
        wrapper = parse_object(self.path, old) if old is not None else {}
        contents = _Contents(wrapper, {}, {}, [], [], set())

        for record in self._records(wrapper):
            if not self._is_good(contents, self.path, record, None):
                contents.bad_records.append(record)
        for number, line in _lines(old_side or b""):
            try:
                record = parse_object(self.side_path, line, number)
            except UnreadableError:
                contents.bad_lines.append(line)
                continue
            if not self._is_good(contents, self.side_path, record, number):
                contents.bad_lines.append(line)
        return contents

    def _is_good(self, contents: _Contents, path: str, record: Any, line: int | None) -> bool:
        try:
            understand(self._document, path, record, line)
        except UnreadableError as error:
            if (record_id := _id_of(record)) is not None:
                contents.bad_ids[record_id] = error
            return False
        if (path, record["id"]) in contents.seen:  # the second stays as it is, and neither is changed
            problem = UnreadableError(path, f"the {self.kind} {record['id']} is there twice", line=line)
            contents.bad_ids[record["id"]] = problem
            return False
        contents.seen.add((path, record["id"]))
        contents.good[record["id"]] = record
        return True

    def _render(self, contents: _Contents) -> tuple[bytes, bytes]:
        ordered = sorted(contents.good.values(), key=lambda record: (record["createdAt"], record["id"]))
        taken: list[Record] = []
        refused: list[Record] = []
        for record in ordered:
            (refused if rejection(self.kind, record) else taken).append(record)
        known = ("version", self._key, "createdAt", "updatedAt")
        wrapper = {
            "version": contents.wrapper.get("version", 1),
            self._key: [*taken, *contents.bad_records],
            "createdAt": min((record["createdAt"] for record in taken), default=EPOCH),
            "updatedAt": max((record["updatedAt"] for record in taken), default=EPOCH),
            **{key: value for key, value in contents.wrapper.items() if key not in known},
        }
        side = b"".join(line + b"\n" for line in (*map(codec.dumps, refused), *contents.bad_lines))
        return codec.dumps_pretty(wrapper), side


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            yield number, line


def _id_of(record: Any) -> str | None:
    record_id = record.get("id") if isinstance(record, dict) else None
    return record_id if isinstance(record_id, str) else None
