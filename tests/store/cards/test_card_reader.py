"""A person's cards come in as they are, and what is wrong with a file is said by its name."""

import json
import random
import time
import zlib
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from store import codec
from store.cards import DEFAULT_LIMITS, Card, CardError, Limits, read_card
from store.cards.png import SIGNATURE

from .making import (
    as_base64,
    as_json,
    chunk,
    make_card_png,
    make_png,
    make_v1,
    make_v2,
    make_v3,
    packed_itxt,
    with_chunk,
)


def read(card: Any, filename: str = "ada.json") -> Card:
    return read_card(card if isinstance(card, bytes) else as_json(card), filename)


def refusal(data: bytes, filename: str = "ada.png", limits: Limits = DEFAULT_LIMITS) -> CardError:
    with pytest.raises(CardError) as caught:
        read_card(data, filename, limits)
    assert filename in str(caught.value)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(("make", "spec"), [(make_v1, "V1"), (make_v2, "V2"), (make_v3, "V3")])
@pytest.mark.parametrize("boxed", [False, True])
def test_a_card_of_every_version_becomes_the_same_character(make: Any, spec: str, boxed: bool) -> None:
    source = make()
    card = read_card(make_card_png(chara=source) if boxed else as_json(source), "ada")
    assert card.fields == {
        "name": "Ada",
        "title": None,
        "description": "An engineer.",
        "personality": "Curious",
        "scenario": "A workshop",
        "firstMessage": "Hello!",
        "exampleDialogues": "<START>",
        "systemPrompt": None,
    }
    assert (card.filename, card.spec, card.source) == ("ada", spec, source)
    assert (card.tags, card.creator, card.notes) == ([], "", [])


def test_empty_dialogues_and_prompt_are_none_and_missing_texts_are_empty() -> None:
    card = read({"spec": "chara_card_v3", "data": {"name": "Ada", "mes_example": "", "description": None}})
    assert card.fields["exampleDialogues"] is None
    assert [card.fields[key] for key in ("description", "personality", "scenario", "firstMessage")] == [""] * 4
    assert card.notes == []


def test_the_system_prompt_and_the_creator_come_along() -> None:
    card = read(make_v2(system_prompt="Be Ada.", creator="Charles"))
    assert (card.fields["systemPrompt"], card.creator) == ("Be Ada.", "Charles")


def test_tags_are_trimmed_and_there_once_whatever_their_case() -> None:
    assert read(make_v2(tags=[" Elf", "elf ", "", "  ", "Wizard", "ELF"])).tags == ["Elf", "Wizard"]


def test_what_tandem_does_not_know_is_kept_as_it_was() -> None:
    source = make_v3(
        extensions={"depth_prompt": {"depth": 4, "prompt": ""}, "z": 1, "a": [None, True]},
        assets=[{"type": "icon", "uri": "ccdefault:"}],
        character_book={"entries": []},
    )
    card = read({"first": 1, **source, "create_date": "2023-1-1"})
    assert card.source == {"first": 1, **source, "create_date": "2023-1-1"}
    assert list(card.source) == ["first", "spec", "spec_version", "data", "create_date"]


def test_every_digit_of_a_number_is_kept() -> None:
    text = '{"personality": "", "name": "Ada", "big": 123456789012345678901234567890, "long": 0.1234567890123456789012}'
    card = read(text.encode())
    assert card.source["big"] == Decimal("123456789012345678901234567890")
    assert codec.dumps(card.source).decode() == text.replace(": ", ":").replace(", ", ",")


def test_emoji_and_line_separators_are_kept() -> None:
    said = "🦊 Grüße\u2028next"
    for data in (as_json(make_v2(first_mes=said)), make_card_png(chara=make_v2(first_mes=said))):
        assert read_card(data, "fox").fields["firstMessage"] == said


def test_a_byte_order_mark_and_blank_lines_before_the_json_do_no_harm() -> None:
    assert read(b"\xef\xbb\xbf\r\n " + as_json(make_v1())).fields["name"] == "Ada"


