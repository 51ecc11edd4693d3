"""Characters as cards for other programs: what was imported and not changed since goes out as it came in."""

import re
import unicodedata
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from store import codec
from store.cards.errors import CardError
from store.cards.limits import DEFAULT_LIMITS, Limits, in_words
from store.cards.png import with_text_chunks
from store.cards.reader import OWN_EXTENSION, Card, read_card
from store.documents import Character
from store.pictures import as_png, plain_png

# A card's key -> the field of ours that it holds.
_KEYS = {
    "name": "name",
    "description": "description",
    "personality": "personality",
    "scenario": "scenario",
    "first_mes": "firstMessage",
    "mes_example": "exampleDialogues",
    "system_prompt": "systemPrompt",
}
_V2, _V3 = ("chara_card_v2", "2.0"), ("chara_card_v3", "3.0")
# What a card has to have besides; each list and object is made anew.
_EMPTY: Mapping[str, type[str] | type[list[Any]] | type[dict[str, Any]]] = {
    "creator_notes": str,
    "post_history_instructions": str,
    "alternate_greetings": list,
    "tags": list,
    "creator": str,
    "character_version": str,
    "extensions": dict,
}
# A source was small enough when it was imported; written out it may have grown, and is ours all the same.
_ANY_SIZE = Limits(max_file_bytes=2**40, max_written_out_digits=2**40)
_MOST_PICTURE_BYTES = DEFAULT_LIMITS.max_file_bytes // 2  # the other half is for the card
_MOST_PICTURE_EDGE = 5_000  # of more pixels the reader would keep none
_PLACEHOLDER = (400, 600)
_NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)  # on Windows, whatever their ending
_LONGEST_NAME = 150  # bytes


def card_json(character: Character, tag_names: Sequence[str]) -> bytes:
    """The character as a V3 card in JSON.

    ``tag_names`` are the names of its tags. Raises CardError for a character without a name.
    """
    return codec.dumps_pretty(_card(character, tag_names, _V3)) + b"\n"


def card_png(character: Character, tag_names: Sequence[str], picture: bytes | None) -> bytes:
    """The character as a PNG that holds its card twice, as V2 (``chara``) and as V3 (``ccv3``).

    ``picture`` is in any format that Tandem keeps; None makes a plain one. Raises CardError for a character without a
    name and for a card too large to be read back from a PNG, PictureError for a picture that cannot be read.
    """
    packed = {
        keyword: b64encode(codec.dumps(_card(character, tag_names, spec))).decode("ascii")
        for keyword, spec in (("chara", _V2), ("ccv3", _V3))
    }
    png = _plain(character) if picture is None else as_png(picture, _MOST_PICTURE_EDGE, _MOST_PICTURE_BYTES)
    made = with_text_chunks(png, packed)
    limits = DEFAULT_LIMITS
    if len(made) > limits.max_file_bytes or len(packed["ccv3"]) > limits.max_text_bytes:
        raise CardError(
            f"The card of “{character.name}” is too large for a picture; a PNG may have "
            f"{in_words(limits.max_file_bytes)}.",
            hint="Export it as JSON.",
        )
    return made


def card_file_name(character: Character, extension: str) -> str:
    """A name for the file that every system takes: the character's, without what some system refuses."""
    shown = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in character.name)
    shown = "".join(c for c in shown if not unicodedata.category(c).startswith("C"))
    shown = " ".join(_NOT_IN_NAMES.sub("_", shown).split()).encode()[:_LONGEST_NAME].decode("utf-8", "ignore")
    shown = shown.strip(" .")
    if _DEVICES.fullmatch(shown.partition(".")[0].strip()):
        shown = f"_{shown}"
    return f"{shown or 'character'}.{extension}"


def _plain(character: Character) -> bytes:
    """A picture of one quiet colour, always the same for the same character."""
    red, green, blue = sha256(character.id.encode()).digest()[:3]
    return plain_png(*_PLACEHOLDER, (96 + red // 4, 96 + green // 4, 96 + blue // 4))


def _card(character: Character, tag_names: Sequence[str], spec: tuple[str, str]) -> dict[str, Any]:
    """The whole card in one version. What was read from a card of that version stays, key by key."""
    if not character.name.strip():
        raise CardError("The character has no name, and a card needs one.", hint="Give it a name first.")
    read = _imported(character)
    card: dict[str, Any] = {"spec": spec[0], "spec_version": spec[1], "data": {}}
    if read is not None:
        card = read.source if read.spec != "V1" else {**card, "data": read.source}
    record = _with_edits(card["data"], read, character, tag_names)
    if read is None or read.spec == "V1" or card["spec"] != spec[0]:
        card.update(spec=spec[0], spec_version=spec[1])
        needed = {**_EMPTY, "group_only_greetings": list} if spec == _V3 else _EMPTY
        for key, make in (dict.fromkeys(_KEYS, str) | dict(needed)).items():
            record.setdefault(key, make())
    return card


def _imported(character: Character) -> Card | None:
    """The card that the character was made of, read as the import reads it; a copy, free to be changed."""
    if not character.sillyTavernData:
        return None
    try:
        return read_card(codec.dumps(character.sillyTavernData), "sillyTavernData", _ANY_SIZE)
    except CardError:  # another program's notes: nothing of it belongs into a card
        return None


def _with_edits(record: dict[str, Any], read: Card | None, character: Character, tags: Sequence[str]) -> dict[str, Any]:
    """Put what the character says into the card's record, where it is not what the card says already."""
    for key, name in _KEYS.items():
        value = getattr(character, name) or ""
        if read is None or (read.fields[name] or "") != value:
            record[key] = value
    if (read.fields["title"] if read else None) != character.title:
        _set_title(record, character.title)
    names = {tag.strip().lower(): tag.strip() for tag in reversed(tags) if tag.strip()}
    said = {tag.lower() for tag in read.tags} if read else set()
    if names.keys() != said:
        kept = [names[tag.lower()] for tag in (read.tags if read else ()) if tag.lower() in names]
        record["tags"] = kept + [names[key] for key in reversed(names) if key not in said]
    return record


def _set_title(record: dict[str, Any], title: str | None) -> None:
    extensions = record.get("extensions") or {}
    if not isinstance(extensions, dict):
        return  # what is there is somebody's data, and no place for ours
    own = extensions.get(OWN_EXTENSION)
    own = {**(own if isinstance(own, dict) else {}), "title": title}
    record["extensions"] = {**extensions, OWN_EXTENSION: own}
