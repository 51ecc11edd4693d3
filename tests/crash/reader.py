"""A second reader of both sides, written from the layout's description and not from the store's code.

It reads SQL with the plain drivers and files with ``json``, and says in sentences what is not as it was promised.
"""

import functools
import json
import re
import sqlite3
import uuid
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from tests.crash import reader_of_chats
from tests.factories import files_below

Row = dict[str, Any]
Entity = tuple[str, str]
Raw = tuple[tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]], ...]  # of each table its columns and its rows
EPOCH = "1970-01-01T00:00:00.000Z"
# In the order in which they can be filled.
TABLES = ("users", "chat_settings", "accounts", "sessions", "verification_tokens", "tags", "api_keys")
TABLES += ("connection_profiles", "connection_profile_tags", "image_profiles", "image_profile_tags")
TABLES += ("images", "image_tags", "personas", "persona_tags", "characters", "character_tags", "character_personas")
TABLES += ("chats", "chat_tags", "messages", "chat_files", "chat_avatar_overrides")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_FOLDERS = {
    "user": ("settings/",),
    "tag": ("tags/", "extras/"),
    "persona": ("personas/",),
    "character": ("characters/",),
    **dict.fromkeys(("key", "profile"), ("settings/connection-profiles.json", "extras/")),
    "image_profile": ("settings/image-profiles.json", "extras/"),
    **dict.fromkeys(("account", "session", "token"), ("auth/",)),
    **dict.fromkeys(("image", "attachment", "avatar"), ("binaries/", "extras/")),
    **dict.fromkeys(("chat", "totals"), ("chats/index.jsonl", "extras/")),
    **dict.fromkeys(("log", "message"), ("chats/",)),
}
_FLAGS = ("isFavorite", "isDefault", "totpEnabled", "isActive", "sentToProvider")
_MOMENTS = ("createdAt", "updatedAt", "emailVerified", "totpVerifiedAt", "lastUsed", "expires")
_FREE_FORM = ("sillyTavernData", "sillyTavernMetadata", "parameters", "rawResponse")


@dataclass
class Sql:
    """What the database holds: plain rows, what waits, and since when nothing else is known."""

    tables: dict[str, list[Row]]
    waiting: dict[int, Entity] = field(default_factory=dict)
    wanted: dict[str, bytes] = field(default_factory=dict)  # the files that the rows ask for, once they were worked out

    def outline(self) -> str:
        """The same text for the same rows."""
        return repr((self.tables, self.waiting))

    def waits(self, kind: str, record_id: str) -> bool:
        return (kind, record_id) in self.waiting.values() or (kind, "*") in self.waiting.values()


def read_sql(url: str) -> Sql:
    """Everything committed."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            raw, waiting = _read(connection, "tandem_outbox")
        tables, wanted = _known(raw)
        return Sql(tables, waiting, wanted)
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as postgres:
        raw, waiting = _read(postgres, "tandem.outbox")
    return Sql(_plain_tables(raw), waiting)


def _read(connection: Any, outbox: str) -> tuple[Raw, dict[int, Entity]]:
    connection.execute("BEGIN")
    raw = []
    for name in TABLES:
        found = connection.execute(f'SELECT * FROM "{name}"')
        raw.append((tuple(column[0] for column in found.description), tuple(found.fetchall())))
    waiting = connection.execute(f"SELECT seq, kind, entity_id FROM {outbox}").fetchall()
    connection.execute("COMMIT")
    return tuple(raw), {seq: (kind, entity_id) for seq, kind, entity_id in waiting}


@functools.lru_cache(1000)
def _known(raw: Raw) -> tuple[dict[str, list[Row]], dict[str, bytes]]:
    """The tables, and a place for the files they ask for: the same rows come again and again, and nobody changes what
    was made of them."""
    return _plain_tables(raw), {}


def _plain_tables(raw: Raw) -> dict[str, list[Row]]:
    return {
        name: [{column: _plain(column, value) for column, value in zip(columns, row, strict=True)} for row in rows]
        for name, (columns, rows) in zip(TABLES, raw, strict=True)
    }


def _plain(column: str, value: Any) -> Any:
    if column in _FLAGS:
        return bool(value)
    if column in _MOMENTS and value is not None:
        text = value.isoformat(" ") if isinstance(value, datetime) else value
        day, clock = text.split(" ")
        seconds, _, fraction = clock.partition(".")
        return f"{day}T{seconds}.{fraction.ljust(3, '0')[:3]}Z"
    if column in _FREE_FORM and value is not None:
        return _sorted(json.loads(value) if isinstance(value, str) else value)
    return value


# ------------------------------------------------------------------ what the files have to be
def expected_files(sql: Sql) -> dict[str, bytes]:
    """Path -> bytes of every file that SQL's rows ask for."""
    if not sql.wanted:
        sql.wanted.update(_files_for(sql))
    return dict(sql.wanted)


