"""A reader as strict as Quilltap 1.3's own, written from the description of its files alone, without code of Tandem's.

``refusal`` says why its validator would turn a record away. ``read_folder`` reads a data folder as its repositories do:
one bad record empties a whole aggregate, a bad file of its own is skipped.
"""

import calendar
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Shape = dict[
    str, tuple[str, str]
]  # key -> type and marks: R required, O may be absent, N null allowed, D has a default


def shape(lines: str) -> Shape:
    return {key: (kind, marks) for key, kind, marks in (line.split() for line in lines.strip().splitlines())}


TOTP = shape("""
ciphertext string R
iv string R
authTag string R
enabled boolean D
verifiedAt timestamp ON
""")
BACKUP_CODES = shape("""
ciphertext string R
iv string R
authTag string R
createdAt timestamp R
""")
USER = shape("""
id uuid R
email email R
name string ON
image string ON
emailVerified timestamp ON
passwordHash string ON
totp totp O
backupCodes backupCodes O
createdAt timestamp R
updatedAt timestamp R
""")
CHAT_SETTINGS = shape("""
id uuid R
userId uuid R
avatarDisplayMode mode D
avatarDisplayStyle string D
createdAt timestamp R
updatedAt timestamp R
""")
GENERAL = shape("""
version number D
user user R
chatSettings chatSettings R
createdAt timestamp R
updatedAt timestamp R
""")
TAG = shape("""
id uuid R
userId uuid R
name string R
nameLower string R
createdAt timestamp R
updatedAt timestamp R
""")
TAGS = shape("""
version number D
tags [tag] D
createdAt timestamp R
updatedAt timestamp R
""")
PERSONA_LINK = shape("""
personaId uuid R
isDefault boolean D
""")
AVATAR_OVERRIDE = shape("""
chatId uuid R
imageId uuid R
""")
CHARACTER = shape("""
id uuid R
userId uuid R
name string R
title string ON
description string R
personality string R
scenario string R
firstMessage string R
exampleDialogues string ON
systemPrompt string ON
avatarUrl string ON
defaultImageId uuid ON
sillyTavernData json ON
isFavorite boolean D
personaLinks [personaLink] D
tags [uuid] D
avatarOverrides [avatarOverride] D
createdAt timestamp R
updatedAt timestamp R
""")
PERSONA = shape("""
id uuid R
userId uuid R
name string R
title string ON
description string R
personalityTraits string ON
avatarUrl string ON
defaultImageId uuid ON
sillyTavernData json ON
characterLinks [uuid] D
tags [uuid] D
createdAt timestamp R
updatedAt timestamp R
""")
SHAPES = {
    "totp": TOTP,
    "backupCodes": BACKUP_CODES,
    "user": USER,
    "chatSettings": CHAT_SETTINGS,
    "tag": TAG,
    "personaLink": PERSONA_LINK,
    "avatarOverride": AVATAR_OVERRIDE,
}


# ---------------------------------------------------------------------- scalar rules
def is_timestamp(value: Any) -> bool:
    pattern = r"(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?Z"
    match = re.fullmatch(pattern, value, re.ASCII) if isinstance(value, str) else None
    if match is None:
        return False
    year, month, day = (int(match[n]) for n in (1, 2, 3))
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = [0, 31, 29 if leap else 28, *calendar.mdays[3:]]
    return 1 <= month <= 12 and 1 <= day <= days[month]


def is_email(value: Any) -> bool:
    """ASCII local part, dotted domain."""
    return isinstance(value, str) and re.fullmatch(r"[!-?A-~]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", value) is not None


SCALARS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "uuid": lambda v: isinstance(v, str) and re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", v),
    "timestamp": is_timestamp,
    "email": is_email,
    "json": lambda value: isinstance(value, dict),
    "number": lambda value: isinstance(value, float) and value not in (float("inf"), float("-inf")),
    "boolean": lambda value: isinstance(value, bool),
    "mode": lambda value: value in ("ALWAYS", "GROUP_ONLY", "NEVER"),
}


