"""What the files of a shelf hold, and a record as its file should have it."""

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from sqlalchemy import Table

from store import codec, rows
from store.documents.base import EPOCH, Document
from store.errors import InvalidRecordError, StoreError, UnreadableError
from store.files.aggregates import Aggregate, is_version
from store.files.shelves import Entry, Record, Shelf, parse_object, read_or_none
from store.files.side import JsonSide
from store.mapping import MAPPINGS, Mapping, Row, Rows
from store.validation.report import Difference, Unreadable
from store.validation.rows import own_tables
from store.validation.tally import FILE, SQL, Derived, Outcome


@dataclass
class Found:
    """What the files of a shelf hold."""

    entries: dict[tuple[str, str], tuple[Entry, str]] = field(default_factory=dict)
    bad: list[tuple[str, str | None, UnreadableError]] = field(default_factory=list)  # path, id, error
    whole: list[UnreadableError] = field(default_factory=list)  # files of which nothing can be read
    files: dict[str, bytes] = field(default_factory=dict)
    known: set[tuple[str, str]] = field(default_factory=set)


@dataclass(frozen=True)
class Facts:
    """What a chat's file is really like, where it is not as SQL has it. ``wanted``: its size if it were."""

    count: int
    last: str | None
    size: int
    wanted: int


def rendered(mapping: Mapping, loaded: Rows) -> tuple[Document | None, Record, InvalidRecordError | None]:
    """A record as its file should have it; or why no file can."""
    try:
        return *mapping.check(loaded), None
    except InvalidRecordError as error:
        return None, {}, error
    except (TypeError, ValueError, KeyError) as error:  # a value of a kind that no column of Quilltap's has
        label = mapping.document.called(loaded[mapping.main.name][0])
        unfit = InvalidRecordError(label, {"record": "it holds a value of another kind than its column"})
        unfit.__cause__ = error
        return None, {}, unfit


def record_bytes(mapping: Mapping, loaded: Rows, sound: bool) -> tuple[Record, bytes] | None:
    """A record and the file of its own that it makes; None when no file can hold it. ``sound``: it is known to be
    valid."""
    if sound:
        record = mapping.to_record(loaded)
    else:
        document, record, _ = rendered(mapping, loaded)
        if document is None:
            return None
    return record, codec.dumps_pretty(record)


def lost(mapping: Mapping, loaded: Rows, record: Record) -> bool:
    """Whether the rows that a file would give back are not those it was made of."""
    if mapping.derived:
        return False
    back = mapping.to_rows(record)
    if all(_are_the_same(table, loaded.get(table.name), back.get(table.name)) for table in own_tables(mapping)):
        return False
    return rows.differ(mapping, loaded, back)


def _are_the_same(table: Table, before: list[Row] | None, after: list[Row] | None) -> bool:
    """False also where a closer look is needed."""
    if not before or not after or len(before) != len(after):
        return not before and not after
    if len(before) > 1:
        keys = _primary_key(table)
        before, after = sorted(before, key=keys), sorted(after, key=keys)
    return before == after


@functools.cache
def _primary_key(table: Table) -> Callable[[Row], Any]:
    return itemgetter(*(column.name for column in table.primary_key))


def told(error: StoreError, kind: str, shown: str | None) -> Unreadable:
    cause = error.__cause__ if isinstance(error, UnreadableError) else error
    fields = tuple(cause.problems) if isinstance(cause, InvalidRecordError) else ()
    if isinstance(error, UnreadableError):
        return Unreadable(error.path, error.line, kind, shown, error.reason, fields)
    return Unreadable(SQL, None, kind, shown, error.message.rstrip("."), fields)


def kind_of(shelf: Shelf, record_id: str | None, found: Found) -> str:
    """The kind of a bad record, as far as it can be told."""
    return next((kind for kind in shelf.kinds if (kind, record_id) in found.known), shelf.kinds[0])


def compare_wrapper(shelf: Shelf, found: Found, in_file: Outcome) -> None:
    """The dates of a file are those of its records, and its version is a number. What else lies around its lists is
    somebody else's."""
    if not isinstance(shelf, Aggregate) or not shelf.path.endswith(".json"):
        return
    path = shelf.path
    if path not in found.files or any(bad[0] == path for bad in found.bad):
        return
    with contextlib.suppress(UnreadableError):
        wrapper = parse_object(path, found.files[path])
        records = [one for name in shelf.list_names for one in wrapper.get(name, ())]
        for name, choose in (("createdAt", min), ("updatedAt", max)):
            wanted = choose((one[name] for one in records if isinstance(one.get(name), str)), default=EPOCH)
            _compare_in_wrapper(shelf, path, name, wanted, wrapper.get(name), in_file)
        if not is_version(version := wrapper.get("version", 1)):
            _compare_in_wrapper(shelf, path, "version", 1, version, in_file)


def _compare_in_wrapper(shelf: Shelf, path: str, name: str, wanted: Any, there: Any, in_file: Outcome) -> None:
    if there != wanted:
        model = MAPPINGS[shelf.kinds[0]].model
        in_file.derived.append(Derived(Difference(model, path, name, wanted, there, FILE, path)))


def read_shelf(side: JsonSide, shelf: Shelf) -> Found:
    """Every file of a shelf."""
    found = Found()
    for path, _ in side.files(shelf.kinds[0]):
        try:
            data = read_or_none(side.system, side.data_dir, path)
        except UnreadableError as error:
            found.whole.append(error)
            continue
        if data is None:
            continue
        found.files[path] = data
        entries, bad = shelf.parse(path, data)
        if not entries and len(bad) == 1 and bad[0][0] is None and bad[0][1].line is None:
            found.whole.append(bad[0][1])
            continue
        found.bad += [(path, record_id, error) for record_id, error in bad]
        for entry in entries:
            if (entry.kind, entry.id) in found.entries:
                other = found.entries[entry.kind, entry.id][1]
                twice = UnreadableError(path, f"the record is there twice, here and in {other}")
                found.bad.append((path, entry.id, twice))
            else:
                found.entries[entry.kind, entry.id] = (entry, path)
    found.known = set(found.entries)
    return found
