"""Reading and writing the rows of whole records: one snapshot in, only what changed out."""

import contextlib
import functools
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Dialect, Table

from store import codec
from store.columns import are_sound
from store.errors import InvalidRecordError, InvalidValueError
from store.mapping import Child, Mapping, Row, Rows
from store.statements import Statement, among, read
from store.tables.base import JSON_NULL, FreeForm, Unusable

CHUNK = 400  # ids per statement; SQLite's limit of variables is far above it
_KEY = "key_"  # what comes before the names of key columns, which may get a new value themselves
T = TypeVar("T")


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """The items in lists of at most ``size``."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


@functools.cache
def _reader(child: Child, *, one: bool, locked: bool) -> Statement:
    """A table's rows of one record, or of several."""

    def build(dialect: Dialect) -> sa.Select[Any]:
        column = child.table.c[child.column]
        of_these = column == sa.bindparam("ids", type_=column.type) if one else among(dialect, column, "ids")
        statement = sa.select(child.table).where(of_these)
        return statement.with_for_update() if locked else statement

    return Statement(build)


def _read(connection: Connection, children: Sequence[Child], ids: Any, *, locked: bool = False) -> list[list[Row]]:
    """The rows of records in each of several tables; with ``locked`` those of the first are held until the end."""
    return _read_judged(connection, children, ids, locked=locked, judge=False)[0]


def _read_judged(
    connection: Connection, children: Sequence[Child], ids: Any, *, locked: bool, judge: bool
) -> tuple[list[list[Row]], bool]:
    """The same; and with ``judge`` whether every value is as its column should have it."""
    one = isinstance(ids, str)
    asked = [_reader(child, one=one, locked=locked and child is children[0]) for child in children]
    tables = [child.table for child in children]
    told = list(zip(tables, read(connection, *((one, {"ids": ids}) for one in asked)), strict=True))
    sound = judge and all(are_sound(table, list(zip(*found, strict=True))) for table, found in told if found)
    named = ((table.c.keys(), found) for table, found in told)
    return [[dict(zip(names, row, strict=True)) for row in found] for names, found in named], sound


def of(connection: Connection, child: Child, ids: Sequence[str]) -> list[Row]:
    """The rows of a table that belong to any of these records."""
    return _read(connection, [child], list(ids))[0]


def load(connection: Connection, mapping: Mapping, ids: Sequence[str], *, for_update: bool = False) -> dict[str, Rows]:
    """id -> its rows in every table that shows in the record; ids without a record are left out."""
    return _load(connection, mapping, ids, for_update, judge=False)[0]


def load_judged(connection: Connection, mapping: Mapping, ids: Sequence[str]) -> tuple[dict[str, Rows], bool]:
    """The same, and whether every value of all of them is as its column should have it: then each record is valid. Else
    it has to be looked at which are."""
    return _load(connection, mapping, ids, False, judge=True)


def _load(
    connection: Connection, mapping: Mapping, ids: Sequence[str], for_update: bool, judge: bool
) -> tuple[dict[str, Rows], bool]:
    found: dict[str, Rows] = {}
    sound = judge and not mapping.parents
    main, *others = mapping.tables
    for some in chunks(ids):
        wanted = some[0] if len(some) == 1 else some
        (mine, *theirs), good = _read_judged(connection, mapping.tables, wanted, locked=for_update, judge=judge)
        sound = sound and good
        for row in mine:
            found[row[mapping.key]] = {main.table.name: [row], **{child.table.name: [] for child in others}}
        for child, linked in zip(others, theirs, strict=True):
            for row in linked:
                if (rows := found.get(row[child.column])) is not None:
                    rows[child.table.name].append(row)
    for parent in mapping.parents:
        _add_parents(connection, mapping, parent, found)
    return found, sound


def _add_parents(connection: Connection, mapping: Mapping, parent: Child, found: dict[str, Rows]) -> None:
    """Put the row that each record names in ``parent.column`` beside the record's own."""
    named = {record_id: rows[mapping.main.name][0][parent.column] for record_id, rows in found.items()}
    rows_of: dict[str, Row] = {}
    for some in chunks(dict.fromkeys(named.values())):
        (read_now,) = _read(connection, [Child(parent.table, "id")], some[0] if len(some) == 1 else some)
        rows_of.update({row["id"]: row for row in read_now})
    for record_id, rows in found.items():
        named_row = rows_of.get(named[record_id])
        rows[parent.table.name] = [named_row] if named_row else []


