"""What was imported goes out as it came in; what was changed since goes out as it is now; and it can be read again."""

import io
import json
from base64 import b64decode
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from store import codec
from store.cards import Card, CardError, Limits, card_file_name, card_json, card_png, read_card, writing
from store.cards.png import check_picture, read_png, text_of
from store.documents import Character
from store.errors import PictureError

from .making import as_json, make_card_png, make_png, make_v1, make_v2, make_v3

pytestmark = pytest.mark.slow  # draws pictures

NOW = "2025-11-20T12:34:56.789Z"
FIELDS = {
    "name": "Ada",
    "title": None,
    "description": "An engineer.",
    "personality": "Curious",
    "scenario": "A workshop",
    "firstMessage": "Hello!",
    "exampleDialogues": "<START>",
    "systemPrompt": "Be Ada.",
}
RICH = {
    "zeta": [1.5, {"b": 1, "a": None}],
    "alpha": "unknown",
    "extensions": {"depth_prompt": {"depth": 4, "prompt": ""}, "fav": False, "tandem": {"mine": 1}},
    "character_book": {"entries": [{"keys": ["x"], "content": "y", "id": 0, "extensions": {}}], "name": ""},
    "alternate_greetings": ["Hi", ""],
    "creator": "Charles",
    "tags": ["Elf", " wizard ", "ELF"],
}
SOURCES = {
    "V1": make_v1(create_date="2023", fav=True, zeta=RICH["zeta"]),
    "V2": {"first": 1, **make_v2(**RICH, system_prompt="Be Ada."), "create_date": "2023-1-1"},
    "V3": {"first": 1, **make_v3(**RICH, assets=[], nickname="A", system_prompt="Be Ada."), "last": [0, -0.5]},
}


def made(source: Any = None, **changes: Any) -> Character:
    return Character.check(
        {"id": "c1", "userId": "u1", "createdAt": NOW, "updatedAt": NOW, **FIELDS, "sillyTavernData": source, **changes}
    )


def imported(source: dict[str, Any], **changes: Any) -> tuple[Character, list[str]]:
    """The character and its tags, as ``save_card`` makes them of a card."""
    card = read_card(as_json(source), "ada.json")
    return made(card.source, **{**card.fields, **changes}), card.tags


def chunks(png: bytes) -> dict[str, Any]:
    found = {chunk.keyword: text_of(chunk) for chunk in read_png(png).chunks if chunk.kind == b"tEXt"}
    return {keyword: codec.loads(b64decode(text)) for keyword, text in found.items()}


def canonical(value: Any) -> bytes:
    return codec.dumps(codec.canonical(value))


def written(character: Character, tags: list[str]) -> dict[str, Any]:
    """The card by its place: the JSON file, and both chunks of the PNG."""
    return {"json": codec.loads(card_json(character, tags)), **chunks(card_png(character, tags, None))}


def reread(character: Character, tags: list[str]) -> list[Card]:
    """The card as the import reads it, from every place."""
    png = card_png(character, tags, None)
    places = [card_json(character, tags), png, *(codec.dumps(card) for card in chunks(png).values())]
    return [read_card(data, "ada") for data in places]


# --- as it came in


@pytest.mark.parametrize("spec", SOURCES)
def test_an_untouched_card_reads_as_before_from_every_place(spec: str) -> None:
    character, tags = imported(SOURCES[spec])
    before = read_card(as_json(SOURCES[spec]), "ada")
    for card in reread(character, tags):
        assert (card.fields, card.tags, card.creator, card.notes) == (before.fields, before.tags, before.creator, [])


@pytest.mark.parametrize(("spec", "place"), [("V2", "chara"), ("V3", "ccv3"), ("V3", "json")])
def test_an_untouched_card_is_the_same_in_its_own_version(spec: str, place: str) -> None:
    character, tags = imported(SOURCES[spec])
    card = written(character, tags)[place]
    assert codec.dumps(card) == codec.dumps(character.sillyTavernData)  # key order and digits too
    assert canonical(card) == canonical(SOURCES[spec])


