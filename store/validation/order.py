"""The order of records in the files that hold many, and of messages in the files of chats."""

from bisect import bisect_left
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from store import rows
from store.files.aggregates import Aggregate
from store.files.shelves import Entity, Entry, Shelf
from store.mapping import MAPPINGS
from store.validation.reading import Found

Places = tuple[int, int]  # where SQL would have it, and where it is; from 1


def out_of_place(places: Sequence[int]) -> set[int]:
    """Which of these do not rise with the others, by their index: as few as can be, so that those around them are told
    to be right."""
    ends: list[int] = []  # the longest row of rising places: its last ones, by length
    lengths = []
    for place in places:
        length = bisect_left(ends, place)
        ends[length:] = [place]
        lengths.append(length)
    wrong, wanted, before = set(range(len(places))), len(ends) - 1, max(places, default=0) + 1
    for number in range(len(places) - 1, -1, -1):
        if lengths[number] == wanted and places[number] < before:
            wrong.remove(number)
            wanted, before = wanted - 1, places[number]
    return wrong


def misplaced(connection: Connection, shelf: Shelf, found: Found) -> dict[Entity, Places]:
    """The records of a file of many that do not lie in their place."""
    wrong: dict[Entity, Places] = {}
    if not isinstance(shelf, Aggregate):
        return wrong
    for path in found.files:
        for entries in shelf.in_lists(path, [entry for entry, there in found.entries.values() if there == path]):
            keys = [shelf.order(entry.kind, entry.record) for entry in entries]
            if keys != sorted(keys):  # a date that only the file has wrong moves nothing
                keys = _as_sql_has_them(connection, shelf, entries, keys)
                in_order = sorted(range(len(entries)), key=keys.__getitem__)
                for number in out_of_place(in_order):
                    entry = entries[in_order[number]]
                    wrong[entry.kind, entry.id] = (number + 1, in_order[number] + 1)
    return wrong


def _as_sql_has_them(
    connection: Connection, shelf: Aggregate, entries: Sequence[Entry], keys: list[tuple[str, ...]]
) -> list[tuple[str, ...]]:
    by_entity = {(entry.kind, entry.id): key for entry, key in zip(entries, keys, strict=True)}
    for kind in shelf.kinds:
        mapping = MAPPINGS[kind]
        columns = [
            mapping.main.c[name] for name in ("id", "createdAt", "identifier", "token") if name in mapping.main.c
        ]
        for some in rows.chunks(one for of, one in list(by_entity) if of == kind):
            asked = sa.select(*columns).where(mapping.main.c[mapping.key].in_(some))
            for row in connection.execute(asked).mappings():
                if all(isinstance(value, str) for value in row.values()):
                    by_entity[kind, row[mapping.key]] = shelf.order(kind, dict(row))
    return [by_entity[entry.kind, entry.id] for entry in entries]
