"""Where each column of Quilltap's 23 tables lies in the JSON files, looked up by a reader of its own.

Written from the description of the layout alone: nothing here is of the store. ``Folder`` takes in the files,
``untold`` says of one row which of its values are not where they belong.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

from tests.nasty import Row, in_order
from tests.quilltap_reader import SCALARS, parse, spell_line
from tests.store.tables.schema_0_7_0 import TABLES

Record = dict[str, Any]
NO_BYTES, CIPHER = "0" * 64, ("ciphertext", "iv", "authTag")
JSON_NULL: Any = object()  # in a column; not the same as SQL NULL


class Homeless(LookupError):
    """A row whose record is nowhere in the files."""


class Folder:
    """The records of a data folder: kind -> id -> record, chat's file -> the messages in their order."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.records: dict[str, dict[str, Record]] = {}
        self.order: dict[str, list[str]] = {}  # file (and list) -> ids as they stand there
        self.places: dict[tuple[str, str], str] = {}
        self.talk: dict[str, dict[str, Record]] = {}
        self.lines: dict[str, list[bytes]] = {}
        for path, data in files.items():
            for place, kind, record in _records(path, data):
                record_id = _id_of(kind, record)
                mine = self.talk.setdefault(place, {}) if kind == "message" else self.records.setdefault(kind, {})
                assert record_id not in mine, f"{path} has {record_id} twice"
                mine[record_id] = record
                self.places[kind, record_id] = place
                self.order.setdefault(place, []).append(record_id)
            if re.fullmatch(r"chats/(?!index\.jsonl).*", path):
                self.talk.setdefault(path, {})
                self.lines[path] = data.split(b"\n")[:-1]

    def of(self, kind: str, record_id: str) -> Record:
        """The record; raises Homeless."""
        try:
            return self.records[kind][record_id]
        except KeyError as error:
            raise Homeless(f"there is no {kind} {record_id!a}") from error

    def message(self, record_id: str) -> tuple[str, Record]:
        """The chat's id, which the name of its file spells, and the event."""
        path = self.places.get(("message", record_id))
        if path is None:
            raise Homeless(f"there is no message {record_id!a}")
        return unquote(path.removeprefix("chats/").removesuffix(".jsonl")), self.talk[path][record_id]


_LISTS = {"apiKeys": "key", "llmProfiles": "profile", "profiles": "image_profile", "tags": "tag"}
_BINARIES = {"image": "image", "chat_file": "attachment", "avatar": "avatar"}


def _records(path: str, data: bytes) -> Iterator[tuple[str, str, Record]]:
    """Place, kind and record of everything in a file."""
    folder, _, name = path.rpartition("/")
    if (folder == "binaries" and name == "index.jsonl") or path == "extras/binaries-index.jsonl":
        yield from ((path, _BINARIES[one["type"]], one) for one in _lines(data))
    elif folder.startswith("binaries"):
        return
    elif path in ("chats/index.jsonl", "extras/chats-index.jsonl"):
        yield from ((path, "chat", one) for one in _lines(data))
    elif folder == "extras":
        kinds = {"tags.jsonl": "tag", "image-profiles.jsonl": "image_profile"}
        for one in _lines(data):
            kind = ("key" if "label" in one else "profile") if name == "connection-profiles.jsonl" else kinds[name]
            yield path, kind, one
    elif folder == "chats":
        yield from ((path, "message", one) for one in _lines(data))
    elif folder == "auth" and name.endswith(".jsonl"):
        yield from ((path, {"sessions.jsonl": "session"}.get(name, "token"), one) for one in _lines(data))
    elif path == "auth/accounts.json":
        yield from ((path, "account", one) for one in parse(data))
    elif path == "settings/general.json" or folder == "settings/users":
        yield path, "user", parse(data)
    elif folder in ("settings", "tags"):
        whole = parse(data)
        for key in [key for key in whole if isinstance(whole[key], list)]:
            yield from ((f"{path} {key}", _LISTS[key], one) for one in whole[key])
    else:
        yield path, {"characters": "character", "personas": "persona"}[folder], parse(data)


