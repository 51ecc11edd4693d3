"""The second half of the independent reader: what SQL's rows ask of the files of chats, profiles, binaries and sign-in.

Bytes of images are not looked at: in these worlds there are none, so every hash is zeros and says so.
"""

import json
import zlib
from collections.abc import Callable, Iterable
from typing import Any

Row = dict[str, Any]
Tables = dict[str, list[Row]]
NO_BYTES = {"bytesMissing": True}


def line(record: Row) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


def by_creation(row: Row) -> tuple[str, str]:
    return row["createdAt"], row["id"]


def picked(row: Row, *keys: str) -> Row:
    return {key: row[key] for key in keys}


def with_extras(record: Row, **members: Any) -> Row:
    extras = {key: value for key, value in members.items() if value not in (None, [], False)}
    return {**record, "extras": extras} if extras else record


def links(tables: Tables, table: str, column: str, record_id: str) -> list[Row]:
    mine = sorted((one for one in tables[table] if one[column] == record_id), key=by_creation)
    return [picked(one, "id", "tagId", "createdAt") for one in mine]


def profile(tables: Tables, row: Row, table: str, column: str) -> Row:
    record = picked(row, "id", "userId", "name", "provider", "apiKeyId", "baseUrl", "modelName", "parameters")
    tags = links(tables, table, column, row["id"])
    record |= {"isDefault": row["isDefault"], "tags": [one["tagId"] for one in tags]}
    return with_extras(record | picked(row, "createdAt", "updatedAt"), tagLinks=tags)


def api_key(row: Row) -> Row:
    record = picked(row, "id", "label", "provider")
    record |= {"ciphertext": row["keyEncrypted"], "iv": row["keyIv"], "authTag": row["keyAuthTag"]}
    return (
        record | picked(row, "isActive", "lastUsed", "createdAt", "updatedAt") | {"extras": {"userId": row["userId"]}}
    )


def message(tables: Tables, row: Row) -> bytes:
    files = sorted((one for one in tables["chat_files"] if one["messageId"] == row["id"]), key=by_creation)
    record: Row = {"type": "message"} | picked(row, "id", "role", "content", "rawResponse", "tokenCount")
    record |= picked(row, "swipeGroupId", "swipeIndex") | {"attachments": [one["id"] for one in files]}
    record["createdAt"] = row["createdAt"]
    return line(record | {"extras": {"crc": f"{zlib.crc32(line(record)):08x}"}}) + b"\n"


def log(tables: Tables, chat_id: str) -> bytes:
    mine = [one for one in tables["messages"] if one["chatId"] == chat_id]
    swipe = {None: -1}
    mine.sort(key=lambda one: (one["createdAt"], swipe.get(one["swipeIndex"], one["swipeIndex"]), one["id"]))
    return b"".join(message(tables, one) for one in mine)


def chat(tables: Tables, row: Row) -> Row:
    keys = ("id", "userId", "characterId", "personaId", "connectionProfileId", "imageProfileId", "title")
    record = picked(row, *keys, "contextSummary", "sillyTavernMetadata")
    tags = links(tables, "chat_tags", "chatId", row["id"])
    moments = [one["createdAt"] for one in tables["messages"] if one["chatId"] == row["id"]]
    record |= {"tags": [one["tagId"] for one in tags], "messageCount": len(moments)}
    record |= {"lastMessageAt": max(moments, default=None)} | picked(row, "createdAt", "updatedAt")
    return with_extras(record, tagLinks=tags, log={"bytes": len(log(tables, row["id"]))})


def binary(row: Row, kind: str, user_id: str) -> Row:
    record = {"id": row["id"], "sha256": "0" * 64, "type": kind, "userId": user_id, "filename": row["filename"]}
    record |= {"relativePath": row["filepath"]} | picked(row, "mimeType", "size", "width", "height")
    return record | {"source": "upload", "generationPrompt": None, "generationModel": None}


def image(tables: Tables, row: Row) -> Row:
    record = binary(row, "image", row["userId"]) | dict.fromkeys(("chatId", "characterId", "messageId"))
    mine = sorted((one for one in tables["image_tags"] if one["imageId"] == row["id"]), key=by_creation)
    named = [picked(one, "id", "tagType", "tagId", "createdAt") for one in mine]
    record |= {"tags": [one["tagId"] for one in named if len(one["tagId"]) == 36]}
    return with_extras(record | picked(row, "createdAt", "updatedAt"), imageTags=named, **NO_BYTES)


def attachment(tables: Tables, row: Row) -> Row:
    owner = next(one["userId"] for one in tables["chats"] if one["id"] == row["chatId"])
    record = binary(row, "chat_file", owner) | {"chatId": row["chatId"], "characterId": None}
    record |= {"messageId": row["messageId"], "tags": [], "createdAt": row["createdAt"], "updatedAt": row["createdAt"]}
    return with_extras(record, sentToProvider=row["sentToProvider"], providerError=row["providerError"], **NO_BYTES)


