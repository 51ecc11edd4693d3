"""What of the JSON files follows from rows without being a column: order, counts, hashes, checksums, dates of files.

Written from the description of the layout alone, as ``homes`` is. ``wrong`` says in sentences what is not as it should
be.
"""

import hashlib
import re
import uuid
import zlib
from collections.abc import Iterator
from typing import Any

from tests.homes import NO_BYTES, Folder, Record, extras, in_json
from tests.nasty import Row
from tests.quilltap_reader import SCALARS, parse
from tests.store.tables.schema_0_7_0 import TABLES

Tables = dict[str, list[Row]]
EPOCH = "1970-01-01T00:00:00.000Z"
MAIN = {"user": "users", "account": "accounts", "session": "sessions", "token": "verification_tokens", "tag": "tags"}
MAIN |= {"key": "api_keys", "profile": "connection_profiles", "image_profile": "image_profiles", "image": "images"}
MAIN |= {"persona": "personas", "character": "characters", "chat": "chats", "attachment": "chat_files"}
MAIN |= {"avatar": "chat_avatar_overrides"}
LINKS = {"profile": "connection_profile_tags", "image_profile": "image_profile_tags", "persona": "persona_tags"}
LINKS |= {"character": "character_tags", "chat": "chat_tags"}


def wrong(files: dict[str, bytes], tables: Tables, public: dict[str, bytes]) -> list[str]:
    """What does not follow from the rows, and what is there that no row asks for."""
    folder = Folder(files)
    told = [*counts(folder, tables), *_orders(folder), *_chats(folder, files), *_bytes(folder, files, public)]
    return [*told, *_people(folder, tables), *_dates_of_files(files)]


def counts(folder: Folder, tables: Tables) -> Iterator[str]:
    """As many of each as there are rows, so that nothing is there that no row asks for."""
    found = {table: len(folder.records.get(kind, {})) for kind, table in MAIN.items()}
    found |= {table: _members(folder, kind, "tagLinks") for kind, table in LINKS.items()}
    found["messages"] = sum(map(len, folder.talk.values()))
    found["image_tags"] = _members(folder, "image", "imageTags")
    characters = folder.records["character"].values()
    found["character_personas"] = sum(len(one["personaLinks"]) for one in characters)
    made_up = [one for one in folder.records["user"].values() if extras(one["user"]).get("syntheticChatSettings")]
    found["chat_settings"] = found["users"] - len(made_up)
    for name in TABLES:
        if found[name] != len(tables[name]):
            yield f"{name}: {found[name]}, not {len(tables[name])}"
    mirrored = sum(len(one["characterLinks"]) for one in folder.records["persona"].values())
    if mirrored != len(tables["character_personas"]):
        yield f"{mirrored} links of personas to characters"
    if len(folder.talk) != len(tables["chats"]):
        yield f"{len(folder.talk)} files of chats"


def _members(folder: Folder, kind: str, name: str) -> int:
    return sum(len(extras(one).get(name, [])) for one in folder.records[kind].values())


def _made(record: Record) -> tuple[str, str]:
    return record["createdAt"], record["id"]


def _orders(folder: Folder) -> Iterator[str]:
    by_place: dict[str, list[tuple[str, Record]]] = {}
    for (kind, record_id), place in folder.places.items():
        if kind not in ("user", "character", "persona"):
            record = folder.talk[place][record_id] if kind == "message" else folder.records[kind][record_id]
            by_place.setdefault(place, []).append((kind, record))
    for place, several in by_place.items():
        keys = [_key(kind, record) for kind, record in several]
        if keys != sorted(keys):
            yield f"{place} is not in order"
    for kind in LINKS:
        for record_id, record in folder.records[kind].items():
            links = extras(record).get("tagLinks", [])
            if list(map(_made, links)) != sorted(map(_made, links)):
                yield f"the tags of {record_id!a} are not in order"
    for record in folder.records["character"].values():
        linked, worn = [one["personaId"] for one in record["personaLinks"]], extras(record).get("avatarOverrides", [])
        if linked != sorted(linked) or list(map(_made, worn)) != sorted(map(_made, worn)):
            yield f"the links of {record['id']!a} are not in order"
    for record in folder.records["image"].values():
        tags = extras(record).get("imageTags", [])
        uuids = list(dict.fromkeys(tag["tagId"] for tag in tags if SCALARS["uuid"](tag["tagId"])))
        if list(map(_made, tags)) != sorted(map(_made, tags)) or uuids != record["tags"]:
            yield f"the tags of the image {record['id']!a} are not in order"
    for record in folder.records["persona"].values():
        if record["characterLinks"] != sorted(record["characterLinks"]):
            yield f"the links of {record['id']!a} are not in order"


