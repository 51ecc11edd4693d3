"""Whether many values are only what documents take. It is told in a few steps for hundreds of them, so that most need
no look one by one; where it is not so, that look says what is wrong, and with which."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from store.spelling import shape

Values = Sequence[Any]
_NONE: Final = type(None)
_INTEGERS: Final = range(-(2**31), 2**31)
_SPELLED: Final = "0000-00-00T00:00:00.000Z\n"


def are_texts(values: Values, *, nullable: bool = False, filled: bool = False) -> bool:
    """Whether each is text that both sides can keep; with ``filled`` none is empty."""
    if not are_of(values, str, nullable):
        return False
    texts = [one for one in values if one is not None] if nullable else values
    if filled and "" in texts:
        return False
    text = "".join(texts)
    return "\0" not in text and (text.isascii() or _is_whole(text))


def are_numbers(values: Values, *, nullable: bool = False) -> bool:
    """Whether each is an integer as PostgreSQL holds them."""
    return are_of(values, int, nullable) and all(one is None or one in _INTEGERS for one in {*values})


def are_objects(values: Values, *, nullable: bool = False) -> bool:
    """Whether each is a JSON object: of those Quilltap keeps every one."""
    return are_of(values, dict, nullable)


def are_moments(values: Values, *, nullable: bool = False) -> bool:
    """Whether each is a day and a time that exist, as documents spell them."""
    if not are_of(values, str, nullable):
        return False
    moments = [one for one in values if one is not None] if nullable else values
    if shape(moments) != _SPELLED * len(moments):
        return False
    try:
        return all(map(datetime.fromisoformat, moments))
    except ValueError:
        return False


def are_of(values: Values, kind: type, nullable: bool = False) -> bool:
    """Whether each is of a kind."""
    kinds = {*map(type, values)}
    return kinds == {kind} or (nullable and kinds <= {kind, _NONE})


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