def test_the_content_counts_and_not_the_ending_of_the_name() -> None:
    assert read(as_json(make_v1()), "ada.png").image is None
    assert read(make_card_png(chara=make_v1()), "ada.json").image is not None


# --- in a PNG


def test_ccv3_wins_over_chara() -> None:
    card = read_card(make_card_png(chara=make_v2(name="Old"), ccv3=make_v3(name="New")), "ada.png")
    assert (card.fields["name"], card.spec, card.notes) == ("New", "V3", [])


@pytest.mark.parametrize(
    "broken",
    ["%%%", as_base64(b"{"), as_base64([1]), as_base64(None), as_base64(make_v3(name="")), as_base64(b"\xff{")],
)
def test_a_broken_ccv3_gives_way_to_a_good_chara_and_a_note_says_so(broken: str) -> None:
    card = read_card(make_card_png(chara=make_v2(), ccv3=broken), "ada.png")
    assert card.fields["name"] == "Ada"
    assert card.notes[0].startswith("The ccv3 chunk could not be read, the chara chunk was used.")


def test_when_both_chunks_are_broken_both_faults_are_told() -> None:
    told = str(refusal(make_card_png(chara="%%%", ccv3=as_base64([1]))))
    assert told == (
        "The ccv3 chunk of ada.png holds a list instead of a character card. "
        "The chara chunk of ada.png cannot be read. It is not base64."
    )


def test_a_card_in_plain_and_in_packed_itxt_is_read() -> None:
    payload = as_base64(make_v2())
    plain = with_chunk(make_png(), chunk(b"iTXt", b"chara\0\0\0en\0Karte\0" + payload.encode()))
    packed = with_chunk(make_png(), packed_itxt("Chara", zlib.compress(payload.encode())))
    assert read_card(plain, "a.png").fields == read_card(packed, "b.png").fields


def test_base64_without_padding_and_with_line_breaks_is_read() -> None:
    payload = next(p for n in range(3) if (p := as_base64(make_v2(name="A" * (n + 1)))).endswith("="))
    broken_up = "\r\n ".join(payload[i : i + 76] for i in range(0, len(payload), 76)).replace("=", "")
    assert read_card(make_card_png(chara=broken_up), "ada.png").source["spec"] == "chara_card_v2"


def test_of_several_chara_chunks_the_first_is_used_and_a_note_says_so() -> None:
    second = chunk(b"tEXt", b"chara\0" + as_base64(make_v2(name="Second")).encode())
    first = chunk(b"tEXt", b"chara\0" + as_base64(make_v2(name="First")).encode())
    card = read_card(with_chunk(make_png(), first, second), "ada.png")
    assert card.fields["name"] == "First"
    assert card.notes == ["There is more than one chara chunk, the first was used."]


def test_the_picture_is_the_png_itself() -> None:
    png = make_card_png(chara=make_v2())
    assert read_card(png, "ada.png").image == png


def test_bytes_after_the_end_of_the_picture_are_left_out() -> None:
    png = make_card_png(chara=make_v2())
    card = read_card(png + b"PK\3\4", "ada.png")
    assert card.image == png
    assert card.notes == ["4 bytes after the end of the picture were left out."]


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        (make_png((1, 1)), "It is only a placeholder."),
        (make_png((9000, 9000), "RGB"), "It is too large: 9,000 x 9,000 pixels."),
    ],
)
def test_a_picture_that_cannot_be_shown_is_left_out_and_the_card_is_read(picture: bytes, why: str) -> None:
    card = read_card(make_card_png(picture, chara=make_v2()), "ada.png")
    assert (card.fields["name"], card.image) == ("Ada", None)
    assert card.notes == [f"The picture was left out. {why}"]


def test_a_picture_without_a_card_is_refused() -> None:
    told = refusal(with_chunk(make_png(), packed_itxt("comment", b"rubbish")))
    assert "without a character card" in str(told)
    assert "original file" in told.hint


