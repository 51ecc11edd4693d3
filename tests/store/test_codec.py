"""Canonical JSON: no digit is lost, the same value is always the same bytes, what cannot be kept is refused."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import codec
from store.codec import JsonSyntaxError
from store.errors import InvalidValueError

SPELLINGS = {
    "0": 0,
    "-0": 0,
    "1": 1,
    "1.0": Decimal("1.0"),
    "1.00": Decimal("1.00"),
    "-0.0": Decimal("0.0"),
    "1e5": 100_000,
    "1.5e1": 15,
    "1.50E+1": Decimal("15.0"),
    "1E-3": Decimal("0.001"),
    "9223372036854775807": 2**63 - 1,
    "9223372036854775808": Decimal(2**63),
    "-9223372036854775808": -(2**63),
    "-9223372036854775809": Decimal(-(2**63) - 1),
    "0.1234567890123456789012": Decimal("0.1234567890123456789012"),
    "123456789012345678901234567890.5": Decimal("123456789012345678901234567890.5"),
}


@pytest.mark.parametrize(("spelled", "value"), SPELLINGS.items())
def test_a_number_is_read_exactly_and_written_plainly(spelled: str, value: Any) -> None:
    read = codec.loads(spelled)
    assert (type(read), str(read)) == (type(value), str(value))
    written = codec.dumps(read).decode()
    assert "e" not in written.lower()
    assert Decimal(written) == Decimal(spelled)
    assert codec.loads(written) == read
    assert codec.dumps(codec.loads(written)).decode() == written


@given(st.integers(-(10**40), 10**40) | st.decimals(allow_nan=False, allow_infinity=False, places=22))
def test_any_number_keeps_every_digit(number: int | Decimal) -> None:
    spelled = format(number, "f") if isinstance(number, Decimal) else str(number)
    read = codec.loads(spelled)
    assert Decimal(codec.dumps(read).decode()) == Decimal(spelled)
    if number and "." in spelled:
        assert codec.dumps(read).decode() == spelled


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
LEAVES = st.none() | st.booleans() | st.integers() | TEXT


@given(st.recursive(LEAVES, lambda some: st.lists(some) | st.dictionaries(TEXT, some), max_leaves=10))
def test_both_spellings_are_json_that_anybody_reads(value: Any) -> None:
    for spell in (codec.dumps, codec.dumps_pretty):
        assert json.loads(spell(codec.canonical(value))) == value
        assert codec.loads(spell(codec.canonical(value))) == codec.canonical(value)


def test_the_same_value_is_always_the_same_bytes() -> None:
    one = {"b": [1.0, {"z": 1, "é": 2, "": 3}], "a": 2**70, "ä": 1e-7, "B": 0.1}
    other = {key: one[key] for key in reversed(one)}
    assert codec.dumps(codec.canonical(one)) == codec.dumps(codec.canonical(other))
    assert codec.dumps(codec.canonical(one)).decode() == (
        '{"B":0.1,"a":1180591620717411303424,"b":[1.0,{"":3,"z":1,"é":2}],"ä":0.0000001}'
    )


def test_keys_are_ordered_by_code_point_and_not_by_utf_16() -> None:
    assert list(codec.canonical({"😀": 1, "\ue000": 2, "z": 3})) == ["z", "\ue000", "😀"]


def test_text_is_written_raw_and_only_what_must_be_is_escaped() -> None:
    assert codec.dumps('é\u2028/😀"\\\n\x01\x7f').decode() == '"é\u2028/😀\\"\\\\\\n\\u0001\x7f"'
    assert codec.dumps_pretty({"a": [], "b": {}, "c": [1]}) == b'{\n  "a": [],\n  "b": {},\n  "c": [\n    1\n  ]\n}'


def test_of_double_keys_the_last_counts_and_order_is_kept() -> None:
    assert list(codec.loads('{"b": 1, "a": 2, "b": 3}').items()) == [("b", 3), ("a", 2)]


REFUSED: dict[str, tuple[Any, str]] = {
    "NaN": ("NaN", "NaN is not a JSON number"),
    "Infinity": ("[1, -Infinity]", "-Infinity is not a JSON number"),
    "NUL": ('"a\\u0000b"', "NUL character"),
    "NUL in a key": ('{"\\u0000": 1}', "NUL character"),
    "a lone surrogate": ('["\\ud800"]', "surrogate"),
    "a lone surrogate in a key": ('{"\\udc00": 1}', "surrogate"),
    "a deep nest": ("[" * 300 + "]" * 300, "nested deeper"),
    "a bottomless nest": ("[" * 200_000, "nested deeper|Expecting"),
    "a huge exponent": ("1e999999999", "too long"),
    "an exponent beyond counting": ("1e" + "9" * 30, "too long"),
    "a tiny exponent": ("1e-20000", "too long"),
    "many large exponents": ("[" + ",".join(["1e131000"] * 10) + "]", "too many numbers"),
    "half a file": ('{"a": ', "line 1, column"),
    "two values": ("{} {}", "Extra data"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "BOM|Unexpected|Expecting"),
    "Latin-1": (b'{"a":\n "\xe9"}', r"not UTF-8 text \(line 2, column 3\)"),
    "nothing": (b"", "Expecting value"),
    "single quotes": ("{'a': 1}", "Expecting"),
    "a number with a zero in front": ("01", "Extra data"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_kept_is_refused_by_name(what: str) -> None:
    text, reason = REFUSED[what]
    with pytest.raises(InvalidValueError, match=reason) as refused:
        codec.loads(text)
    assert refused.value.hint
    assert len(refused.value.message) < 200


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "not a JSON number"),
        (Decimal("Infinity"), "not a JSON number"),
        (Decimal("NaN"), "not a JSON number"),
        ({1: 2}, "cannot be a JSON key"),
        ({"a": {1, 2}}, "not a JSON type"),
        ([b"x"], "not a JSON type"),
        ("\ud83d", "surrogate"),
    ],
)
def test_a_value_that_json_does_not_have_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(InvalidValueError, match=reason):
        codec.canonical(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidValueError, match="nested deeper"):
        codec.canonical(endless)


def test_a_syntax_error_tells_its_place() -> None:
    with pytest.raises(JsonSyntaxError) as refused:
        codec.loads(b'{\n  "a": 1,\n  "b": x\n}')
    assert (refused.value.line, refused.value.column) == (3, 8)
