"""Character Card V1, V2 and V3, from JSON or from the text chunks of a PNG, told in Quilltap's words."""

import re
from base64 import b64decode
from dataclasses import dataclass, replace
from typing import Any

from store import codec
from store.cards.errors import CardError, PngError
from store.cards.limits import DEFAULT_LIMITS, Limits, in_words
from store.cards.png import SIGNATURE, Png, check_picture, read_png, text_of
from store.errors import InvalidValueError

# The value of "spec" -> our name for it, and the version that this reader was written for.
_SPECS = {"chara_card_v2": ("V2", "2.0"), "chara_card_v3": ("V3", "3.0")}
# A flat object is a V1 card only if it has one of these: name and description alone are also in any package.json.
_ONLY_IN_CARDS = {"personality", "scenario", "first_mes", "mes_example"}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Steps from text to text and from number to number, and takes the exponent where one is large. Every alternative is
# possessive and matches once begun, so that no file makes it slow.
_LARGE_EXPONENT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|\d++(?:\.\d++)?(?:[eE][+-]?(\d{3,}+))?', re.DOTALL)

OWN_EXTENSION = "tandem"  # the key below a card's extensions with what cards have no place for
MOST_TAGS = 100  # cards come from strangers, and every tag is a record of its own


@dataclass(frozen=True)
class Card:
    """One character as its card tells it.

    ``spec`` is V1, V2 or V3. ``fields`` are Quilltap's: name, title, description, personality, scenario, firstMessage,
    exampleDialogues, systemPrompt; the last two are None when empty, and title is None unless Tandem wrote the card:
    others have no place for it. ``tags`` are trimmed and each there once. ``source`` is the card's whole JSON object,
    unchanged. ``image`` is the PNG's bytes, None where there is no picture to show. ``notes`` are sentences about what
    a person should know before importing.
    """

    filename: str
    spec: str
    fields: dict[str, str | None]
    tags: list[str]
    creator: str
    source: dict[str, Any]
    image: bytes | None
    notes: list[str]


def read_card(data: bytes, filename: str, limits: Limits = DEFAULT_LIMITS) -> Card:
    """Read one card. Whether it is a PNG or JSON is told by the content; ``filename`` is only for messages.

    Raises CardError, and nothing else, whatever the bytes are.
    """
    if len(data) > limits.max_file_bytes:
        raise CardError(
            f"{filename} has {in_words(len(data))}; a card may have {in_words(limits.max_file_bytes)}.",
            hint="Save its picture smaller, or export the card as JSON.",
        )
    if data.startswith(SIGNATURE):
        return _card_in_png(data, filename, limits)
    if not data.strip():
        raise CardError(f"{filename} is empty.")
    text = data.removeprefix(_BYTE_ORDER_MARK)
    if text.lstrip()[:1] not in (b"{", b"["):
        raise CardError(f"{filename} is neither a PNG nor JSON.", hint="Export the card as PNG or as JSON.")
    return _card_in_json(text, filename, filename, limits)


def _card_in_png(data: bytes, filename: str, limits: Limits) -> Card:
    try:
        png = read_png(data, limits)
    except PngError as error:
        raise CardError(f"{filename} is not a sound PNG. {error}", hint=error.hint) from error
    faults: list[CardError] = []
    notes: list[str] = []
    for keyword in ("ccv3", "chara"):
        chunks = png.text_chunks(keyword)[:2]
        if not chunks:
            continue
        try:
            # Never more than the first: else a file full of packed chunks would keep us unpacking for minutes.
            payload = _decoded(text_of(chunks[0], limits))
            card = _card_in_json(payload, filename, f"The {keyword} chunk of {filename}", limits)
        except PngError as error:
            faults.append(CardError(f"The {keyword} chunk of {filename} cannot be read. {error}"))
        except CardError as error:
            faults.append(error)
        else:
            if faults:
                notes.append(f"The ccv3 chunk could not be read, the chara chunk was used. {faults[0]}")
            if len(chunks) > 1:
                notes.append(f"There is more than one {keyword} chunk, the first was used.")
            image = _picture(data, png, limits, notes)
            return replace(card, image=image, notes=notes + card.notes)
    if faults:
        raise CardError(" ".join(str(fault) for fault in faults), hint=faults[0].hint) from faults[0]
    raise CardError(
        f"{filename} is a picture without a character card.",
        hint="Download the original file again: many sites and chat programs strip the card from a picture.",
    )


def _picture(data: bytes, png: Png, limits: Limits, notes: list[str]) -> bytes | None:
    try:
        check_picture(png, limits)
    except PngError as error:
        notes.append(f"The picture was left out. {error}")
        return None
    if png.length < len(data):
        notes.append(f"{len(data) - png.length:,} bytes after the end of the picture were left out.")
    return data[: png.length]


