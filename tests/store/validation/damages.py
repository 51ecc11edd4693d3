"""The table of damages: what is done to a file or a row, and what a validation has to say of it."""

import json
import shutil
from typing import Any

from store.validation import shown_id
from tests.nasty import uid
from tests.store.validation.damages_of_order import DAMAGES_OF_ORDER
from tests.store.validation.damaging import (
    ACCOUNTS,
    BINARIES,
    CHARACTER,
    INDEX,
    KEYS,
    NO_SECRET,
    NO_TARGET,
    NOBODYS,
    NOT_READ,
    NOWHERE,
    OTHER_USER,
    PAINTERS,
    PERSONA,
    SESSIONS,
    TAGS,
    TALK,
    TOKENS,
    Damage,
    checked,
    edit,
    first_line,
    flip,
    lines,
    other,
    place,
    put,
    read,
    records,
    repeat,
    sha256_of,
    shifted,
)
from tests.store.validation.world import MARKER

TOKEN = shown_id("token", f"{MARKER}-1")


def _one(model: str, table: str, name: str, column: str, path: str, old: str, new: str, **more: Any) -> Damage:
    """One value of the second record of a table."""
    record_id = uid(table, 1)
    more |= {"only_from_sql": NO_SECRET} if (model, column) == ("ApiKey", "userId") else {}
    return Damage(f"{model}: {name}", [(model, record_id, column)], edit(path, record_id, old, new), **more)