def refusal(wanted: Shape, value: Any, place: str = "record") -> str:
    """Why the validator turns it away; empty when it does not. Unknown keys are passed over."""
    if not isinstance(value, dict):
        return f"{place} is not an object"
    for key, (kind, marks) in wanted.items():
        if key not in value:
            if "R" in marks:
                return f"{place}.{key} is missing"
        elif not (value[key] is None and "N" in marks) and (reason := _wrong(kind, value[key], f"{place}.{key}")):
            return reason
    return ""


def _wrong(kind: str, value: Any, place: str) -> str:
    if kind.startswith("["):
        if not isinstance(value, list):
            return f"{place} is not a list"
        return next(filter(None, (_wrong(kind[1:-1], one, f"{place}[{n}]") for n, one in enumerate(value))), "")
    if kind in SHAPES:
        return refusal(SHAPES[kind], value, place)
    return "" if SCALARS[kind](value) else f"{place} is no {kind}"


# ---------------------------------------------------------------------- bytes
class Number(float):
    """A number that remembers how it was spelled."""

    spelling = ""


def parse(data: bytes) -> Any:
    def number(text: str) -> Number:
        made = Number(text)
        made.spelling = text
        return made

    return json.loads(data.decode("utf-8"), parse_float=number, parse_int=number, parse_constant=_refuse)


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def spell(value: Any, indent: str = "") -> str:
    """As JSON.stringify(value, null, 2) does."""
    inner = indent + "  "
    if isinstance(value, dict) and value:
        members = (f"{inner}{spell(key)}: {spell(one, inner)}" for key, one in value.items())
        return "{\n" + ",\n".join(members) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(inner + spell(one, inner) for one in value) + f"\n{indent}]"
    return value.spelling if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)


def misspelling(wanted: Shape, data: bytes) -> str:
    """What in the bytes of a .json file is not as Quilltap writes it; empty when all is."""
    record = parse(data)
    if spell(record).encode() != data:
        return "indent, escapes or the end of the file"
    return _out_of_order(wanted, record, "record")


def _out_of_order(wanted: Shape, record: dict[str, Any], place: str) -> str:
    if [key for key in record if key in wanted] != [key for key in wanted if key in record]:
        return f"the order of keys in {place}"
    if "extras" in record and list(record)[-1] != "extras":
        return f"extras is not last in {place}"
    for key, (kind, _) in wanted.items():
        inner = SHAPES.get(kind.strip("[]"))
        members = record.get(key) if kind.startswith("[") else [record.get(key)]
        for one in members or [] if inner else []:
            if isinstance(one, dict) and (wrong := _out_of_order(inner or {}, one, f"{place}.{key}")):
                return wrong
    return ""


# ---------------------------------------------------------------------- a folder
@dataclass
class Reading:
    """Kind -> id -> record, and path -> why the file (or its record) is turned away."""

    records: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def take(self, kind: str, record_id: str, record: dict[str, Any]) -> None:
        self.records.setdefault(kind, {})[record_id] = record


def read_folder(files: dict[str, bytes]) -> Reading:
    """What Quilltap finds in a data folder, and in ``settings/users/``, whose files have the shape of general.json."""
    reading = Reading()
    for path, data in files.items():
        kind, wanted = _shape_of(path)
        if wanted is None:
            continue
        try:
            record = parse(data)
        except ValueError as error:
            reading.refused[path] = str(error)
            continue
        if reason := refusal(wanted, record) or misspelling(wanted, data):
            reading.refused[path] = reason
        elif kind == "user":
            reading.take(kind, record["user"]["id"], record)
        elif kind == "tag":
            for tag in record.get("tags", ()):
                reading.take(kind, tag["id"], tag)
        else:
            reading.take(kind, record["id"], record)
    return reading


def _shape_of(path: str) -> tuple[str, Shape | None]:
    folder, _, name = path.rpartition("/")
    if path == "settings/general.json" or folder == "settings/users":
        return "user", GENERAL
    if path == "tags/tags.json":
        return "tag", TAGS
    own = {"characters": ("character", CHARACTER), "personas": ("persona", PERSONA)}
    return own.get(folder, ("", None)) if name.endswith(".json") else ("", None)
