"""A form keeps what it cannot show exactly, tells what changed, and says where JSON is wrong."""

from typing import Any

import pytest
from werkzeug.datastructures import MultiDict

from dashboard.forms import CharacterForm, TagForm, read_snapshot, spell_snapshot, tags_sent
from dashboard.views.merging import choices_in, differences, marked, resolved

EMPTY = dict.fromkeys(("name", "description", "personality", "scenario", "firstMessage"), "")


def sent_by(form: CharacterForm, **changes: Any) -> MultiDict[str, str]:
    """What a browser sends for a form, with some fields changed."""
    data: MultiDict[str, str] = MultiDict([("seen", spell_snapshot(form.snapshot()))])
    for field in form.snapshot().values():
        for name, values in field.items():
            for value in values:
                data.add(name, value.replace("\n", "\r\n"))
    for name, value in changes.items():
        data.setlist(name, value if isinstance(value, list) else [value])
    return data


def after(values: dict[str, Any], **changes: Any) -> CharacterForm:
    """The form a person sends who saw these values and made these changes."""
    shown = {**EMPTY, "name": "Alice", **values}
    return CharacterForm(sent_by(CharacterForm(data=shown), **changes), data=shown)


@pytest.mark.parametrize(
    "value",
    ["", "one\r\ntwo", "one\rtwo", "one\ntwo", "\n\nbegins with lines", "  spaces  ", "a\u2028b", "tab\t", "&amp;<b>"],
)
def test_an_untouched_text_is_not_written(value: str) -> None:
    assert after({"description": value, "exampleDialogues": value}).changed() == []


@pytest.mark.parametrize("value", [None, {}, {"a": 1}, [1, 2], "text", 5, True])
def test_untouched_data_is_not_written_and_not_complained_about(value: Any) -> None:
    form = after({"sillyTavernData": value})
    assert form.validate(), form.errors
    assert form.changed() == []


@pytest.mark.parametrize("value", ["two\nlines", "two\r\nlines", " spaces around ", None, ""])
def test_an_untouched_line_is_not_written(value: str | None) -> None:
    shown = {**EMPTY, "name": "Alice", "title": value}
    form = CharacterForm(data=shown)
    # The parser of a browser drops line ends from a one-line field.
    typed = (value or "").replace("\r", "").replace("\n", "")
    assert CharacterForm(sent_by(form, title=typed), data=shown).changed() == []


def test_only_what_changed_is_written() -> None:
    form = after({"title": "Queen", "isFavorite": True}, title="King", isFavorite=[])
    assert form.validate()
    assert form.fields(form.changed()) == {"title": "King", "isFavorite": False}


def test_an_emptied_text_becomes_none_where_none_can_be() -> None:
    form = after({"title": "Queen", "description": "long"}, title="", description="")
    assert form.fields(form.changed()) == {"title": None, "description": ""}


def test_line_ends_of_a_changed_text_are_plain() -> None:
    assert after({}, description="one\r\ntwo\rthree").fields(["description"]) == {"description": "one\ntwo\nthree"}


@pytest.mark.parametrize("name", ["", "   ", "\n"])
def test_a_name_is_needed(name: str) -> None:
    form = after({}, name=name)
    assert not form.validate()
    assert form.errors == {"name": ["Name is empty. Write something and save again."]}


@pytest.mark.parametrize("bad", ["a\0b", "half \ud800 pair"])
def test_text_that_no_side_can_keep_is_refused_beside_the_field(bad: str) -> None:
    form = after({}, name=bad, description=bad)
    assert not form.validate()
    assert set(form.errors) == {"name", "description"}
    assert "nothing was written" in form.errors["description"][0]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [('{"a": 1,\r\n "b": }', 2, 7), ("{", 1, 2), ('{"a" 1}', 1, 6), ("{'a': 1}", 1, 2), ('{"a": 1}}', 1, 9)],
)
def test_wrong_json_is_told_with_its_place(text: str, line: int, column: int) -> None:
    form = after({"sillyTavernData": {"a": 1}}, sillyTavernData=text)
    assert not form.validate()
    field = form["sillyTavernData"]
    assert (field.line, field.column) == (line, column)
    assert f"(line {line}, column {column})" in field.errors[0]
    assert field.data == text.replace("\r\n", "\n"), "what was typed is still there"


@pytest.mark.parametrize("text", ["[1]", '"text"', "5", "null", "true"])
def test_new_data_has_to_be_an_object(text: str) -> None:
    form = after({}, sillyTavernData=text)
    assert not form.validate()
    assert "JSON object" in form.errors["sillyTavernData"][0]