def _decoded(text: str) -> bytes:
    bare = "".join(text.split()).rstrip("=")
    try:
        return b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except ValueError as error:
        raise PngError("It is not base64.") from error


def _card_in_json(text: bytes, filename: str, where: str, limits: Limits) -> Card:
    # The codec writes 1e131000 (and 1e-16000) out in full: a few kilobytes of such numbers would fill the memory.
    exponents = (match[1] for match in _LARGE_EXPONENT.finditer(text) if match[1])
    if sum(int(e) if len(e) < 10 else 10**10 for e in exponents) > limits.max_written_out_digits:
        raise CardError(f"{where} holds numbers that are too long to be kept.")
    try:
        source = codec.loads(text)
    except InvalidValueError as error:
        raise CardError(f"{where} is not readable JSON: {error}", hint="Correct it or export it again.") from error
    if not isinstance(source, dict):
        raise CardError(f"{where} holds {_kind(source)} instead of a character card.")
    notes: list[str] = []
    spec, record = _layout(source, where, notes)
    return Card(
        filename=filename,
        spec=spec,
        fields=_fields(record, where, notes),
        tags=_tags(record.get("tags"), notes),
        creator=_text(record, "creator", notes),
        source=source,
        image=None,
        notes=notes,
    )


def _layout(source: dict[str, Any], where: str, notes: list[str]) -> tuple[str, dict[str, Any]]:
    """The card's spec, and the object that holds its fields."""
    said = source.get("spec")
    if said is None:
        if not _ONLY_IN_CARDS.intersection(source):
            raise CardError(f"{where} is JSON, but not a character card.")
        return "V1", source
    if not isinstance(said, str) or said not in _SPECS:
        told = f"“{said[:40]}”" if isinstance(said, str) else _kind(said)
        raise CardError(
            f"{where} names {told} as its spec, which is none that Tandem reads.",
            hint="Export the card as Character Card V2 or V3.",
        )
    spec, written_for = _SPECS[said]
    record = source.get("data")
    if not isinstance(record, dict):
        raise CardError(f"{where} is a {spec} card without its data.")
    version = source.get("spec_version")
    if version is not None and version != written_for:
        told = f"“{version[:40]}”" if isinstance(version, str) else _kind(version)
        notes.append(f"The card's spec_version is {told} instead of “{written_for}”; it was read as {written_for}.")
    return spec, record


def _fields(record: dict[str, Any], where: str, notes: list[str]) -> dict[str, str | None]:
    name = record.get("name")
    if name is not None and not isinstance(name, str):
        raise CardError(f"{where} has {_kind(name)} as the character's name.", hint="Write a name into the card.")
    if not name or not name.strip():
        raise CardError(f"{where} does not name its character.", hint="Write a name into the card.")
    return {
        "name": name,
        "title": _title(record),
        "description": _text(record, "description", notes),
        "personality": _text(record, "personality", notes),
        "scenario": _text(record, "scenario", notes),
        "firstMessage": _text(record, "first_mes", notes),
        "exampleDialogues": _text(record, "mes_example", notes) or None,
        "systemPrompt": _text(record, "system_prompt", notes) or None,
    }


def _title(record: dict[str, Any]) -> str | None:
    """What ``store.cards.writing`` put among the extensions."""
    extensions = record.get("extensions")
    own = extensions.get(OWN_EXTENSION) if isinstance(extensions, dict) else None
    title = own.get("title") if isinstance(own, dict) else None
    return title if isinstance(title, str) else None


def _text(record: dict[str, Any], key: str, notes: list[str]) -> str:
    value = record.get(key)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    # No reason to refuse the character: the value is not lost, it stays in the source.
    notes.append(f"The card's {key} is {_kind(value)} instead of text; it was left empty.")
    return ""


def _tags(value: object, notes: list[str]) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list):
        notes.append(f"The card's tags are {_kind(value)} instead of a list; none were taken.")
        return []
    tags: dict[str, str] = {}
    for tag in value:
        if isinstance(tag, str) and tag.strip():
            tags.setdefault(tag.strip().lower(), tag.strip())
    strange = sum(not isinstance(tag, str) for tag in value)
    if strange:
        notes.append(f"{strange} of the card's {len(value)} tags are not text and were left out.")
    if len(tags) > MOST_TAGS:
        notes.append(
            f"Of the card's {len(tags)} tags the first {MOST_TAGS} are taken; all stay in its SillyTavern data."
        )
    return list(tags.values())[:MOST_TAGS]


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, dict) else "a number"
