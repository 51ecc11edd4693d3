"""Whole columns at once: where every value is as its column should have it, every record is valid. So no record passes
that would be refused by itself."""

import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.columns import are_moments, are_numbers, are_objects, are_sound, are_texts
from store.documents.base import canonical_moment
from store.errors import InvalidRecordError
from store.files.layout import SHELVES
from store.files.shelves import OwnFiles
from store.mapping import MAPPINGS, Rows
from store.quilltap import are_uuids, is_uuid
from store.tables.base import JSON_NULL
from tests.store.mapping import making

OWN_FILES = sorted({kind for kind, shelf in SHELVES.items() if isinstance(shelf, OwnFiles)})
# What another program may have written, wherever it can.
ODD: list[Any] = ["a\0b", "\ud800", "", None, 1, 0.5, b"x", True, 2**31, [], {}, JSON_NULL, "2025-02-30T00:00:00.000Z"]


def sound(kind: str, rows: Rows) -> bool:
    mapping = MAPPINGS[kind]
    return all(
        are_sound(child.table, list(zip(*([row[one.name] for one in child.table.c] for row in found), strict=True)))
        for child in mapping.tables
        if (found := rows[child.table.name])
    )


def is_valid(kind: str, rows: Rows) -> bool:
    try:
        MAPPINGS[kind].check(rows)
    except (InvalidRecordError, TypeError, KeyError):
        return False
    return True


@pytest.mark.parametrize("kind", OWN_FILES)
@settings(max_examples=60)
@given(data=st.data())
def test_a_record_of_sound_rows_is_valid(kind: str, data: st.DataObject) -> None:
    rows = data.draw(getattr(making, f"{kind}_rows")())
    table = data.draw(st.sampled_from([name for name, found in rows.items() if found]))
    column = data.draw(st.sampled_from(sorted(rows[table][0])))
    odd = data.draw(st.sampled_from(ODD))
    assert is_valid(kind, rows)
    rows[table][0][column] = odd
    if sound(kind, rows):
        assert is_valid(kind, rows), (column, odd)


@pytest.mark.parametrize("kind", OWN_FILES)
@settings(max_examples=20)
@given(data=st.data())
def test_what_quilltap_itself_writes_is_sound(kind: str, data: st.DataObject) -> None:
    rows = data.draw(getattr(making, f"{kind}_rows")())
    main = rows[MAPPINGS[kind].main.name][0]
    main["sillyTavernData"] = {"a": [1]}
    assert sound(kind, rows)


@given(st.lists(making.MOMENTS | st.text("0123456789-:TZ.Ww ", min_size=23, max_size=25)))
def test_moments_are_those_that_documents_take(values: list[str]) -> None:
    def is_one(value: str) -> bool:
        try:
            return canonical_moment(value) == value
        except ValueError:
            return False

    assert are_moments(values) <= all(map(is_one, values))
    assert all(are_moments([value]) for value in values if is_one(value))


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (are_texts, ["", "é", "😀"], [None, 1, b"a", "\0", "\udc00"]),
        (are_numbers, [0, -(2**31), 2**31 - 1], [None, True, 1.0, "1", 2**31]),
        (are_objects, [{}, {"a": 1}], [None, [], "{}"]),
        (are_moments, ["2024-02-29T00:00:00.000Z"], [None, 1, "2025-02-29T00:00:00.000Z", "2025-W01-1T00:00:00.000Z"]),
    ],
)
def test_one_bad_value_among_good_ones_is_seen(check: Any, good: list[Any], bad: list[Any]) -> None:
    assert check(good)
    for one in bad:
        assert not check([*good, one])
    assert check([*good, None], nullable=True)
    assert not check([*good, *bad], nullable=True)
    assert not are_texts(["a", ""], filled=True)


def test_a_text_cannot_pass_for_two() -> None:
    assert not are_moments(["2024-02-29T00:00:00.000Z\n2024-02-29T00:00:00.000Z", ""])
    assert not are_uuids([f"{uuid.uuid4()}\n{uuid.uuid4()}", ""])


@given(st.lists(st.uuids().map(str) | st.uuids().map(lambda one: str(one).upper()) | st.text(max_size=3), max_size=4))
def test_uuids_are_told_together_as_one_by_one(values: list[str]) -> None:
    assert are_uuids(values) == all(map(is_uuid, values))
