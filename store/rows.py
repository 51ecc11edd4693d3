"""Reading and writing the rows of whole records: one snapshot in, only what changed out."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Dialect, Table

from store import codec
from store.errors import InvalidRecordError, InvalidValueError
from store.mapping import Child, Mapping, Row, Rows
from store.tables.base import JSON_NULL, FreeForm, Unusable

CHUNK = 400  # ids per statement; SQLite's limit of variables is far above it
T = TypeVar("T")


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """The items in lists of at most ``size``."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


class _Reader:
    """The statement for a table's rows of some records, compiled once, and how its values are read.

    Straight to the driver: on the way of every write and every file, SQLAlchemy's share would be the larger one.
    """

    def __init__(self, dialect: Dialect, child: Child, *, one: bool, locked: bool) -> None:
        column = f'"{child.column}"'
        if one:
            owner = f"{column} = :ids"
        elif dialect.name == "sqlite":
            owner = f"{column} IN (SELECT value FROM json_each(:ids))"
        else:
            owner = f"{column} = ANY(CAST(:ids AS text[]))"
        statement = sa.select(child.table).where(sa.text(owner))
        if locked:
            statement = statement.with_for_update()
        self._sql = str(statement.compile(dialect=dialect))
        self._positional = dialect.positional
        self._as_text = not one and dialect.name == "sqlite"
        self._names = [column.name for column in child.table.c]
        processors = [column.type._cached_result_processor(dialect, None) for column in child.table.c]
        self._processors = [(place, process) for place, process in enumerate(processors) if process]

    def __call__(self, connection: Connection, ids: Any) -> list[Row]:
        if self._as_text:
            ids = codec.dumps(ids).decode()
        cursor = connection.connection.cursor()
        try:
            cursor.execute(self._sql, (ids,) if self._positional else {"ids": ids})
            found = cursor.fetchall()
        finally:
            cursor.close()
        read = []
        for values in found:
            row = list(values)
            for place, process in self._processors:
                row[place] = process(row[place])
            read.append(dict(zip(self._names, row, strict=True)))
        return read


_readers: dict[tuple[str, Child, bool, bool], _Reader] = {}


def _read(connection: Connection, child: Child, ids: Any, *, locked: bool = False) -> list[Row]:
    dialect = connection.dialect
    key = (dialect.name, child, isinstance(ids, str), locked)
    if (reader := _readers.get(key)) is None:
        reader = _readers[key] = _Reader(dialect, child, one=isinstance(ids, str), locked=locked)
    return reader(connection, ids)


def load(connection: Connection, mapping: Mapping, ids: Sequence[str], *, for_update: bool = False) -> dict[str, Rows]:
    """id -> its rows in every table that shows in the record; ids without a record are left out."""
    found: dict[str, Rows] = {}
    main, *others = mapping.tables
    for some in chunks(ids):
        wanted = some[0] if len(some) == 1 else some
        for row in _read(connection, main, wanted, locked=for_update):
            found[row[mapping.key]] = {main.table.name: [row], **{child.table.name: [] for child in others}}
        if not found:
            continue
        for child in others:
            for row in _read(connection, child, wanted):
                if (rows := found.get(row[child.column])) is not None:
                    rows[child.table.name].append(row)
    for parent in mapping.parents:
        _add_parents(connection, mapping, parent, found)
    return found


def _add_parents(connection: Connection, mapping: Mapping, parent: Child, found: dict[str, Rows]) -> None:
    """Put the row that each record names in ``parent.column`` beside the record's own."""
    named = {record_id: rows[mapping.main.name][0][parent.column] for record_id, rows in found.items()}
    rows_of: dict[str, Row] = {}
    for some in chunks(dict.fromkeys(named.values())):
        for row in _read(connection, Child(parent.table, "id"), some[0] if len(some) == 1 else some):
            rows_of[row["id"]] = row
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
    return [one for one in connection.scalars(sa.select(mapping.main.c[mapping.key])) if is_sound(one)]


def insert(connection: Connection, mapping: Mapping, rows: Rows) -> None:
    """Write a new record."""
    for table in (mapping.main, *(child.table for child in mapping.children)):
        if rows.get(table.name):
            connection.execute(sa.insert(table), rows[table.name])


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
                connection.execute(sa.update(table).where(_is(table, key)).values(values))


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