@pytest.mark.parametrize("value", ["NaN", "1e999999999", "[" * 300 + "]" * 300, '"\\u0000"'])
def test_json_that_no_side_can_keep_is_refused(value: str) -> None:
    form = after({}, sillyTavernData=f'{{"a": {value}}}')
    assert not form.validate()
    assert set(form.errors) == {"sillyTavernData"}


def test_numbers_in_json_keep_every_digit() -> None:
    form = after({}, sillyTavernData='{"a": 1.0, "b": 12345678901234567890123, "c": 0.1234567890123456789012}')
    assert form.validate()
    again = CharacterForm(data={**EMPTY, "sillyTavernData": form["sillyTavernData"].value()})["sillyTavernData"].data
    for digits in ("1.0", "12345678901234567890123", "0.1234567890123456789012"):
        assert digits in again


def test_emptied_json_becomes_none() -> None:
    form = after({"sillyTavernData": {"a": 1}}, sillyTavernData=" \r\n ")
    assert form.validate()
    assert form.fields(form.changed()) == {"sillyTavernData": None}


def test_tags_are_ids_and_names_of_new_ones() -> None:
    sent = [("tags", "a"), ("tags", ""), ("tags", "new:Sea  elf"), ("tags", "a"), ("tags-new", "Elf, Hero,, Elf ")]
    data = MultiDict(sent)
    assert tags_sent(data, "tags") == (["a"], ["Sea elf", "Elf", "Hero"])


def test_the_order_of_tags_is_no_change() -> None:
    assert after({"tags": ["b", "a"]}, tags=["a", "b"]).changed() == []


def test_a_default_persona_is_one_of_the_linked() -> None:
    links = [{"personaId": "p", "isDefault": True}, {"personaId": "q", "isDefault": False}]
    form = after({"personaLinks": links}, **{"personaLinks-default": "q"})
    assert form.fields(form.changed()) == {
        "personaLinks": [{"personaId": "p", "isDefault": False}, {"personaId": "q", "isDefault": True}]
    }
    unlinked = after({"personaLinks": links}, personaLinks=["q"])
    assert unlinked.fields(unlinked.changed()) == {"personaLinks": [{"personaId": "q", "isDefault": False}]}


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", '{"name": 5}', '{"name": {"name": 5}}', "[" * 100_000])
def test_a_forged_snapshot_is_no_snapshot(text: str) -> None:
    assert read_snapshot(text) == {}


def test_complaints_of_the_store_find_their_field() -> None:
    form = TagForm(data={"name": "Elf"})
    assert form.adopt({"name": "it is taken", "nameLower": "it is odd"}) == ["nameLower: it is odd."]
    assert list(form["name"].errors) == ["Name: it is taken."]


# Two at once: pure functions.


def snap(**values: str) -> dict[str, dict[str, list[str]]]:
    return {name: {name: [value]} for name, value in values.items()}


def chosen(**choices: str) -> dict[str, str | None]:
    base, theirs = snap(a="1", b="1", c="1", d="1"), snap(a="2", b="1", c="2", d="2")
    mine = snap(a="1", b="2", c="3", d="2")
    return {one.name: one.chosen for one in differences(base, theirs, mine, choices)}


def test_who_alone_changed_a_field_is_right_and_two_have_to_be_decided() -> None:
    assert chosen() == {"a": "theirs", "b": "mine", "c": None}


def test_a_choice_counts_more_than_the_rule() -> None:
    assert chosen(a="mine", c="theirs", b="nonsense") == {"a": "mine", "b": "mine", "c": "theirs"}


def test_without_a_known_beginning_a_person_decides() -> None:
    assert [one.chosen for one in differences({}, snap(a="1"), snap(a="2"), {})] == [None]


def test_what_was_chosen_is_what_the_form_says() -> None:
    found = differences(snap(a="1", b="1"), snap(a="2", b="1"), snap(a="3", b="4"), {"a": "theirs"})
    form = MultiDict([("a", "3"), ("b", "4"), ("choice-a", "theirs")])
    merged = resolved(form, found)
    assert (merged["a"], merged["b"], choices_in(form)) == ("2", "4", {"a": "theirs"})


def test_changed_words_are_marked_and_escaped() -> None:
    assert marked("A tavern in rain", "A <b>tavern</b> in snow") == (
        "A <mark>&lt;b&gt;</mark>tavern<mark>&lt;/b&gt;</mark> in <mark>snow</mark>"
    )


def test_a_very_long_text_is_shown_without_marks() -> None:
    assert "<mark>" not in marked("a " * 20_000, "b " * 20_000)
