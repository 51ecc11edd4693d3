"""Canonical JSON: what is read loses no digit, and the same value always becomes the same bytes.

Free-form JSON is an object tree of dict, list, str, bool, None, int (64 bits at most) and ``decimal.Decimal`` for every
other number. Decimals keep their scale (``1.0`` stays ``1.0``) and are written without an exponent, as PostgreSQL's
jsonb prints them.
"""

import contextlib
import json
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from store.errors import InvalidValueError

# PostgreSQL's numeric holds that many digits before and after the point; what is beyond has no home on the SQL side.
MAX_INTEGER_DIGITS = 131_072
MAX_SCALE = 16_383
MAX_DEPTH = 200  # of a free-form value
DEPTH_AROUND = 8  # levels that a record and its file may put around such a value
MAX_WRITTEN_OUT = 1_000_000  # digits that all exponents of one text may stand for

_INT64_FROM, _INT64_TO = -(2**63), 2**63 - 1


class JsonSyntaxError(InvalidValueError):
    """Text that is not JSON. ``line`` and ``column`` count from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(f"{message} (line {line}, column {column}).", hint="Correct the JSON there and try again.")
        self.line, self.column = line, column


def number(text: str) -> int | Decimal:
    """The exact value of a JSON number's spelling. Raises InvalidValueError when no side could hold it."""
    if len(text) < 19 and not {".", "e", "E"}.intersection(text):
        return int(text)
    shown = f"{text[:40]}{'…' if len(text) > 40 else ''}"
    try:
        value = Decimal(text) if len(text) <= MAX_INTEGER_DIGITS + MAX_SCALE + 16 else Decimal("NaN")
    except InvalidOperation as error:  # an exponent beyond what even Decimal can count
        raise InvalidValueError(f"The number {shown} is too long to be kept.") from error
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or len(digits) + exponent > MAX_INTEGER_DIGITS or -exponent > MAX_SCALE:
        raise InvalidValueError(f"The number {shown} is too long to be kept.")
    if exponent > 0:  # 1e5: written out, as jsonb does
        value = Decimal((sign, (*digits, *[0] * exponent), 0))
        exponent = 0
    if not value and sign:  # numeric knows no negative zero
        value = value.copy_abs()
    if exponent == 0 and _INT64_FROM <= value <= _INT64_TO:
        return int(value)
    return value


class _Numbers:
    """Numbers of one text. An exponent makes much of little: ``1e131071`` is 8 bytes, so what is written out is
    counted."""

    def __init__(self) -> None:
        self._left = MAX_WRITTEN_OUT

    def number(self, text: str) -> int | Decimal:
        value = number(text)
        if isinstance(value, Decimal) and ("e" in text or "E" in text):
            _, digits, exponent = value.as_tuple()
            self._left -= max(len(digits), -int(exponent))
            if self._left < 0:
                raise InvalidValueError("The JSON holds too many numbers with large exponents.")
        return value


def _refuse_constant(text: str) -> Any:
    raise InvalidValueError(f"{text} is not a JSON number.")


def loads(data: bytes | str) -> Any:
    """Parse JSON without losing a digit; of double keys the last counts; key order is kept.

    Raises JsonSyntaxError with its place, InvalidValueError for NaN, Infinity, NUL characters, lone surrogates, nesting
    over 200 levels (not counting what a file puts around a value) and endless numbers.
    """
    # What orjson reads the same is most of what there is; where it errs, or may, the slow way says what is wrong.
    with contextlib.suppress(orjson.JSONDecodeError):
        value = orjson.loads(data)
        if _is_exact(value):
            return value
    text = data if isinstance(data, str) else _decoded(data)
    numbers = _Numbers()
    try:
        value = json.loads(text, parse_float=numbers.number, parse_int=numbers.number, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise JsonSyntaxError(error.msg, error.lineno, error.colno) from error
    except RecursionError as error:
        raise InvalidValueError(f"The JSON is nested deeper than {MAX_DEPTH} levels.") from error
    check(value, -DEPTH_AROUND)  # what was written as a value of the greatest depth has to be read again
    return value


def _is_exact(value: Any, depth: int = -DEPTH_AROUND) -> bool:
    """Whether orjson read a value without losing a digit, and both sides can keep it."""
    kind = value.__class__
    if kind is float or depth > MAX_DEPTH:
        return False
    if kind is str:
        return "\0" not in value
    if kind is int:
        return bool(_INT64_FROM <= value <= _INT64_TO)
    if kind is dict:
        for key, member in value.items():
            if "\0" in key or not _is_exact(member, depth + 1):
                return False
    elif kind is list:
        for member in value:
            if not _is_exact(member, depth + 1):
                return False
    return True


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise JsonSyntaxError("It is not UTF-8 text", line, column) from error


def check_text(text: str) -> str:
    """The text itself. Raises InvalidValueError for a NUL character or a lone surrogate: PostgreSQL holds neither."""
    if "\0" in text:
        raise InvalidValueError("The text holds a NUL character, which PostgreSQL cannot keep.")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InvalidValueError("The text holds half of a surrogate pair, which UTF-8 cannot spell.") from error
    return text


def check(value: Any, depth: int = 0) -> None:
    """Raise InvalidValueError when a free-form value holds what one of the sides cannot keep."""
    if depth > MAX_DEPTH:
        raise InvalidValueError(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, dict):
        for key, member in value.items():
            if not isinstance(key, str):
                raise InvalidValueError(f"{key!r} is not text and so cannot be a JSON key.")
            check_text(key)
            check(member, depth + 1)
    elif isinstance(value, list):
        for member in value:
            check(member, depth + 1)


def canonical(value: Any) -> Any:
    """A free-form value in its one canonical form: keys sorted by code point, floats as Decimal, long integers too.

    Raises InvalidValueError for what JSON or one of the sides cannot hold.
    """
    return _canonical(value, 0)


def _canonical(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise InvalidValueError(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
    if isinstance(value, str):
        return check_text(value)
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise InvalidValueError(f"{key!r} is not text and so cannot be a JSON key.")
            check_text(key)
        return {key: _canonical(value[key], depth + 1) for key in sorted(value)}
    if isinstance(value, list):
        return [_canonical(member, depth + 1) for member in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if _INT64_FROM <= value <= _INT64_TO else number(str(value))
    if isinstance(value, float | Decimal):
        if value != value or value in (float("inf"), float("-inf")):
            raise InvalidValueError(f"{value} is not a JSON number.")
        return number(repr(value) if isinstance(value, float) else str(value))
    raise InvalidValueError(f"{type(value).__name__} is not a JSON type.")


def _spell(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f").encode())
    raise TypeError(f"{type(value).__name__} is not a JSON type")


def dumps(value: Any) -> bytes:
    """One compact line, UTF-8, without a newline. Key order is kept."""
    return orjson.dumps(value, default=_spell)


def dumps_pretty(value: Any) -> bytes:
    """Indented by two spaces, UTF-8, without a newline at the end, as Quilltap writes its .json files."""
    return orjson.dumps(value, default=_spell, option=orjson.OPT_INDENT_2)