def _lines(data: bytes) -> list[Record]:
    assert not data or data.endswith(b"\n")
    return [parse(line) for line in data.split(b"\n")[:-1]]


def _id_of(kind: str, record: Record) -> str:
    if kind == "user":
        record = record["user"]
    return str(record["token" if kind == "token" else "id"])


# ---------------------------------------------------------------------- the home of each column
def extras(record: Record) -> Record:
    return record.get("extras") or {}


def free_form(record: Record, column: str, stand_in: Any = None) -> Any:
    """What is no object lies in ``extras.raw``, where null means JSON null, and Quilltap's key has a stand-in."""
    raw = extras(record).get("raw") or {}
    if column not in raw:
        return record[column]
    if record[column] != stand_in:
        return f"both in {column} and in extras.raw"
    return JSON_NULL if raw[column] is None else raw[column]


def _same(kind: str) -> Callable[[Folder, Row], Record]:
    return lambda folder, row: folder.of(kind, row["token" if kind == "token" else "id"])


def _user(folder: Folder, row: Row) -> Record:
    user = folder.of("user", row["id"])["user"]
    raw, said = extras(user).get("raw") or {}, dict(user)
    for block, column in (("totp", "totpSecret"), ("backupCodes", "backupCodes")):
        names = (column, f"{column}Iv", f"{column}AuthTag")
        if block in user:
            assert not raw.keys() & set(names), "a block is both whole and in raw"
            said |= {name: user[block][key] for name, key in zip(names, CIPHER, strict=True)}
        else:
            said |= {name: raw.get(name) for name in names}
    totp = user.get("totp") or {}
    said["totpEnabled"] = totp.get("enabled", raw.get("totpEnabled", False))
    said["totpVerifiedAt"] = totp.get("verifiedAt", raw.get("totpVerifiedAt"))
    return said


def _settings(folder: Folder, row: Row) -> Record:
    whole = folder.of("user", row["userId"])
    if extras(whole["user"]).get("syntheticChatSettings"):
        raise Homeless("the chat settings are said to be made up")
    return dict(whole["chatSettings"])


def _key(folder: Folder, row: Row) -> Record:
    record = folder.of("key", row["id"])
    cipher = dict(zip(("keyEncrypted", "keyIv", "keyAuthTag"), (record[key] for key in CIPHER), strict=True))
    return record | cipher | {"userId": extras(record)["userId"]}


def _with_free_form(kind: str, column: str, stand_in: Any = None) -> Callable[[Folder, Row], Record]:
    def said(folder: Folder, row: Row) -> Record:
        record = folder.of(kind, row["id"])
        return record | {column: free_form(record, column, stand_in)}

    return said


def _link(kind: str, column: str) -> Callable[[Folder, Row], Record]:
    """A row of a tag link table: in ``extras.tagLinks``, in the order of ``tags``."""

    def said(folder: Folder, row: Row) -> Record:
        record = folder.of(kind, row[column])
        links = extras(record).get("tagLinks", [])
        for tag, link in zip(record["tags"], links, strict=True):
            if link["id"] == row["id"]:
                return link | {column: record["id"], "tagId": tag if tag == link["tagId"] else "not in its place"}
        raise Homeless(f"the {kind} has no such link")

    return said


def _persona_link(folder: Folder, row: Row) -> Record:
    """The character's link, and the persona's mirror of it."""
    character, persona = folder.of("character", row["characterId"]), folder.of("persona", row["personaId"])
    for link in character["personaLinks"]:
        if link["personaId"] == row["personaId"] and row["characterId"] in persona["characterLinks"]:
            return link | {"characterId": character["id"]}
    raise Homeless("they are not linked")


def _override(folder: Folder, row: Row) -> Record:
    """The character's, and the line that Quilltap's page of avatars reads."""
    character, line = folder.of("character", row["characterId"]), folder.of("avatar", row["id"])
    for shown, kept in zip(character["avatarOverrides"], extras(character).get("avatarOverrides", []), strict=True):
        if kept["id"] == row["id"]:
            whole = {"characterId": line["characterId"], **kept}
            agree = (line["chatId"], line["createdAt"]) == (kept["chatId"], kept["createdAt"])
            return whole if agree and shown.items() <= kept.items() else {"id": "the two homes differ"}
    raise Homeless("the character wears no such image")