def is_sound(record_id: object) -> bool:
    """Whether an id is text that both databases and a file name can hold. Another program may have written anything."""
    with contextlib.suppress(InvalidValueError):
        return isinstance(record_id, str) and bool(codec.check_text(record_id))
    return False


def unsound(kind: str, record_id: object) -> InvalidRecordError:
    """What to say of a record whose id is not sound."""
    return InvalidRecordError(
        f"The {kind} {ascii(record_id)[:80]}", {"id": "it is no text that a file can be named by"}
    )


def all_ids(connection: Connection, mapping: Mapping) -> list[str]:
    """Every sound id of the noun."""
    return [one for one in connection.scalars(sa.select(mapping.main.c[mapping.key])).all() if is_sound(one)]


def insert(connection: Connection, mapping: Mapping, *records: Rows) -> None:
    """Write new records of a noun."""
    for table in (mapping.main, *(child.table for child in mapping.children)):
        mine = (row for record in records for row in record.get(table.name, ()))
        # SQLAlchemy takes the columns from the first row: what that lacks would be left out of all.
        for _, alike in groupby(mine, key=dict.keys):
            connection.execute(sa.insert(table), list(alike))


def save(connection: Connection, mapping: Mapping, old: Rows, new: Rows) -> None:
    """Bring the rows of a record from ``old`` to ``new``: what is equal is not touched."""
    for table in (mapping.main, *(child.table for child in mapping.children)):
        before = {_key(table, row): row for row in old.get(table.name, ())}
        after = {_key(table, row): row for row in new.get(table.name, ())}
        for key in before.keys() - after.keys():
            connection.execute(sa.delete(table).where(_is(table, key)))
        added = [row for key, row in after.items() if key not in before]
        if added:
            connection.execute(sa.insert(table), added)
        for key in before.keys() & after.keys():
            old_row = before[key]
            values = {name: one for name, one in after[key].items() if not same(table, name, one, old_row[name])}
            if values:
                here = {f"{_KEY}{column.name}": value for column, value in zip(_key_columns(table), key, strict=True)}
                _updating(table, tuple(values)).change(connection, **values, **here)


@functools.lru_cache(maxsize=1000)
def _updating(table: Table, names: tuple[str, ...]) -> Statement:
    """Sets these columns of the row with a key."""
    values = {name: sa.bindparam(name, type_=table.c[name].type) for name in names}
    here = [one == sa.bindparam(f"{_KEY}{one.name}", type_=one.type) for one in _key_columns(table)]
    return Statement(lambda _: sa.update(table).values(values).where(*here))


def differ(mapping: Mapping, old: Rows, new: Rows) -> bool:
    """Whether any row of the record itself is not the same."""
    for table in (mapping.main, *(child.table for child in mapping.children)):
        before = {_key(table, row): row for row in old.get(table.name, ())}
        after = {_key(table, row): row for row in new.get(table.name, ())}
        if before.keys() != after.keys():
            return True
        for key, row in after.items():
            old_row = before[key]
            if not all(same(table, name, value, old_row[name]) for name, value in row.items()):
                return True
    return False


def _key(table: Table, row: Row) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in _key_columns(table))


def _key_columns(table: Table) -> list[sa.Column[Any]]:
    """The primary key; of a table that has none, the column that alone is unique."""
    if columns := list(table.primary_key):
        return columns
    return next(list(index.columns) for index in table.indexes if index.unique and len(index.columns) == 1)


def _is(table: Table, key: tuple[Any, ...]) -> sa.ColumnElement[bool]:
    return sa.and_(*(column == value for column, value in zip(_key_columns(table), key, strict=True)))


def same(table: Table, column: str, one: Any, other: Any) -> bool:
    """Whether two values of a column are the same, to the last digit."""
    if one is other:
        return True
    if isinstance(table.c[column].type, FreeForm) and _is_json(one) and _is_json(other):
        return codec.dumps(one) == codec.dumps(other)  # for Python 1 is True, and 1.0 is 1.00
    return type(one) is type(other) and bool(one == other)


def _is_json(value: Any) -> bool:
    return value is not None and value is not JSON_NULL and not isinstance(value, Unusable)