def avatar(tables: Tables, row: Row) -> Row:
    of = next(one for one in tables["images"] if one["id"] == row["imageId"])
    record = binary(of, "avatar", of["userId"]) | {"id": row["id"]} | picked(row, "chatId", "characterId")
    record |= {"messageId": None, "tags": [], "createdAt": row["createdAt"], "updatedAt": row["createdAt"]}
    return with_extras(record, derived=True, **NO_BYTES)


def wrapped(**lists: list[Row]) -> bytes:
    records = [one for several in lists.values() for one in several]
    epoch = "1970-01-01T00:00:00.000Z"
    whole = {"version": 1, **lists, "createdAt": min((one["createdAt"] for one in records), default=epoch)}
    whole["updatedAt"] = max((one["updatedAt"] for one in records), default=epoch)
    return json.dumps(whole, ensure_ascii=False, indent=2).encode()


def is_uuid(value: Any) -> bool:
    return value is None or (len(value) == 36 and value.count("-") == 4)


def parted(records: Iterable[Row], *keys: str) -> tuple[list[Row], list[Row]]:
    """Those Quilltap takes, and those it would refuse for an id that is no UUID."""
    ordered = sorted(records, key=by_creation)
    fine = [
        one for one in ordered if all(is_uuid(one.get(key)) for key in keys) and all(map(is_uuid, one.get("tags", ())))
    ]
    return fine, [one for one in ordered if one not in fine]


def expected(tables: Tables, name: Callable[[str], str]) -> dict[str, bytes]:
    """Path -> bytes of every file that these tables ask for; what asks for none may lie there empty."""
    files: dict[str, bytes] = {}

    def beside(path: str, *several: list[Row]) -> None:
        if records := [one for some in several for one in some]:
            files[f"extras/{path}.jsonl"] = b"".join(line(one) + b"\n" for one in sorted(records, key=by_creation))

    keys, odd_keys = parted(map(api_key, tables["api_keys"]), "id")
    profiles, odd_profiles = parted(
        (
            profile(tables, one, "connection_profile_tags", "connectionProfileId")
            for one in tables["connection_profiles"]
        ),
        *("id", "userId", "apiKeyId"),
    )
    files["settings/connection-profiles.json"] = wrapped(apiKeys=keys, llmProfiles=profiles)
    beside("connection-profiles", odd_keys, odd_profiles)
    drawing, odd_drawing = parted(
        (profile(tables, one, "image_profile_tags", "imageProfileId") for one in tables["image_profiles"]),
        *("id", "userId", "apiKeyId"),
    )
    files["settings/image-profiles.json"] = wrapped(profiles=drawing)
    beside("image-profiles", odd_drawing)
    links_of = ("id", "userId", "characterId", "personaId", "connectionProfileId", "imageProfileId")
    chats, odd_chats = parted((chat(tables, one) for one in tables["chats"]), *links_of)
    files["chats/index.jsonl"] = b"".join(line(one) + b"\n" for one in chats)
    beside("chats-index", odd_chats)
    for one in tables["chats"]:
        files[f"chats/{name(one['id'])}.jsonl"] = log(tables, one["id"])
    lines = [image(tables, one) for one in tables["images"]]
    lines += [attachment(tables, one) for one in tables["chat_files"]]
    lines += [avatar(tables, one) for one in tables["chat_avatar_overrides"]]
    binaries, odd = parted(lines, "id", "userId", "chatId", "characterId", "messageId")
    files["binaries/index.jsonl"] = b"".join(line(one) + b"\n" for one in binaries)
    beside("binaries-index", odd)
    accounts = sorted(tables["accounts"], key=lambda one: one["id"])
    files["auth/accounts.json"] = json.dumps(accounts, ensure_ascii=False, indent=2).encode()
    sessions = sorted(tables["sessions"], key=lambda one: one["id"])
    files["auth/sessions.jsonl"] = b"".join(line(one) + b"\n" for one in sessions)
    tokens = sorted(tables["verification_tokens"], key=lambda one: (one["identifier"], one["token"]))
    files["auth/verification-tokens.jsonl"] = b"".join(line(one) + b"\n" for one in tokens)
    return files


# ------------------------------------------------------------------ records, without what the clock and chance made
def records(path: str, data: bytes) -> dict[tuple[str, str], Row]:
    """The records of a file of this half, without ``extras`` and dates. Raises when the file is torn, but for the end
    of a chat's file: there a torn line is what an append leaves when it is killed."""
    if path.startswith("chats/") and path != "chats/index.jsonl":
        whole = data[: data.rfind(b"\n") + 1]
        return {("message", one["id"]): _bare(one) for one in map(json.loads, whole.splitlines())}
    whole = json.loads(data) if path.endswith(".json") else [json.loads(one) for one in data.splitlines()]
    if isinstance(whole, list):
        return {(path, one.get("id") or one["token"]): _bare(one) for one in whole}
    lists = {name: value for name, value in whole.items() if isinstance(value, list)}
    return {(name, one["id"]): _bare(one) for name, several in lists.items() for one in several}


def _bare(record: Row) -> Row:
    made = ("extras", "createdAt", "updatedAt", "lastMessageAt", "lastUsed")
    return {key: value for key, value in record.items() if key not in made}