@pytest.mark.parametrize("spec", SOURCES)
@pytest.mark.parametrize("place", ["json", "chara", "ccv3"])
def test_another_version_has_every_key_and_only_what_it_needs_besides(spec: str, place: str) -> None:
    source = SOURCES[spec]
    character, tags = imported(source)
    card = written(character, tags)[place]
    record = source if spec == "V1" else source["data"]
    assert {key: canonical(card["data"][key]) for key in record} == {key: canonical(record[key]) for key in record}
    if spec != "V1":
        outside, before = ({key: one[key] for key in one if key not in make_v2()} for one in (card, source))
        assert canonical(outside) == canonical(before)
    wanted = ("chara_card_v2", "2.0") if place == "chara" else ("chara_card_v3", "3.0")
    assert (card["spec"], card["spec_version"]) == wanted
    if card["spec"] != source.get("spec"):
        needed = {"creator_notes", "post_history_instructions", "alternate_greetings", "tags", "creator"}
        needed |= {"character_version", "extensions", *make_v2()["data"]}
        needed |= {"group_only_greetings"} if place != "chara" else set()
        assert card["data"].keys() == needed | record.keys()


def test_every_digit_of_a_number_is_kept() -> None:
    text = '{"n":123456789012345678901234567890,"x":0.1234567890123456789012,"y":1.0,"z":1e30}'
    source = {**make_v3(), "numbers": codec.loads(text)}
    character = made(source)
    for place in ("json", "ccv3", "chara"):
        numbers = written(character, [])[place]["numbers"]
        assert codec.dumps(numbers) == codec.dumps(codec.loads(text))
        assert numbers["n"] == Decimal("123456789012345678901234567890")


@pytest.mark.parametrize(
    "changes",
    [
        {"description": None},
        {"description": 5},
        {"mes_example": ""},
        {"system_prompt": {"a": 1}},
        {"tags": "elf"},
        {"tags": ["elf", 7, None]},
        {"extensions": [1]},
        {"extensions": {"tandem": "text"}},
        {"extensions": {"tandem": {"title": 7}}},
        {"tags": [f"tag {number}" for number in range(300)]},
    ],
)
def test_a_value_of_the_wrong_kind_goes_out_as_it_came_in(changes: dict[str, Any]) -> None:
    source = make_v3(**changes)
    character, tags = imported(source)
    assert canonical(written(character, tags)["ccv3"]) == canonical(source)


@pytest.mark.parametrize("key", list(make_v3()["data"])[1:])
def test_a_missing_key_stays_missing(key: str) -> None:
    source = make_v3()
    del source["data"][key]
    character, tags = imported(source)
    assert canonical(written(character, tags)["json"]) == canonical(source)


def test_a_newer_version_of_its_spec_stays() -> None:
    source = {**make_v3(), "spec_version": "3.7"}
    card = written(*imported(source))
    assert (card["json"]["spec_version"], card["chara"]["spec_version"]) == ("3.7", "2.0")


# --- as it is now

EDITS = {name: name for name in ("name", "description", "personality", "scenario")}
EDITS |= {"firstMessage": "first_mes", "exampleDialogues": "mes_example", "systemPrompt": "system_prompt"}


@pytest.mark.parametrize("spec", SOURCES)
@pytest.mark.parametrize("name", EDITS)
def test_an_edited_field_takes_the_characters_value_and_nothing_else_changes(spec: str, name: str) -> None:
    character, tags = imported(SOURCES[spec])
    edited = character.model_copy(update={name: "Changed “🦊”"})
    for before, after in zip(written(character, tags).values(), written(edited, tags).values(), strict=True):
        assert after["data"].pop(EDITS[name]) == "Changed “🦊”"
        before["data"].pop(EDITS[name])
        assert canonical(after) == canonical(before)
    assert {card.fields[name] for card in reread(edited, tags)} == {"Changed “🦊”"}


@pytest.mark.parametrize("value", ["", None])
@pytest.mark.parametrize("name", ["exampleDialogues", "systemPrompt"])
def test_an_emptied_field_is_empty_in_the_card(name: str, value: str | None) -> None:
    character, tags = imported(SOURCES["V3"], **{name: value})
    assert {card["data"][EDITS[name]] for card in written(character, tags).values()} == {""}
    assert {card.fields[name] for card in reread(character, tags)} == {None}


def test_a_text_in_place_of_a_value_of_the_wrong_kind_takes_it() -> None:
    character, tags = imported(make_v3(description=5), description="Now text")
    assert written(character, tags)["ccv3"]["data"]["description"] == "Now text"