def _files_for(sql: Sql) -> dict[str, bytes]:
    files = _users(sql)
    files.update(_tags(sql.tables["tags"]))
    for row in sql.tables["personas"]:
        files[f"personas/{_name(row['id'])}.json"] = _pretty(_persona(sql, row))
    for row in sql.tables["characters"]:
        files[f"characters/{_name(row['id'])}.json"] = _pretty(_character(sql, row))
    return files | reader_of_chats.expected(sql.tables, _name)


def _users(sql: Sql) -> dict[str, bytes]:
    files = {}
    settings = {row["userId"]: row for row in sql.tables["chat_settings"]}
    for place, row in enumerate(sorted(sql.tables["users"], key=lambda one: (one["createdAt"], one["id"]))):
        user = {key: row[key] for key in ("id", "email", "name", "image", "emailVerified", "passwordHash")}
        if row["totpSecret"] is not None:
            user["totp"] = {"ciphertext": row["totpSecret"], "iv": row["totpSecretIv"]}
            user["totp"] |= {"authTag": row["totpSecretAuthTag"], "enabled": row["totpEnabled"]}
            user["totp"]["verifiedAt"] = row["totpVerifiedAt"]
        user |= {"createdAt": row["createdAt"], "updatedAt": row["updatedAt"]}
        block = settings.get(row["id"])
        if block is None:
            user["extras"] = {"syntheticChatSettings": True}
            made_up = str(uuid.uuid5(uuid.NAMESPACE_URL, f"tandem:chat-settings:{row['id']}"))
            block = {"id": made_up, "userId": row["id"], "avatarDisplayMode": "ALWAYS"}
            block |= {"avatarDisplayStyle": "CIRCULAR", "createdAt": row["createdAt"], "updatedAt": row["updatedAt"]}
        keys = ("id", "userId", "avatarDisplayMode", "avatarDisplayStyle", "createdAt", "updatedAt")
        block = {key: block[key] for key in keys}
        whole = {"version": 1, "user": user, "chatSettings": block}
        whole["createdAt"] = min(user["createdAt"], block["createdAt"])
        whole["updatedAt"] = max(user["updatedAt"], block["updatedAt"])
        files["settings/general.json" if place == 0 else f"settings/users/{_name(row['id'])}.json"] = _pretty(whole)
    return files


def _tags(rows: list[Row]) -> dict[str, bytes]:
    keys = ("id", "userId", "name", "nameLower", "createdAt", "updatedAt")
    ordered = [{key: row[key] for key in keys} for row in sorted(rows, key=_by_creation)]
    taken = [tag for tag in ordered if _UUID.fullmatch(tag["id"]) and _UUID.fullmatch(tag["userId"])]
    beside = [tag for tag in ordered if tag not in taken]
    whole = {"version": 1, "tags": taken}
    whole["createdAt"] = min((tag["createdAt"] for tag in taken), default=EPOCH)
    whole["updatedAt"] = max((tag["updatedAt"] for tag in taken), default=EPOCH)
    files = {"tags/tags.json": _pretty(whole)}
    if beside:  # Quilltap would refuse them, and with them the whole file
        lines = (json.dumps(tag, ensure_ascii=False, separators=(",", ":")) for tag in beside)
        files["extras/tags.jsonl"] = "".join(f"{line}\n" for line in lines).encode()
    return files