def test_a_damaged_png_is_refused() -> None:
    png = make_card_png(chara=make_v2())
    assert "cut off" in str(refusal(png[:-5]))
    assert "checksum of its tEXt chunk" in str(refusal(png.replace(b"chara", b"ccv3x")))


def test_a_packed_text_that_would_fill_the_memory_is_refused() -> None:
    bomb = with_chunk(make_png(), packed_itxt("chara", zlib.compress(bytes(17 * 2**20), 9)))
    assert len(bomb) < 20_000
    assert "unpacks to more than 16 MiB" in str(refusal(bomb))


# --- refusals


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff\xd8\xff\xe0 a photo", "neither a PNG nor JSON"),
        (SIGNATURE[:5], "neither a PNG nor JSON"),
        (as_json(make_v1()).decode().encode("utf-16"), "neither a PNG nor JSON"),
        (b'{"name": "Ad\xe9", "personality": ""}', "not UTF-8 text"),
        (b'{"name": "Ada"', "line 1, column"),
        (b'[{"name": "Ada"}]', "holds a list instead of a character card"),
        (b'{"name": "left-pad", "description": "A package", "version": "1"}', "is JSON, but not a character card"),
        (b'{"name": "Ada", "personality": "", "x": NaN}', "NaN is not a JSON number"),
        (b'{"name": "Ada", "personality": "", "x": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"name": "Ada", "personality": "\\u0000"}', "NUL character"),
        (b'{"name": "Ada", "personality": "\\ud83e"}', "surrogate"),
        (b'{"a":' * 100_000, "nested deeper than 200 levels"),
        (b'{"x": [' + b"1e131000, " * 8 + b"1]}", "numbers that are too long to be kept"),
        (b'{"x": [' + b"1e-16000 ," * 70 + b"1]}", "numbers that are too long to be kept"),
        (b'{"x":-1.5E+9999999999999999999}', "numbers that are too long to be kept"),
        (as_json({**make_v2(), "spec": "chara_card_v9"}), "names “chara_card_v9” as its spec"),
        (as_json({**make_v2(), "spec": 2}), "names a number as its spec"),
        (as_json({**make_v2(), "data": [1]}), "is a V2 card without its data"),
        (as_json({"spec": "chara_card_v3"}), "is a V3 card without its data"),
        (as_json(make_v2(name=" ")), "does not name its character"),
        (as_json(make_v2(name=None)), "does not name its character"),
        (as_json(make_v1(name=7)), "has a number as the character's name"),
        (as_json(make_v1(name=False)), "has true or false as the character's name"),
    ],
)
def test_what_is_no_card_is_refused_by_name(data: bytes, fault: str) -> None:
    assert fault in str(refusal(data, "ada.json"))


def test_a_large_exponent_in_a_text_is_only_text() -> None:
    assert read(make_v1(scenario='"\\" 1e999999999, 2]' * 3, x="1e131000")).fields["name"] == "Ada"


@pytest.mark.parametrize("data", [b'{"a":' + b"9" * 2_000_000, b"{" + b'"' * 2_000_001, b'{"' + b'\\"' * 1_000_000])
def test_a_file_made_to_keep_tandem_busy_is_refused_at_once(data: bytes) -> None:
    start = time.process_time()
    refusal(data, "ada.json")
    assert time.process_time() - start < 5


def test_a_file_may_be_as_large_as_the_limit_and_no_larger() -> None:
    data = as_json(make_v1())
    assert read_card(data, "ada.json", Limits(max_file_bytes=len(data))).spec == "V1"
    assert "a card may have" in str(refusal(data, "ada.json", Limits(max_file_bytes=len(data) - 1)))


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"description": 5}, "The card's description is a number instead of text; it was left empty."),
        ({"creator": ["a"]}, "The card's creator is a list instead of text; it was left empty."),
        ({"system_prompt": {}}, "The card's system_prompt is an object instead of text; it was left empty."),
        ({"tags": "elf, wizard"}, "The card's tags are text instead of a list; none were taken."),
        ({"tags": {"elf": 1}}, "The card's tags are an object instead of a list; none were taken."),
        ({"tags": ["elf", 1, None]}, "2 of the card's 3 tags are not text and were left out."),
    ],
)
def test_a_value_of_the_wrong_kind_is_noted_and_kept_in_the_source(changes: dict[str, Any], note: str) -> None:
    card = read(make_v2(**changes))
    assert card.notes == [note]
    assert card.source == make_v2(**changes)