@pytest.mark.parametrize("spec", ["V2", "V3"])
@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        (["elf", "WIZARD"], ["Elf", " wizard ", "ELF"]),
        (["wizard", "Elf"], ["Elf", " wizard ", "ELF"]),
        (["wizard"], ["wizard"]),
        (["Fox", "wizard", "elf"], ["elf", "wizard", "Fox"]),
        (["fox", "bear", "Fox", " "], ["bear", "fox"]),
        ([], []),
    ],
)
def test_tags_follow_the_character(spec: str, tags: list[str], wanted: list[str]) -> None:
    character, _ = imported(SOURCES[spec])
    for card in written(character, tags).values():
        assert card["data"]["tags"] == wanted


def test_of_more_tags_than_are_taken_all_go_out_until_one_is_changed() -> None:
    names = [f"tag {number}" for number in range(150)]
    character, tags = imported(make_v3(tags=names))
    assert len(tags) == 100
    assert written(character, tags)["ccv3"]["data"]["tags"] == names
    assert written(character, tags[1:])["ccv3"]["data"]["tags"] == names[1:100]


@pytest.mark.parametrize("spec", SOURCES)
def test_a_title_lies_among_the_extensions(spec: str) -> None:
    character, tags = imported(SOURCES[spec], title="The “First”")
    for card in written(character, tags).values():
        assert card["data"]["extensions"]["tandem"]["title"] == "The “First”"
        if spec != "V1":
            assert card["data"]["extensions"]["depth_prompt"] == {"depth": 4, "prompt": ""}
            assert card["data"]["extensions"]["tandem"]["mine"] == 1
    (first, *others) = reread(character, tags)
    assert {card.fields["title"] for card in (first, *others)} == {"The “First”"}
    again = made(first.source, **{**first.fields, "title": None})
    assert {card.fields["title"] for card in reread(again, tags)} == {None}


def test_extensions_of_a_strange_kind_are_nobodys_to_replace() -> None:
    character, tags = imported(make_v3(extensions=["mine"]), title="First")
    assert written(character, tags)["json"]["data"]["extensions"] == ["mine"]


# --- made by hand

BY_HAND = [None, {}, {"note": "of another program"}, {"spec": "chara_card_v9", "data": {}}, {"spec": "chara_card_v3"}]


@pytest.mark.parametrize("source", BY_HAND)
@pytest.mark.parametrize("title", [None, "", "Countess"])
def test_a_character_made_by_hand_becomes_a_card_with_all_that_cards_need(source: Any, title: str | None) -> None:
    character = made(source, title=title)
    for card in reread(character, ["Elf", "Fox"]):
        assert (card.fields, card.tags, card.notes) == ({**FIELDS, "title": title}, ["Elf", "Fox"], [])
    card = written(character, [])
    assert list(card["json"]) == ["spec", "spec_version", "data"]
    assert canonical(card["json"]) == canonical(card["ccv3"])
    needed = {
        **{key: [] for key in ("tags", "alternate_greetings", "group_only_greetings")},
        **dict.fromkeys(("creator_notes", "post_history_instructions", "creator", "character_version"), ""),
    }
    for key, value in needed.items():
        assert card["json"]["data"][key] == value
    assert "group_only_greetings" not in card["chara"]["data"]
    assert card["chara"]["data"].get("extensions") == ({} if title is None else {"tandem": {"title": title}})


@pytest.mark.parametrize("name", ["", " ", "\n"])
def test_a_character_without_a_name_makes_no_card(name: str) -> None:
    with pytest.raises(CardError, match="has no name"):
        card_json(made(name=name), [])
    with pytest.raises(CardError, match="has no name"):
        card_png(made(name=name), [], None)


def test_the_json_is_for_people_to_read() -> None:
    text = card_json(made(description="Grüße 🦊\u2028"), []).decode()
    assert text.startswith('{\n  "spec": "chara_card_v3",\n  "spec_version": "3.0",\n  "data": {\n    "name": "Ada"')
    assert text.endswith("}\n")
    assert "Grüße 🦊\u2028" in text


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from([*make_v3()["data"], "tags", "extensions", "creator", "spec", "spec_version"])


@settings(max_examples=150)
@given(st.dictionaries(KEYS | TEXT, JSON, max_size=6), st.sampled_from([make_v1, make_v2, make_v3]))
def test_whatever_a_card_holds_it_comes_back(changes: dict[str, Any], make: Any) -> None:
    source = make(**{"name": "Ada", **changes})
    try:
        card = read_card(as_json(source), "ada")
    except CardError:
        return
    character = made(card.source, **card.fields)
    png = card_png(character, card.tags, None)
    place = {"V1": None, "V2": "chara", "V3": "ccv3"}[card.spec]
    if place:
        assert canonical(chunks(png)[place]) == canonical(card.source)
    for data in (png, card_json(character, card.tags)):
        again = read_card(data, "ada")
        assert (again.fields, again.tags, again.creator) == (card.fields, card.tags, card.creator)