def _persona(sql: Sql, row: Row) -> Row:
    keys = ("id", "userId", "name", "title", "description", "personalityTraits", "avatarUrl", "defaultImageId")
    record = {key: row[key] for key in keys} | {"sillyTavernData": _sorted(row["sillyTavernData"])}
    links = sql.tables["character_personas"]
    record["characterLinks"] = sorted(link["characterId"] for link in links if link["personaId"] == row["id"])
    return _with_tags(record, row, sql.tables["persona_tags"], "personaId")


def _character(sql: Sql, row: Row) -> Row:
    keys = ("id", "userId", "name", "title", "description", "personality", "scenario", "firstMessage")
    keys += ("exampleDialogues", "systemPrompt", "avatarUrl", "defaultImageId")
    record = {key: row[key] for key in keys} | {"sillyTavernData": _sorted(row["sillyTavernData"])}
    record["isFavorite"] = row["isFavorite"]
    mine = [link for link in sql.tables["character_personas"] if link["characterId"] == row["id"]]
    record["personaLinks"] = [
        {"personaId": link["personaId"], "isDefault": link["isDefault"]}
        for link in sorted(mine, key=lambda link: link["personaId"])
    ]
    return _with_tags(record, row, sql.tables["character_tags"], "characterId", sql.tables["chat_avatar_overrides"])


def _with_tags(record: Row, row: Row, links: list[Row], column: str, overrides: list[Row] | None = None) -> Row:
    mine = sorted((link for link in links if link[column] == row["id"]), key=_by_creation)
    record["tags"] = [link["tagId"] for link in mine]
    extras = {"tagLinks": [{key: link[key] for key in ("id", "tagId", "createdAt")} for link in mine]}
    if overrides is not None:
        worn = sorted((one for one in overrides if one["characterId"] == row["id"]), key=_by_creation)
        record["avatarOverrides"] = [{key: one[key] for key in ("chatId", "imageId")} for one in worn]
        keys = ("id", "chatId", "imageId", "createdAt")
        extras["avatarOverrides"] = [{key: one[key] for key in keys} for one in worn]
    record |= {"createdAt": row["createdAt"], "updatedAt": row["updatedAt"]}
    if extras := {name: members for name, members in extras.items() if members}:
        record["extras"] = extras
    return record


def _by_creation(row: Row) -> tuple[str, str]:
    return row["createdAt"], row["id"]