def _key(kind: str, record: Record) -> Any:
    if kind in ("account", "session"):
        return record["id"]
    if kind == "token":
        return record["identifier"], record["token"]
    if kind == "message":
        index = record["swipeIndex"]
        return record["createdAt"], index is not None, index or 0, record["id"]
    return _made(record)


def _chats(folder: Folder, files: dict[str, bytes]) -> Iterator[str]:
    """What a chat's line says about its file, the checksums there, and the order of attachments."""
    for chat_id, record in folder.records["chat"].items():
        path = next((path for path in folder.talk if path == f"chats/{log_name(chat_id)}.jsonl"), "")
        if not path:
            yield f"the chat {chat_id!a} has no file"
            continue
        moments = [one["createdAt"] for one in folder.talk[path].values()]
        wanted = (len(moments), max(moments, default=None), len(files[path]))
        if (record["messageCount"], record["lastMessageAt"], extras(record)["log"]["bytes"]) != wanted:
            yield f"the line of the chat {chat_id!a} does not say {wanted}"
    for path, lines in folder.lines.items():
        yield from (f"{path}: line {n} has no right checksum" for n, one in enumerate(lines, 1) if not _is_whole(one))
        for message in folder.talk[path].values():
            attached = [folder.of("attachment", one) for one in message["attachments"]]
            if attached != sorted(attached, key=_made) or {one["messageId"] for one in attached} - {message["id"]}:
                yield f"the attachments of {message['id']!a}"


def file_name(record_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", lambda one: "".join(f"%{byte:02X}" for byte in one[0].encode()), record_id)


def log_name(chat_id: str) -> str:
    """Of a chat that is called like the index, the first letter is encoded too."""
    return file_name(chat_id) if chat_id != "index" else "%69ndex"


def _is_whole(line: bytes) -> bool:
    """Whether a line of a chat ends with the CRC-32 of what it is without it."""
    match = re.fullmatch(rb'(.*?)(,"extras":\{|,)"crc":"([0-9a-f]{8})"\}\}', line, re.DOTALL)
    bare = match[1] + (b"}}" if match[2] == b"," else b"}") if match else b""
    return match is not None and f"{zlib.crc32(bare):08x}".encode() == match[3]


def _bytes(folder: Folder, files: dict[str, bytes], public: dict[str, bytes]) -> Iterator[str]:
    """The hashes of real bytes, which are kept once each, and said to be missing where they are."""
    kept = set()
    for kind in ("image", "attachment", "avatar"):
        for record_id, record in folder.records[kind].items():
            data = public.get(record["relativePath"])
            wanted = (NO_BYTES, True) if data is None else (hashlib.sha256(data).hexdigest(), None)
            if (record["sha256"], extras(record).get("bytesMissing")) != wanted:
                yield f"the hash of the {kind} {record_id!a} is not that of its bytes"
            kept |= {wanted[0]} - {NO_BYTES}
    there = {path for path in files if path.startswith("binaries/")} - {"binaries/index.jsonl"}
    if there != {f"binaries/{one}/raw" for one in kept}:
        yield "the bytes that are kept are not those that are named"
    yield from (f"{path} has other bytes" for path in there if hashlib.sha256(files[path]).hexdigest() not in path)


def _people(folder: Folder, tables: Tables) -> Iterator[str]:
    oldest = min(tables["users"], key=lambda row: (in_json("time", row["createdAt"]), row["id"]))["id"]
    for record_id, whole in folder.records["user"].items():
        wanted = "settings/general.json" if record_id == oldest else f"settings/users/{file_name(record_id)}.json"
        if folder.places["user", record_id] != wanted:
            yield f"the user {record_id!a} does not lie in {wanted}"
        if extras(whole["user"]).get("syntheticChatSettings"):
            made_up = uuid.uuid5(uuid.NAMESPACE_URL, f"tandem:chat-settings:{record_id}")
            dates = {name: whole["user"][name] for name in ("createdAt", "updatedAt")}
            block = {"id": str(made_up), "userId": record_id, "avatarDisplayMode": "ALWAYS"}
            if whole["chatSettings"] != {**block, "avatarDisplayStyle": "CIRCULAR", **dates}:
                yield f"the made-up chat settings of {record_id!a}"


def _dates_of_files(files: dict[str, bytes]) -> Iterator[str]:
    for path, data in files.items():
        if path.startswith(("settings/", "tags/")):
            whole = parse(data)
            inner = [one for several in whole.values() if isinstance(several, list) for one in several]
            inner += [one for one in whole.values() if isinstance(one, dict)]
            first = min((one["createdAt"] for one in inner), default=EPOCH)
            last = max((one["updatedAt"] for one in inner), default=EPOCH)
            if (whole["createdAt"], whole["updatedAt"]) != (first, last):
                yield f"the dates of {path}"