# --- the picture


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_the_picture_of_any_format_becomes_a_sound_png_with_two_chunks(kind: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(file, kind)
    png = card_png(made(), ["Elf"], file.getvalue())
    kinds = [chunk.kind for chunk in read_png(png).chunks]
    assert kinds == [b"IHDR", b"IDAT", b"tEXt", b"tEXt", b"IEND"]
    check_picture(read_png(png))
    with Image.open(io.BytesIO(png)) as image:
        assert (image.format, image.size) == ("PNG", (30, 20))
        image.load()
    assert read_card(png, "ada").image == png


def test_a_card_in_the_picture_gives_way_to_the_characters_own() -> None:
    old = make_card_png(make_png((30, 20)), chara=make_v2(name="Old"), ccv3=make_v3(name="Old"), comment="Old")
    card = chunks(card_png(made(), [], old))
    assert card.keys() == {"chara", "ccv3"}
    assert {one["data"]["name"] for one in card.values()} == {"Ada"}


def test_without_a_picture_there_is_a_plain_one_that_is_always_the_same() -> None:
    png = card_png(made(), [], None)
    assert png == card_png(made(), [], None)
    assert png != card_png(made(id="c2"), [], None)
    with Image.open(io.BytesIO(png)) as image:
        assert image.size == (400, 600)
    assert read_card(png, "ada").image == png


def test_a_large_picture_is_drawn_smaller_so_that_the_card_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = make_png((6000, 30), "RGB", "red")
    with Image.open(io.BytesIO(card_png(made(), [], picture))) as image:
        assert image.size == (5000, 25)
    monkeypatch.setattr(writing, "_MOST_PICTURE_BYTES", 100)
    with Image.open(io.BytesIO(card_png(made(), [], picture))) as image:
        assert image.size[0] < 5000


def test_a_picture_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(PictureError):
        card_png(made(), [], b"<svg/>")


@pytest.mark.parametrize("limits", [Limits(max_file_bytes=4000), Limits(max_text_bytes=400)])
def test_a_card_that_a_png_cannot_hold_is_refused(monkeypatch: pytest.MonkeyPatch, limits: Limits) -> None:
    monkeypatch.setattr(writing, "DEFAULT_LIMITS", limits)
    with pytest.raises(CardError, match="is too large for a picture") as caught:
        card_png(made(description="x" * 2000), [], make_png())
    assert caught.value.hint == "Export it as JSON."


def test_a_source_that_grew_when_its_numbers_were_written_out_is_still_a_card() -> None:
    text = '{"spec": "chara_card_v3", "spec_version": "3.0", "data": {"name": "Ada"}, "n": [' + "1e9999, " * 90 + "0]}"
    card = read_card(text.encode(), "ada")
    character = made(card.source, **card.fields)
    assert written(character, [])["ccv3"] == json.loads(codec.dumps(card.source), parse_int=codec.number)


# --- the name of the file


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Ada", "Ada.png"),
        ("Ada  Lovelace\n2nd", "Ada Lovelace 2nd.png"),
        ("Grüße 🦊", "Grüße 🦊.png"),
        ("../../etc/passwd", "_.._etc_passwd.png"),
        ('a<b>c:d"e/f\\g|h?i*j', "a_b_c_d_e_f_g_h_i_j.png"),
        ("evil\u202egnp.exe", "evilgnp.exe.png"),
        ("a\u2028b\u2029c", "a b c.png"),
        (" . hidden. ", "hidden.png"),
        ("...", "character.png"),
        ("\u200b", "character.png"),
        ("con", "_con.png"),
        ("LPT1.x", "_LPT1.x.png"),
        ("console", "console.png"),
        ("", "character.png"),
        ("x" * 400, "x" * 150 + ".png"),
        ("🦊" * 100, "🦊" * 37 + ".png"),
    ],
)
def test_the_file_is_called_as_the_character_where_every_system_takes_it(name: str, wanted: str) -> None:
    assert card_file_name(made(name=name), "png") == wanted
