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

from tests.quilltap_shapes import (
    ACCOUNT,
    BINARY,
    CHARACTER,
    CHAT,
    CONNECTIONS,
    GENERAL,
    IMAGE_PROFILES,
    MESSAGE,
    PERSONA,
    SESSION,
    SHAPES,
    SUMMARY,
    TAGS,
    TOKEN,
    Shape,
)


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
    "sha256": lambda value: isinstance(value, str) and len(value) == 64,
    "any": lambda value: True,
}
WORDS = {
    "mode": "ALWAYS GROUP_ONLY NEVER",
    "provider": "OPENAI ANTHROPIC OLLAMA OPENROUTER OPENAI_COMPATIBLE GROK GAB_AI",
    "imageProvider": "OPENAI GROK GOOGLE_IMAGEN",
    "role": "SYSTEM USER ASSISTANT TOOL",
    "source": "upload import generated",
    "binary": "image chat_file avatar",
    "message": "message",
    "context-summary": "context-summary",
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
    fits = value in WORDS[kind].split() if kind in WORDS else SCALARS[kind](value)
    return "" if fits else f"{place} is no {kind}"


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


def spell_line(value: Any) -> str:
    """As JSON.stringify(value) does."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{spell_line(key)}:{spell_line(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(spell_line, value)) + "]"
    return spell(value)


def misspelling(wanted: Shape, data: bytes) -> str:
    """What in the bytes of a .json file is not as Quilltap writes it; empty when all is."""
    value = parse(data)
    if spell(value).encode() != data:
        return "indent, escapes or the end of the file"
    records = value if isinstance(value, list) else [value]
    return next(filter(None, (_out_of_order(wanted, record, "record") for record in records)), "")


def misspelled_line(wanted: Shape, line: bytes) -> str:
    """The same of a line without its newline."""
    record = parse(line)
    if spell_line(record).encode() != line:
        return "spaces or escapes"
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
    """Kind -> id -> record, chat -> its events in the order of the file, and path -> why the file (or its record) is
    turned away."""

    records: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def take(self, kind: str, record_id: str, record: dict[str, Any]) -> None:
        self.records.setdefault(kind, {})[record_id] = record


# path -> its shape, and its lists: key -> the kind of what they hold
AGGREGATES: dict[str, tuple[Shape, dict[str, str]]] = {
    "tags/tags.json": (TAGS, {"tags": "tag"}),
    "settings/connection-profiles.json": (CONNECTIONS, {"apiKeys": "key", "llmProfiles": "profile"}),
    "settings/image-profiles.json": (IMAGE_PROFILES, {"profiles": "image_profile"}),
}
# path -> the shape of a line, its kind, and the key that is its id
LINES = {
    "chats/index.jsonl": (CHAT, "chat", "id"),
    "binaries/index.jsonl": (BINARY, "binary", "id"),
    "auth/sessions.jsonl": (SESSION, "session", "id"),
    "auth/verification-tokens.jsonl": (TOKEN, "token", "token"),
}
BINARY_KINDS = {"image": "image", "chat_file": "attachment", "avatar": "avatar"}
ACCOUNTS = "auth/accounts.json"


def read_folder(files: dict[str, bytes]) -> Reading:
    """What Quilltap finds in a data folder, and in ``settings/users/``, whose files have the shape of general.json."""
    reading = Reading()
    for path, data in files.items():
        try:
            reason = _read_file(reading, path, data)
        except ValueError as error:
            reason = str(error)
        if reason:
            reading.refused[path] = reason
    return reading


def _read_file(reading: Reading, path: str, data: bytes) -> str:
    """Take in what a file holds, all or nothing. Gives back why not; raises ValueError for what is no JSON."""
    folder, _, name = path.rpartition("/")
    if path == ACCOUNTS:
        return _read_accounts(reading, data)
    if path in LINES:
        wanted, kind, key = LINES[path]
        records, reason = _lines(data, lambda record: wanted)
        for record in [] if reason else records:
            reading.take(BINARY_KINDS[record["type"]] if kind == "binary" else kind, record[key], record)
        return reason
    if folder == "chats" and name.endswith(".jsonl"):
        records, reason = _lines(data, _event_shape)
        reading.events[name.removesuffix(".jsonl")] = [] if reason else records
        return reason
    wanted_file, lists = _shape_of(path)
    if wanted_file is None:
        return ""
    record = parse(data)
    if reason := refusal(wanted_file, record) or misspelling(wanted_file, data):
        return reason
    if path in AGGREGATES:
        for key, kind in lists.items():
            for one in record.get(key, ()):
                reading.take(kind, one["id"], one)
        return ""
    (kind,) = lists
    reading.take(kind, record["user"]["id"] if kind == "user" else record["id"], record)
    return ""


def _shape_of(path: str) -> tuple[Shape | None, dict[str, str]]:
    """Of a .json file; with the kinds of its lists, or its own."""
    folder, _, name = path.rpartition("/")
    if path in AGGREGATES:
        return AGGREGATES[path]
    if path == "settings/general.json" or folder == "settings/users":
        return GENERAL, {"user": "user"}
    own = {"characters": (CHARACTER, {"character": "character"}), "personas": (PERSONA, {"persona": "persona"})}
    return own.get(folder, (None, {})) if name.endswith(".json") else (None, {})


def _read_accounts(reading: Reading, data: bytes) -> str:
    """A bare list, unchecked. An object around it means no accounts at all."""
    accounts = parse(data)
    if not isinstance(accounts, list):
        return "it is not a list, so there are no accounts"
    for account in accounts:
        reading.take("account", f"{account['provider']} {account['providerAccountId']}", account)
    return misspelling(ACCOUNT, data)


def _event_shape(record: Any) -> Shape:
    """A line of another type is refused: its type is neither word."""
    return SUMMARY if isinstance(record, dict) and record.get("type") == "context-summary" else MESSAGE


def _lines(data: bytes, shape_of: Callable[[Any], Shape]) -> tuple[list[dict[str, Any]], str]:
    """The records of a file of lines, or why all of it is turned away: one bad line is enough."""
    if data and not data.endswith(b"\n"):
        return [], "the last line has no end"
    records = []
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        record = parse(line)
        wanted = shape_of(record)
        if reason := refusal(wanted, record) or misspelled_line(wanted, line):
            return [], f"line {number}: {reason}"
        records.append(record)
    return records, ""