def _name(record_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", lambda one: "".join(f"%{byte:02X}" for byte in one[0].encode()), record_id)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


def _pretty(record: Row) -> bytes:
    return json.dumps(record, ensure_ascii=False, indent=2).encode()


# ------------------------------------------------------------------ what is wrong
def paths_of(kind: str, record_id: str) -> set[str]:
    """The files a record may lie in."""
    if kind not in ("persona", "character"):
        return set(_FOLDERS[kind])
    return {f"{kind}s/{_name(record_id)}.json"}


def differences(sql: Sql, files: dict[str, bytes]) -> list[str]:
    """What is not the same on both sides, as sentences; nothing when they are equal and nothing waits."""
    wanted = expected_files(sql)
    for path in [path for path in wanted.keys() - files.keys() if _is_empty(path, wanted[path])]:
        del wanted[path]  # a list that never held anything needs no file
    told = [f"{path} is missing" for path in wanted.keys() - files.keys()]
    told += [f"{path} is left over" for path in files.keys() - wanted.keys()]
    told += [f"{path} is not what SQL says" for path in wanted.keys() & files.keys() if wanted[path] != files[path]]
    told += [f"{kind} {record_id} still waits" for kind, record_id in set(sql.waiting.values())]
    return sorted(told)


def _is_empty(path: str, data: bytes) -> bool:
    if re.fullmatch(r"chats/(?!index).*", path):
        return False
    whole = json.loads(data) if path.endswith(".json") else data.splitlines()
    return (
        not any(value for value in whole.values() if isinstance(value, list)) if isinstance(whole, dict) else not whole
    )


def unannounced(sql: Sql, files: dict[str, bytes]) -> list[str]:
    """Invariants I2, I3 and I5: whatever is not as SQL says has an entry in the outbox, but for temporary files."""
    excused: tuple[str, ...] = ()
    for kind, one in sql.waiting.values():
        # The oldest user lies in another file than the rest, so that one user's change may move another.
        excused += _FOLDERS[kind] if one == "*" or kind == "user" else tuple(paths_of(kind, one))
    told = differences(
        Sql(sql.tables, wanted=expected_files(sql)),
        {path: data for path, data in files.items() if not is_temporary(path)},
    )
    return [one for one in told if not one.startswith(excused)]


def is_temporary(path: str) -> bool:
    return ".tandem-" in path or path.endswith((".tmp", ".lock"))


def leftovers(data_dir: Path, own_dir: Path) -> list[str]:
    """Files that are neither Quilltap's nor announced as ours."""
    oldest = data_dir / "settings/general.json"
    name = json.loads(oldest.read_bytes())["user"]["id"] if oldest.exists() else ""
    double = data_dir / f"settings/users/{name}.json"
    ours = re.compile(r"(store|sql|audit)\.lock|audit|turn|bond|index\.sqlite(-wal|-shm)?|quarantine/.*")
    told = [path for path in files_below(data_dir) if is_temporary(path)] if data_dir.exists() else []
    told += [path for path in files_below(own_dir) if not ours.fullmatch(path)] if own_dir.exists() else []
    told += [double.name] if double.exists() else []
    return [f"{path} was left behind" for path in told]


# ------------------------------------------------------------------ records, without what the clock and chance made
def records(files: dict[str, bytes]) -> dict[Entity, Row]:
    """The records of files, without ``extras``, dates and what is derived. Raises when a file is torn."""
    found: dict[Entity, Row] = {}
    for path, data in files.items():
        if is_temporary(path):
            continue
        for entity, record in _records_of(path, data).items():
            assert entity[0] not in ("user", "tag", "persona", "character") or found.get(entity, record) == record, (
                f"{' '.join(entity)} is there in two versions"
            )
            found[entity] = record
    return found


_DATES = ("extras", "createdAt", "updatedAt")


@functools.lru_cache(5000)
def _records_of(path: str, data: bytes) -> dict[Entity, Row]:
    """Of one file. The same ones come again and again, and nobody changes what was made of them."""
    found: dict[Entity, Row] = {}

    def add(kind: str, record: Row) -> None:
        assert found.setdefault((kind, record["id"]), record) == record, f"{record['id']} is there in two versions"

    def bare(record: Row) -> Row:
        return {key: value for key, value in record.items() if key not in _DATES}

    if path == "settings/general.json" or path.startswith("settings/users/"):
        person = json.loads(data)
        user, style = bare(person["user"]), person["chatSettings"]["avatarDisplayStyle"]
        return {("user", user["id"]): {"user": user, "style": style}}
    if path == "tags/tags.json":
        for tag in json.loads(data)["tags"]:
            add("tag", bare(tag))
    elif path == "extras/tags.jsonl":
        for line in data.splitlines():
            add("tag", bare(json.loads(line)))
    elif path.startswith(("chats/", "binaries/", "settings/connection", "settings/image", "auth/", "extras/")):
        return reader_of_chats.records(path, data)
    elif path.startswith(("personas/", "characters/")):
        record = bare(json.loads(data))
        add(path.partition("s/")[0], {**record, "tags": sorted(record["tags"])})
    return found


def dangling(found: dict[Entity, Row], *, derived: bool = False) -> list[str]:
    """Links of records to records that are not there. ``derived``: those that only mirror another record's too."""
    told = []

    def check(where: Entity, kind: str, ids: Iterable[str]) -> None:
        told.extend(f"{' '.join(where)} names {kind} {one}" for one in ids if (kind, one) not in found)

    for (kind, record_id), record in found.items():
        if record.get("userId") is not None:
            check((kind, record_id), "user", [record["userId"]])
        if kind != "binaries/index.jsonl":  # an image may be tagged with anything
            check((kind, record_id), "tag", record.get("tags", ()))
        check((kind, record_id), "persona", [link["personaId"] for link in record.get("personaLinks", ())])
        if derived:
            check((kind, record_id), "character", record.get("characterLinks", ()))
    return told
