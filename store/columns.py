"""Whether whole columns of rows hold only what documents take."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Boolean, Column, Integer, Table, Text

from store.checks import Values, are_moments, are_numbers, are_objects, are_of, are_texts
from store.enums import ENUMS
from store.tables.base import EnumName, FreeForm, Moment

Check = Callable[[Values], bool]


def are_sound(table: Table, columns: Sequence[Values]) -> bool:
    """Whether the columns of rows of a table, as they are read, all are."""
    return all(check(values) for check, values in zip(_checks(table), columns, strict=True))


@functools.cache
def _checks(table: Table) -> tuple[Check, ...]:
    return tuple(map(_check_of, table.c))


def _check_of(column: Column[Any]) -> Check:
    kind, nullable = column.type, bool(column.nullable)
    if isinstance(kind, EnumName):
        names = {*ENUMS[kind.name], *([None] if nullable else [])}
        return lambda values: names.issuperset(values)
    if isinstance(kind, Text):
        filled = column.primary_key or bool(column.foreign_keys)
        return functools.partial(are_texts, nullable=nullable, filled=filled)
    checks: dict[type, Callable[..., bool]] = {
        Integer: are_numbers,
        FreeForm: are_objects,
        Moment: are_moments,
        Boolean: lambda values, nullable: are_of(values, bool, nullable),
    }
    return functools.partial(checks[type(kind)], nullable=nullable)
