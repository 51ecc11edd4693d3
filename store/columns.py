"""Whether whole columns of rows hold only what documents take. It is told in a few steps for hundreds of rows, so that
most records need no look one by one; where it is not so, that look says what is wrong, and with which."""

import functools
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Boolean, Column, Integer, Table, Text

from store.tables import ENUMS
from store.tables.base import EnumName, FreeForm, Moment, shape

Values = Sequence[Any]
Check = Callable[[Values], bool]
_NONE: Final = type(None)
_INTEGERS: Final = range(-(2**31), 2**31)
_SPELLED: Final = "0000-00-00T00:00:00.000Z\n"


def are_texts(values: Values, *, nullable: bool = False, filled: bool = False) -> bool:
    """Whether each is text that both sides can keep; with ``filled`` none is empty."""
    if not _are_of(values, str, nullable):
        return False
    texts = [one for one in values if one is not None] if nullable else values
    if filled and "" in texts:
        return False
    text = "".join(texts)
    return "\0" not in text and (text.isascii() or _is_whole(text))


def are_numbers(values: Values, *, nullable: bool = False) -> bool:
    """Whether each is an integer as PostgreSQL holds them."""
    return _are_of(values, int, nullable) and all(one is None or one in _INTEGERS for one in {*values})


def are_objects(values: Values, *, nullable: bool = False) -> bool:
    """Whether each is a JSON object: of those Quilltap keeps every one."""
    return _are_of(values, dict, nullable)


def are_moments(values: Values, *, nullable: bool = False) -> bool:
    """Whether each is a day and a time that exist, as documents spell them."""
    if not _are_of(values, str, nullable):
        return False
    moments = [one for one in values if one is not None] if nullable else values
    if shape(moments) != _SPELLED * len(moments):
        return False
    try:
        return all(map(datetime.fromisoformat, moments))
    except ValueError:
        return False


def _are_of(values: Values, kind: type, nullable: bool) -> bool:
    kinds = {*map(type, values)}
    return kinds == {kind} or (nullable and kinds <= {kind, _NONE})


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


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
        Boolean: lambda values, nullable: _are_of(values, bool, nullable),
    }
    return functools.partial(checks[type(kind)], nullable=nullable)