def _message(folder: Folder, row: Row) -> Record:
    chat_id, record = folder.message(row["id"])
    return record | {"chatId": chat_id, "rawResponse": free_form(record, "rawResponse")}


def _attachment(folder: Folder, row: Row) -> Record:
    record = folder.of("attachment", row["id"])
    if row["messageId"] is not None and row["id"] not in folder.message(row["messageId"])[1]["attachments"]:
        raise Homeless("its message does not name it")
    sent, error = extras(record).get("sentToProvider", False), extras(record).get("providerError")
    return record | {"filepath": record["relativePath"], "sentToProvider": sent, "providerError": error}


def _image(folder: Folder, row: Row) -> Record:
    record = folder.of("image", row["id"])
    raw = extras(record).get("raw") or {}
    if "source" in raw and record["source"] != "upload":
        raise Homeless("the source has no stand-in")
    source = raw.get("source", record["source"])
    return record | {"filepath": record["relativePath"], "url": extras(record).get("url"), "source": source}


def _image_tag(folder: Folder, row: Row) -> Record:
    record = folder.of("image", row["imageId"])
    for tag in extras(record).get("imageTags", []):
        if tag["id"] == row["id"]:
            if bool(SCALARS["uuid"](tag["tagId"])) != (tag["tagId"] in record["tags"]):
                raise Homeless("the list of tags holds the UUIDs, and only those")
            return tag | {"imageId": record["id"]}
    raise Homeless("the image has no such tag")


HOMES: dict[str, Callable[[Folder, Row], Record]] = {
    "users": _user,
    "chat_settings": _settings,
    "accounts": _same("account"),
    "sessions": _same("session"),
    "verification_tokens": _same("token"),
    "api_keys": _key,
    "connection_profiles": _with_free_form("profile", "parameters", {}),
    "connection_profile_tags": _link("profile", "connectionProfileId"),
    "image_profiles": _with_free_form("image_profile", "parameters", {}),
    "image_profile_tags": _link("image_profile", "imageProfileId"),
    "tags": _same("tag"),
    "images": _image,
    "image_tags": _image_tag,
    "characters": _with_free_form("character", "sillyTavernData"),
    "character_tags": _link("character", "characterId"),
    "character_personas": _persona_link,
    "personas": _with_free_form("persona", "sillyTavernData"),
    "persona_tags": _link("persona", "personaId"),
    "chats": _with_free_form("chat", "sillyTavernMetadata"),
    "chat_tags": _link("chat", "chatId"),
    "messages": _message,
    "chat_files": _attachment,
    "chat_avatar_overrides": _override,
}


def in_json(kind: str, value: Any) -> Any:
    """A column's value as it comes out of the database, as a file has to spell it."""
    if value is None:
        return None
    if kind == "time":
        day, _, clock = value.partition(" ")
        seconds, _, fraction = clock.partition(".")
        assert not fraction[3:].strip("0"), "the schema keeps milliseconds"
        return f"{day}T{seconds}.{fraction[:3].ljust(3, '0')}Z"
    if kind == "json":
        read = parse(value.encode())
        return JSON_NULL if read is None else in_order(read)
    return bool(value) if kind == "bool" else value


def _spelled(value: Any) -> str:
    return "JSON null in the column" if value is JSON_NULL else spell_line(value)


def untold(folder: Folder, table: str, row: Row) -> list[str]:
    """The columns of a row whose values are not at their home in the files."""
    try:
        said = HOMES[table](folder, row)
    except Homeless as error:
        return [f"{table}: {error}"]
    told = []
    for name, column in TABLES[table].columns.items():
        wanted, there = in_json(column.type, row[name]), said.get(name, "nothing")
        if _spelled(wanted) != _spelled(there):
            told.append(f"{table}.{name} is not {_spelled(there)[:60]!a}")
    return told