_TEXTS = (
    ("User", "users", "name", OTHER_USER, '"User 1"', '"User l"'),
    ("User", "users", "image", OTHER_USER, '"/a.png"', "null"),
    ("User", "users", "emailVerified", OTHER_USER, '"emailVerified": "2025-06-02', '"emailVerified": "2025-06-03'),
    ("User", "users", "totpEnabled", OTHER_USER, '"enabled": true', '"enabled": false'),
    ("User", "users", "totpVerifiedAt", OTHER_USER, '"verifiedAt": "2025-06-01T12', '"verifiedAt": "2025-06-01T13'),
    ("User", "users", "passwordHash", OTHER_USER, '"passwordHash": "M', '"passwordHash": "N'),
    ("ChatSettings", "chat_settings", "avatarDisplayMode", OTHER_USER, "GROUP_ONLY", "NEVER"),
    ("ChatSettings", "chat_settings", "avatarDisplayStyle", OTHER_USER, "CIRCULAR", "circular"),
    ("Account", "accounts", "scope", ACCOUNTS, '"openid"', '"openid "'),
    ("Account", "accounts", "expires_at", ACCOUNTS, "1700000000", "1700000001"),
    ("Account", "accounts", "access_token", ACCOUNTS, '"access_token": "M', '"access_token": "N'),
    ("Account", "accounts", "id_token", ACCOUNTS, f'"id_token": "{MARKER} 1"', '"id_token": null'),
    ("Session", "sessions", "expires", SESSIONS, '"expires":"2025', '"expires":"2026'),
    ("Session", "sessions", "sessionToken", SESSIONS, MARKER, f"{MARKER}!"),
    ("ApiKey", "api_keys", "label", KEYS, '"Key 1"', '"Key\\u00a01"'),
    ("ApiKey", "api_keys", "provider", KEYS, '"OPENAI"', '"GROK"'),
    ("ApiKey", "api_keys", "isActive", KEYS, '"isActive": true', '"isActive": false'),
    ("ApiKey", "api_keys", "lastUsed", KEYS, '"2025-06-05T12:00:00.500Z"', "null"),
    ("ApiKey", "api_keys", "userId", KEYS, uid("users", 1), uid("users", 2)),
    ("ConnectionProfile", "connection_profiles", "parameters", KEYS, "1.0", "1"),
    ("ConnectionProfile", "connection_profiles", "isDefault", KEYS, '"isDefault": true,', ""),
    ("ConnectionProfile", "connection_profiles", "provider", KEYS, '"GROK"', '"OLLAMA"'),
    ("ConnectionProfile", "connection_profiles", "baseUrl", KEYS, '"http://x"', '""'),
    ("ConnectionProfile", "connection_profiles", "apiKeyId", KEYS, uid("api_keys", 1), uid("api_keys", 2)),
    ("Character", "characters", "description", CHARACTER, "Some words.", "Some words!"),
    ("Character", "characters", "title", CHARACTER, '"title": "T",', ""),
    ("Character", "characters", "isFavorite", CHARACTER, '"isFavorite": true', '"isFavorite": false'),
    ("Character", "characters", "sillyTavernData", CHARACTER, "1.0", "1.00"),
    ("Character", "characters", "createdAt", CHARACTER, '500Z",\n  "updatedAt"', '501Z",\n  "updatedAt"'),
    ("Character", "characters", "defaultImageId", CHARACTER, uid("images", 1), uid("images", 2)),
    ("Persona", "personas", "personalityTraits", PERSONA, '"Kind."', '""'),
    ("Persona", "personas", "sillyTavernData", PERSONA, "true", '"true"'),
    ("Persona", "personas", "updatedAt", PERSONA, '"updatedAt": "2025-06-03', '"updatedAt": "2025-06-04'),
    ("Chat", "chats", "title", INDEX, '"Tea 1"', '"tea 1"'),
    ("Chat", "chats", "sillyTavernMetadata", INDEX, '"b":0', '"b":null'),
    ("Chat", "chats", "contextSummary", INDEX, '"Sum"', "null"),
    ("Chat", "chats", "messageCount", INDEX, '"messageCount":4', '"messageCount":5'),
    ("Chat", "chats", "lastMessageAt", INDEX, '"lastMessageAt":"2025-06-04', '"lastMessageAt":"2025-06-05'),
    ("Chat", "chats", "personaId", INDEX, f'"{uid("personas", 1)}"', "null"),
    ("ChatFile", "chat_files", "size", BINARIES, '"size":6', '"size":7'),
    ("ChatFile", "chat_files", "sentToProvider", BINARIES, '"sentToProvider":true,', ""),
    ("ChatFile", "chat_files", "providerError", BINARIES, '"429"', '"4290"'),
    ("ChatFile", "chat_files", "userId", BINARIES, uid("users", 1), uid("users", 2)),
    ("ChatFile", "chat_files", "width", BINARIES, '"width":1', '"width":null'),
    ("Image", "images", "source", BINARIES, '"generated"', '"import"'),
    ("Image", "images", "url", BINARIES, '"url":"http://x/1",', ""),
    ("Image", "images", "height", BINARIES, "480", "481"),
    ("Image", "images", "mimeType", BINARIES, "image/png", "image/gif"),
    ("ImageProfile", "image_profiles", "name", PAINTERS, '"Painter 1"', '"painter 1"'),
    ("ImageProfile", "image_profiles", "modelName", PAINTERS, '"m"', '"n"'),
    ("ImageProfile", "image_profiles", "parameters", PAINTERS, "null", "0"),
    ("Tag", "tags", "name", TAGS, '"Tag 1"', '"TAG 1"'),
    ("Tag", "tags", "nameLower", TAGS, '"tag 1"', '"tag l"'),
)  # fmt: skip

_MESSAGE = uid("messages", 11)
_SAID = (
    ("content", '"Words 1"', '"Words l"'),
    ("role", "ASSISTANT", "USER"),
    ("rawResponse", "1.50", "1.5"),
    ("tokenCount", '"tokenCount":7', '"tokenCount":null'),
    ("swipeGroupId", '"swipeGroupId":"s"', '"swipeGroupId":"S"'),
    ("createdAt", '"createdAt":"2025-06-02T12:00:00.500Z"', '"createdAt":"2025-06-02T12:00:00.501Z"'),
    ("attachments", '"attachments":[]', f'"attachments":["{uid("chat_files", 1)}"]'),
)
_TAG_LINKS = (
    ("CharacterTag", "character_tags", CHARACTER),
    ("PersonaTag", "persona_tags", PERSONA),
    ("ChatTag", "chat_tags", INDEX),
    ("ConnectionProfileTag", "connection_profile_tags", KEYS),
    ("ImageProfileTag", "image_profile_tags", PAINTERS),
)