@pytest.mark.parametrize(("version", "told"), [("3.1", "“3.1”"), (3, "a number")])
def test_a_newer_version_is_read_and_noted(version: Any, told: str) -> None:
    card = read({**make_v3(), "spec_version": version})
    assert card.notes == [f"The card's spec_version is {told} instead of “3.0”; it was read as 3.0."]


# --- whatever the bytes are

# Reading is quick; only Hypothesis itself may be slow to start.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

SEEDS = [
    make_card_png(chara=make_v2(tags=["a"]), ccv3=make_v3()),
    with_chunk(make_png(), packed_itxt("ccv3", zlib.compress(as_base64(make_v3()).encode()))),
    as_json(make_v2(tags=["a"], extensions={"n": 1.5e300})),
]


def read_or_refuse(data: bytes) -> None:
    try:
        card = read_card(data, "any")
    except CardError as error:
        told = error.sentence
    else:
        told = f"any: {codec.dumps(codec.canonical(card.source))!r}"
    assert "any" in told


@PATIENT
@pytest.mark.slow
@given(st.binary(max_size=300), st.sampled_from([b"", SIGNATURE, b"{", b'{"spec":']))
@example(b"1e9999999999999999999}", b'{"spec":')
def test_arbitrary_bytes_are_read_or_refused(data: bytes, start: bytes) -> None:
    read_or_refuse(start + data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@PATIENT
@pytest.mark.slow
@given(st.dictionaries(st.sampled_from([*make_v2()["data"], "tags", "creator", "spec", "data", "spec_version"]), JSON))
def test_a_card_with_values_of_any_kind_is_read_or_refused(changes: dict[str, Any]) -> None:
    for card in (make_v2(**changes), {**make_v2(), **changes}, {**make_v1(), **changes}):
        try:
            data = as_json(card)
        except UnicodeEncodeError:
            continue
        read_or_refuse(data)


@settings(PATIENT, max_examples=300)
@pytest.mark.slow
@given(st.sampled_from(SEEDS), st.integers(0, 2**32), st.integers(1, 6), st.booleans())
def test_a_mutated_card_is_read_or_refused(seed: bytes, dice: int, changes: int, mend: bool) -> None:
    roll = random.Random(dice)
    data = bytearray(seed)
    for _ in range(changes):
        position = roll.randrange(len(data) + 1)
        data[position : position + roll.randrange(4)] = roll.randbytes(roll.randrange(4))
    read_or_refuse(_with_mended_checksums(bytes(data)) if mend else bytes(data))


def _with_mended_checksums(data: bytes) -> bytes:
    """Lengths as they are, checksums made right: so that a mutation is not just caught by the first checksum."""
    mended = bytearray(data)
    position = len(SIGNATURE)
    while data.startswith(SIGNATURE) and position + 12 <= len(data):
        end = position + 8 + int.from_bytes(data[position : position + 4], "big")
        if end + 4 > len(data):
            break
        mended[end : end + 4] = zlib.crc32(data[position + 4 : end]).to_bytes(4, "big")
        position = end + 4
    return bytes(mended)


def test_of_thousands_of_tags_the_first_hundred_are_taken_and_all_are_kept() -> None:
    names = [f"tag {number}" for number in range(2000)]
    card = read_card(json.dumps({"spec": "chara_card_v2", "data": {"name": "Lyra", "tags": names}}).encode(), "a.json")
    assert card.tags == names[:100]
    assert card.source["data"]["tags"] == names
    assert "Of the card's 2000 tags the first 100 are taken" in card.notes[0]
