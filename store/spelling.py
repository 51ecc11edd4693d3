"""Moments as the databases keep them, spelled as documents spell them."""

import re
from collections.abc import Sequence
from typing import Any

_SQL_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d*)?(?:Z|\+00:?00)?")
_DIGITS = str.maketrans(dict.fromkeys("123456789", "0"))
_WRITTEN = "0000-00-00 00:00:00.000000\n"


def spelled(value: str | None) -> str | None:
    """A stored moment as documents spell it; what is none as it is."""
    if value is None or (match := _SQL_MOMENT.fullmatch(value)) is None:
        return value
    return f"{match[1]}T{match[2]}.{(match[3] or '').ljust(3, '0')[:3]}Z"


def all_spelled(values: Sequence[Any]) -> list[Any]:
    """Many stored moments as documents spell them. Most have the form in which Tandem and Prisma write them."""
    told = [one for one in values if one.__class__ is str]
    if shape(told) == _WRITTEN * len(values):
        return [f"{one[:10]}T{one[11:23]}Z" for one in told]
    return list(map(spelled, values))


def shape(values: Sequence[str]) -> str:
    """Texts, each with a newline behind it, with every digit as a zero: one look tells whether all have one form."""
    return "\n".join([*values, ""]).translate(_DIGITS)
