"""The values that operations are made of: what has gone wrong before, and what has to be refused. What a record of each
noun consists of."""

from collections.abc import Sequence
from typing import Any

from store.tables import JSON_NULL
from tests import nasty

REFUSED_TEXTS = ("nul \0", "half \ud83d", 5)
TEXTS: Sequence[Any] = (*(text for text in nasty.TEXTS if len(text) < 99), "x" * 5000, "a\r\nb", "{}", *REFUSED_TEXTS)
NEW_IDS = (
    *(f"77777777-0000-4000-8000-{number:012d}" for number in range(8)),
    *("a/b", "..", "index", "%41", "A", "a", "é", "e\u0301", "\u2028", " x\ny ", "general", "."),
)
NO_IDS = (*NEW_IDS, "nul \0", "half \ud83d", "")
MOMENTS = (
    *("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"),
    *("0001-01-01T00:00:00.001Z", "2025-12-31T23:59:59.9996Z", "2026-01-01T02:00+02:00", "yesterday", "2026-02-30"),
)
INTEGERS = (0, 1, -1, 2**31 - 1, -(2**31), 2**31, 7)
FREE = (
    *(
        {},
        {"n": [1, 1.0, -0.0, 0.1, 1e300, 1e-7]},
        {"n": [2**64, -(2**63) - 1, 2**53 + 1]},
        {"z": {"b": None, "a": []}},
    ),
    *([], [{"a": 1}, None], "text\u2028", "", 0, 1.5, True, None, JSON_NULL, {"\uffff": 1, "😀": 2, "": "\u2028"}),
    *({"extras": {"crc": "00000000"}, "type": "message", "id": "x"}, {"n": float("nan")}, {"deep": [[[[[[{}]]]]]]}),
)
PATHS = ("uploads/p.png", "uploads/f.png", "uploads/\u00fc 1.png", "uploads/none.png", "../p.png", "/etc/passwd", "")
THEMES = ("rain", "", "\u2028", "00000000-0000-4000-8000-000000000011")
SOURCES = ("upload", "import", "generated", "", "elsewhere")
SUBJECTS = (*"abcd", "A", "É", "é")

# kind -> field -> what its values are; a name with ? may be null.
_DATES = {"createdAt": "moment", "updatedAt": "moment"}
_WITH_TAGS = {"userId": "user", "name": "text", "tags": "tags", **_DATES}
_CARD = {**_WITH_TAGS, "title": "text?", "description": "text", "avatarUrl": "text?", "sillyTavernData": "free"}
_CARD |= {"defaultImageId": "image?"}
_PROFILE = {**_WITH_TAGS, "apiKeyId": "key?", "baseUrl": "text?", "modelName": "text", "parameters": "free"}
_PROFILE |= {"isDefault": "flag"}
_FILE = {"filename": "text", "filepath": "path", "mimeType": "text", "size": "int", "width": "int?", "height": "int?"}
FIELDS: dict[str, dict[str, str]] = {
    "user": {
        "email": "subject",
        "name": "text?",
        "image": "text?",
        "emailVerified": "moment?",
        "passwordHash": "text?",
        "totpSecret": "text?",
        "totpSecretIv": "text?",
        "totpSecretAuthTag": "text?",
        "totpEnabled": "flag",
        "totpVerifiedAt": "moment?",
        "backupCodes": "text?",
        "backupCodesIv": "text?",
        "backupCodesAuthTag": "text?",
        **_DATES,
    },
    "account": {
        "userId": "user",
        "type": "text",
        "provider": "subject",
        "providerAccountId": "subject",
        "refresh_token": "text?",
        "expires_at": "int?",
        "scope": "text?",
        "id_token": "text?",
    },
    "session": {"sessionToken": "subject", "userId": "user", "expires": "moment"},
    "token": {"identifier": "text", "expires": "moment"},
    "tag": {"userId": "user", "name": "subject", "nameLower": "text", **_DATES},
    "key": {
        "userId": "user",
        "label": "text",
        "provider": "Provider",
        "keyEncrypted": "text",
        "keyIv": "text",
        "keyAuthTag": "text",
        "isActive": "flag",
        "lastUsed": "moment?",
        **_DATES,
    },
    "profile": {**_PROFILE, "provider": "Provider"},
    "image_profile": {**_PROFILE, "provider": "ImageProvider", "name": "subject"},
    "image": {
        "userId": "user",
        **_FILE,
        "url": "text?",
        "generationPrompt": "text?",
        "generationModel": "text?",
        "source": "source",
        "imageTags": "imageTags",
        **_DATES,
    },
    "persona": {**_CARD, "personalityTraits": "text?"},
    "character": {
        **_CARD,
        "personality": "text",
        "scenario": "text",
        "firstMessage": "text",
        "exampleDialogues": "text?",
        "systemPrompt": "text?",
        "isFavorite": "flag",
        "personaLinks": "personaLinks",
    },
    "chat": {
        "userId": "user",
        "characterId": "character",
        "personaId": "persona?",
        "connectionProfileId": "profile",
        "imageProfileId": "image_profile?",
        "title": "text",
        "contextSummary": "text?",
        "sillyTavernMetadata": "free",
        "tags": "tags",
        **_DATES,
    },
    "attachment": {
        "chatId": "chat",
        "messageId": "message?",
        **_FILE,
        "sentToProvider": "flag",
        "providerError": "text?",
        "createdAt": "moment",
    },
    "message": {
        "role": "Role",
        "content": "text",
        "rawResponse": "free",
        "tokenCount": "int?",
        "swipeGroupId": "text?",
        "swipeIndex": "int?",
        "attachments": "attachments",
        "createdAt": "moment",
    },
}
# What a new record needs besides what is drawn.
PLAIN: dict[str, dict[str, Any]] = {
    "character": dict.fromkeys(("description", "personality", "scenario", "firstMessage"), ""),
    "persona": {"description": ""},
    "key": {"provider": "GROK", "keyEncrypted": "00", "keyIv": "", "keyAuthTag": "\u2028"},
    "profile": {"provider": "OPENAI", "modelName": "m", "parameters": {}},
    "image_profile": {"provider": "OPENAI", "modelName": "m", "parameters": {}},
    "image": {"filename": "f", "mimeType": "image/png", "size": 1},
    "attachment": {"filename": "f", "mimeType": "image/png", "size": 1},
    "account": {"type": "oauth"},
    "token": {"identifier": "ada@example.org"},
    "message": {"role": "USER"},
}
# These are drawn for every new record.
NEEDED = {
    **dict.fromkeys(("tag", "persona", "character", "profile", "image_profile"), ("userId", "name")),
    "user": ("email",),
    "account": ("userId", "provider", "providerAccountId"),
    "key": ("userId", "label"),
    "session": ("sessionToken", "userId", "expires"),
    "token": ("expires",),
    "image": ("userId", "filepath"),
    "chat": ("userId", "characterId", "connectionProfileId", "title"),
    "attachment": ("chatId", "filepath"),
    "message": ("content",),
}
REPOSITORIES = {
    "user": "users",
    "account": "accounts",
    "session": "sessions",
    "token": "tokens",
    "tag": "tags",
    "key": "keys",
    "profile": "profiles",
    "image_profile": "image_profiles",
    "image": "images",
    "persona": "personas",
    "character": "characters",
    "chat": "chats",
    "attachment": "attachments",
}
KINDS = tuple(REPOSITORIES)
TAGGED = ("profile", "image_profile", "persona", "character", "chat")
# With a user nearly everything goes.
DELETED = (*KINDS[1:], *KINDS[1:], *KINDS)