def _of_tag_links() -> list[Damage]:
    found = []
    for model, table, path in _TAG_LINKS:
        link = uid(table, 10)
        moment = '"createdAt":"2025-06-01' if path == INDEX else '"createdAt": "2025-06-01'
        found.append(
            Damage(f"{model}: its date", [(model, link, "createdAt")], edit(path, link, moment, moment[:-1] + "2"))
        )
        found.append(Damage(f"{model}: its id", [(model, link, "id")], edit(path, link, link, uid(table, 15))))
    return found


DAMAGES: list[Damage] = [
    *(_one(model, table, name, name, path, old, new) for model, table, name, path, old, new in _TEXTS),
    *(
        Damage(f"Message: {name}", [("Message", _MESSAGE, name)], edit(TALK, _MESSAGE, old, new, checksum=True))
        for name, old, new in _SAID
    ),
    *_of_tag_links(),
    Damage(
        "VerificationToken: expires",
        [("VerificationToken", TOKEN, "expires")],
        edit(TOKENS, f"{MARKER}-1", "2025-06-09", "2025-06-08"),
    ),
    Damage(
        "VerificationToken: the token itself",
        [("VerificationToken", TOKEN, None), ("VerificationToken", shown_id("token", f"{MARKER}!-1"), None)],
        edit(TOKENS, f"{MARKER}-1", f"{MARKER}-1", f"{MARKER}!-1"),
    ),
    Damage(
        "CharacterPersona: isDefault",
        [("CharacterPersona", f"{uid('characters', 1)}:{uid('personas', 1)}", "isDefault")],
        edit(CHARACTER, "personaLinks", '"isDefault": true', '"isDefault": false'),
    ),
    Damage(
        "CharacterPersona: the link is gone",
        [("CharacterPersona", f"{uid('characters', 1)}:{uid('personas', 1)}", None)],
        records(CHARACTER, lambda record: record.update(personaLinks=[])),
    ),
    Damage(
        "Persona: the mirror of a link is gone",
        [("Persona", uid("personas", 1), "characterLinks")],
        records(PERSONA, lambda record: record.update(characterLinks=[])),
    ),
    Damage(
        "ImageTag: tagType",
        [("ImageTag", uid("image_tags", 1), "tagType")],
        edit(BINARIES, uid("image_tags", 1), "THEME", "CHAT"),
    ),
    Damage(
        "ChatAvatarOverride: its image, in the character",
        [("ChatAvatarOverride", uid("chat_avatar_overrides", 1), "imageId")],
        records(
            CHARACTER,
            lambda record: [
                one.update(imageId=uid("images", 2))
                for one in (*record["avatarOverrides"], *record["extras"]["avatarOverrides"])
            ],
        ),
    ),
    Damage(
        "ChatAvatarOverride: its line",
        [("ChatAvatarOverride", uid("chat_avatar_overrides", 1), "filename")],
        edit(BINARIES, uid("chat_avatar_overrides", 1), '"1.png"', '"l.png"'),
    ),
    Damage(
        "ChatAvatarOverride: its line is gone",
        [("ChatAvatarOverride", uid("chat_avatar_overrides", 1), "avatar")],
        lines(BINARIES, lambda several: several.pop(place(several, uid("chat_avatar_overrides", 1)))),
    ),
    # ------------------------------------------------------------------ links and order
    Damage(
        "order of tags",
        [("Character", uid("characters", 1), "tags")],
        records(CHARACTER, lambda record: record["tags"].reverse()),
    ),
    Damage("order of messages", [("Message", _MESSAGE, "order")], shifted(TALK)),
    *DAMAGES_OF_ORDER,
    Damage(
        "dangling tag",
        [("CharacterTag", uid("character_tags", 10), None)],
        edit(CHARACTER, '"tags"', uid("tags", 0), NOWHERE),
        rows={"CharacterTag": 2},
        status=10,
        dangling=[("CharacterTag", "", "tagId")], only_from_sql=NO_TARGET),
    Damage(
        "dangling default image",
        [("Character", uid("characters", 1), "defaultImageId")],
        edit(CHARACTER, "defaultImageId", uid("images", 1), NOWHERE),
        status=10,
        dangling=[("Character", uid("characters", 1), "defaultImageId")], only_from_sql=NO_TARGET),
    Damage(
        "dangling key",
        [("ConnectionProfile", uid("connection_profiles", 1), "apiKeyId")],
        edit(KEYS, uid("connection_profiles", 1), uid("api_keys", 1), NOWHERE),
        status=10,
        dangling=[("ConnectionProfile", uid("connection_profiles", 1), "apiKeyId")], only_from_sql=NO_TARGET),
    Damage(
        "a tag that others name is gone",
        [("Tag", uid("tags", 1), None)],
        records(TAGS, lambda record: record["tags"].pop(1)),
        status=10,
        dangling=[
            (model, uid(table, 10 * number + 1), "tagId") for model, table, _ in _TAG_LINKS for number in range(3)
        ],
    ),
    # ------------------------------------------------------------------ lines
    Damage("missing line", [("Message", _MESSAGE, None)], lines(TALK, lambda several: several.pop(1))),
    Damage("missing record", [("Session", uid("sessions", 1), None)], lines(SESSIONS, lambda several: several.pop(1))),
    Damage(
        "extra line",
        [("Message", NOWHERE, None)],
        lines(TALK, lambda several: several.insert(2, checked(several[1].replace(_MESSAGE, NOWHERE)))),
    ),
    Damage(
        "torn line",
        [("Message", uid("messages", 13), None)],
        lambda data: (data / TALK).write_bytes((data / TALK).read_bytes()[:-20]) and None,
        status=4,
        unread=True,
    ),
    Damage(
        "a line whose bytes changed",
        [("Message", _MESSAGE, "content")],
        edit(TALK, _MESSAGE, "Words 1", "Words l"),
        status=4,
        unread=True, only_from_sql=NOT_READ),
    Damage("a line twice", [("Message", _MESSAGE, None)], lines(TALK, repeat), 4, {"Message": 1}, unread=True),
    Damage("a record twice", [("Session", uid("sessions", 1), None)], lines(SESSIONS, repeat), 4, {}, True, (),
           NOT_READ),
    Damage(
        "a record in two files",
        [("Tag", uid("tags", 1), None)],
        lambda data: put(data, "extras/tags.jsonl", f"{json.dumps(read(data, TAGS)['tags'][1])}\n"),
        4,
        unread=True,
    ),
    Damage(
        "a line that is no JSON",
        [("ChatFile", uid("chat_files", 1), None)],
        edit(BINARIES, uid("chat_files", 1), '"size":', '"size"'),
        4,
        unread=True, only_from_sql=NOT_READ),
    # ------------------------------------------------------------------ values that cannot be read
    *(
        Damage(
            f"{model}: {name} is not readable", [(model, uid(table, 1), name)], edit(path, uid(table, 1), old, new), 4,
            rows, unread=True, only_from_sql=NOT_READ)
        for model, table, name, path, old, new, rows in (
            ("ApiKey", "api_keys", "provider", KEYS, '"OPENAI"', '"OPENAl"', {}),
            ("Tag", "tags", "createdAt", TAGS, "2025-06-02T", "2025-13-02T", {}),
            ("Chat", "chats", "userId", INDEX, f'"{uid("users", 1)}"', "1", {"ChatTag": 2}),
            (
                "Character", "characters", "isFavorite", CHARACTER, '"isFavorite": true', '"isFavorite": 1',
                {"CharacterTag": 2, "CharacterPersona": 1, "ChatAvatarOverride": 1},
            ),
        )
    ),
    Damage(
        "bad JSON file",
        [("Persona", uid("personas", 1), None)],
        edit(PERSONA, "id", '"id"', "id"),
        4,
        {"PersonaTag": 2},
        unread=True, only_from_sql=NOT_READ),
    Damage("bad file of many", [], edit(TAGS, "tags", "[", "("), 4, {"Tag": 3}, unread=True, only_from_sql=NOT_READ),
    # ------------------------------------------------------------------ secrets
    *(
        Damage(
            f"{model}: a byte of {name}", [(model, uid(table, 1), name)],
            lambda data, path=path, block=block, part=part: flip(data / path, block, part), 18, only_from_sql=NO_SECRET)
        for model, table, name, path, block, part in (
            ("ApiKey", "api_keys", "keyEncrypted", KEYS, uid("api_keys", 1), "ciphertext"),
            ("ApiKey", "api_keys", "keyIv", KEYS, uid("api_keys", 1), "iv"),
            ("ApiKey", "api_keys", "keyAuthTag", KEYS, uid("api_keys", 1), "authTag"),
            ("User", "users", "totpSecret", OTHER_USER, '"totp"', "ciphertext"),
            ("User", "users", "backupCodesAuthTag", OTHER_USER, '"backupCodes"', "authTag"),
        )
    ),
    # ------------------------------------------------------------------ what Quilltap drops
    Damage(
        "dropped extras of a key",
        [("ApiKey", uid("api_keys", 1), "userId")],
        records(KEYS, lambda record: record["apiKeys"][1].pop("extras")), only_from_sql=NO_SECRET),
    Damage(
        "dropped extras of a persona",
        [("PersonaTag", uid("persona_tags", 10 + number), name) for number in range(2) for name in ("id", "createdAt")],
        records(PERSONA, lambda record: record.pop("extras")),
        rows={"PersonaTag": 2},
    ),
    # ------------------------------------------------------------------ files
    Damage(
        "missing file of a chat",
        [("Message", uid("messages", 10 + number), None) for number in range(4)],
        lambda data: (data / TALK).unlink(),
        rows={"Message": 4},
        status=10,
        dangling=[("ChatFile", uid("chat_files", 1), "messageId")],
    ),
    Damage(
        "missing file",
        [
            ("Persona", uid("personas", 1), None),
            *(("PersonaTag", uid("persona_tags", 10 + number), None) for number in range(2)),
        ],
        lambda data: (data / PERSONA).unlink(),
        rows={"PersonaTag": 2},
        status=10,
        dangling=[
            ("CharacterPersona", f"{uid('characters', 1)}:{uid('personas', 1)}", "personaId"),
            ("Chat", uid("chats", 1), "personaId"),
        ],
    ),
    Damage(
        "extra file",
        [("Persona", NOWHERE, None), *(("PersonaTag", f"link-{number}", None) for number in range(2))],
        lambda data: put(data, f"personas/{NOWHERE}.json", other(data, PERSONA)),
        rows={"PersonaTag": 2},
    ),
    Damage(
        "extra file of a chat",
        [("Message", NOWHERE, None)],
        lambda data: put(data, f"chats/{NOWHERE}.jsonl", first_line(data)),
        status=10,
        dangling=[("Message", NOWHERE, "chatId")],
        only_from_sql=NOBODYS,
    ),
    Damage(
        "extra empty file of a chat",
        [("Chat", NOWHERE, "file")],
        lambda data: put(data, f"chats/{NOWHERE}.jsonl", ""),
        only_from_sql=NOBODYS,
    ),
    Damage(
        "a file of somebody else's", [], lambda data: put(data, "tags/notes.txt", "Mine."), 4, unread=True,
        only_from_sql=NOBODYS,
    ),
    Damage(
        "missing bytes",
        [("Image", uid("images", 1), "sha256")],
        lambda data: (data.parent / "public" / "uploads/images/1.png").unlink(), for_good=True),
    Damage(
        "missing bytes of an attachment",
        [("ChatFile", uid("chat_files", 1), "sha256")],
        lambda data: (data.parent / "public" / "uploads/chat-files/1.txt").unlink(), for_good=True),
    Damage(
        "missing copy of bytes",
        [("Image", uid("images", 1), "bytes")],
        lambda data: shutil.rmtree(data / "binaries" / sha256_of(data, uid("images", 1))),
    ),
    Damage(
        "a copy of other bytes",
        [("Image", uid("images", 1), "bytes")],
        lambda data: put(data, f"binaries/{sha256_of(data, uid('images', 1))}/raw", "picture l"),
    ),
    Damage(
        "a date of a file",
        [("Tag", TAGS, "updatedAt")],
        records(TAGS, lambda record: record.update(updatedAt="2020-01-01T00:00:00.000Z")),
    ),
    Damage(
        "a date of a user's file",
        [("User", uid("users", 1), "file.createdAt")],
        records(OTHER_USER, lambda record: record.update(createdAt="2020-01-01T00:00:00.000Z")),
    ),
    Damage(
        "length of a chat's file",
        [("Chat", uid("chats", 1), "extras.log.bytes")],
        edit(INDEX, uid("chats", 1), '"bytes":', '"bytes":1'),
    ),
]  # fmt: skip
