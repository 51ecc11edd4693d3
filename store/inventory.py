"""How many records of Quilltap's 23 models each side holds."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from store import codec
from store.database import Database
from store.errors import InvalidValueError
from store.files.side import JsonSide
from store.tables import MODELS

# Models whose records Tandem itself keeps on the JSON side; the others are counted in Quilltap's files as they lie
# there.
KEPT = {
    "User",
    "ChatSettings",
    "Tag",
    "Persona",
    "PersonaTag",
    "Character",
    "CharacterTag",
    "CharacterPersona",
    "ChatAvatarOverride",
}


@dataclass(frozen=True)
class SideCounts:
    """Records of one model. None: that side could not be counted, or takes no part."""

    sql: int | None
    json: int | None


def count_rows(connection: Connection) -> dict[str, int]:
    """Model -> rows."""
    selects = [sa.select(sa.literal(model), sa.func.count()).select_from(table) for model, table in MODELS.items()]
    return {row[0]: row[1] for row in connection.execute(sa.union_all(*selects))}


def count_foreign_files(side: JsonSide) -> dict[str, int | None]:
    """Model -> records, for the models whose files are Quilltap's own so far. Lines and list items are counted, not
    judged."""
    profiles = _object(side, "settings/connection-profiles.json")
    image_profiles = _object(side, "settings/image-profiles.json")
    binaries = _lines(side, "binaries/index.jsonl")
    chats = _lines(side, "chats/index.jsonl")
    chat_logs = [name for name, _ in side.system.list(side.data_dir / "chats") if name != "index.jsonl"]
    return {
        "Account": _length(_load(side, "auth/accounts.json")),
        "Session": _length(_lines(side, "auth/sessions.jsonl")),
        "VerificationToken": _length(_lines(side, "auth/verification-tokens.jsonl")),
        "ApiKey": _length(profiles.get("apiKeys", [])),
        "ConnectionProfile": _length(profiles.get("llmProfiles", [])),
        "ConnectionProfileTag": _tags(profiles.get("llmProfiles", [])),
        "ImageProfile": _length(image_profiles.get("profiles", [])),
        "ImageProfileTag": _tags(image_profiles.get("profiles", [])),
        "Chat": _length(chats),
        "ChatTag": _tags(chats),
        "Message": sum(_data(side, f"chats/{name}").count(b"\n") for name in chat_logs if name.endswith(".jsonl")),
        "ChatFile": sum(line.get("type") == "chat_file" for line in binaries),
        "Image": sum(line.get("type") == "image" for line in binaries),
        "ImageTag": _tags([line for line in binaries if line.get("type") == "image"]),
    }


def counts(
    database: Database | None, json_rows: Callable[[], dict[str, int]], side: JsonSide | None
) -> dict[str, SideCounts]:
    """Both sides, model by model. ``json_rows`` counts what Tandem keeps itself."""
    sql: dict[str, int] = {}
    if database is not None:
        with database.read() as connection:
            sql = count_rows(connection)
    json: dict[str, int | None] = {}
    if side is not None:
        kept = json_rows()
        json = {**count_foreign_files(side), **{model: kept[model] for model in KEPT}}
    return {model: SideCounts(sql.get(model), json.get(model)) for model in MODELS}


def _data(side: JsonSide, path: str) -> bytes:
    try:
        return side.system.read(side.data_dir / path)
    except OSError:
        return b""


def _load(side: JsonSide, path: str) -> Any:
    with contextlib.suppress(InvalidValueError):
        return codec.loads(_data(side, path) or b"null")
    return None


def _object(side: JsonSide, path: str) -> dict[str, Any]:
    value = _load(side, path)
    return value if isinstance(value, dict) else {}


def _lines(side: JsonSide, path: str) -> list[dict[str, Any]]:
    found = []
    for line in _data(side, path).splitlines():
        with contextlib.suppress(InvalidValueError):
            value = codec.loads(line)
            found.append(value if isinstance(value, dict) else {})
    return found


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0


def _tags(records: Any) -> int:
    return sum(_length(record.get("tags")) for record in records if isinstance(record, dict))
