"""Rows that Quilltap's schema admits, for Hypothesis: nothing here knows how a record looks."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from store import codec
from store.enums import ENUMS
from store.mapping import MAPPINGS, Mapping, Row, Rows
from store.mapping.messages import MESSAGES
from store.tables.base import JSON_NULL

UUIDS = st.uuids().map(str)
SOME_TEXT = ("", "0", "null", "a\u2028b\u2029", "😀", "\x01", "\x7f", '"\\/', " \t\r\n", "é", "\ufeff")
TEXT = st.sampled_from(SOME_TEXT) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
)
IDS = UUIDS | UUIDS.map(str.upper) | TEXT.filter(bool) | st.sampled_from(["user-123", "..", "a/b", "ü"])
MAYBE_TEXT = st.none() | TEXT
FLAGS = st.booleans()
_FIRST = datetime(1, 1, 1)
_SOME_MOMENTS = ("0001-01-01T00:00:00.000Z", "1969-12-31T23:59:59.999Z", "2024-02-29T12:00:00.001Z")
MOMENTS = st.sampled_from((*_SOME_MOMENTS, "9999-12-31T23:59:59.999Z")) | st.integers(0, 315_537_897_599_999).map(
    lambda ms: f"{(_FIRST + timedelta(milliseconds=ms)).isoformat(timespec='milliseconds')}Z"
)
MAYBE_MOMENTS = st.none() | MOMENTS
INTEGERS = st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31)]) | st.integers(-(2**31), 2**31 - 1)
MAYBE_INTEGERS = st.none() | INTEGERS
_NUMBERS = st.sampled_from(
    [
        "0",
        "-0",
        "1",
        "1.0",
        "1.00",
        "-1.50",
        "0.1234567890123456789012",
        "18446744073709551616",
        "9007199254740993",
        "-9223372036854775808",
        "9223372036854775807",
        "9223372036854775808",
        "1e5",
        "1E-7",
        "123456789012345678901234.5",
    ]
) | st.from_regex(r"\A-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,2})?\Z")
_LEAVES = st.none() | FLAGS | TEXT | st.integers(-(2**80), 2**80) | _NUMBERS.map(codec.number)
JSON = st.recursive(
    _LEAVES, lambda some: st.lists(some, max_size=3) | st.dictionaries(TEXT, some, max_size=3), max_leaves=8
)
# SQL NULL, JSON null, any JSON at all, and mostly objects.
FREE_FORM = (
    st.sampled_from([None, JSON_NULL, False, 0, "", [], {}])
    | JSON.map(lambda value: JSON_NULL if value is None else codec.canonical(value))
    | st.dictionaries(TEXT, JSON, max_size=4).map(codec.canonical)
)


def unique(ids: st.SearchStrategy[str], most: int = 3) -> st.SearchStrategy[list[str]]:
    return st.lists(ids, max_size=most, unique=True)


@st.composite
def tag_link_rows(draw: st.DrawFn, column: str, owner: str, tag_ids: st.SearchStrategy[str]) -> list[Row]:
    links = [(tag_id, draw(UUIDS), draw(MOMENTS)) for tag_id in draw(unique(tag_ids))]
    return [{"id": link, column: owner, "tagId": tag_id, "createdAt": moment} for tag_id, link, moment in links]


@st.composite
def user_rows(draw: st.DrawFn, ids: st.SearchStrategy[str] = IDS) -> Rows:
    user_id = draw(ids)
    parts = {
        name: draw(MAYBE_TEXT)
        for block in ("totpSecret", "backupCodes")
        for name in (block, f"{block}Iv", f"{block}AuthTag")
    }
    user: Row = {
        "id": user_id,
        "email": draw(TEXT | st.sampled_from(["a@localhost", "ada@example.org", "x@ü.de"])),
        "name": draw(MAYBE_TEXT),
        "image": draw(MAYBE_TEXT),
        "emailVerified": draw(MAYBE_MOMENTS),
        "createdAt": draw(MOMENTS),
        "updatedAt": draw(MOMENTS),
        "passwordHash": draw(MAYBE_TEXT),
        "totpEnabled": draw(FLAGS),
        "totpVerifiedAt": draw(MAYBE_MOMENTS),
        **parts,
    }
    settings: Row = {
        "id": draw(UUIDS | TEXT.filter(bool)),
        "userId": user_id,
        "avatarDisplayMode": draw(st.sampled_from(["ALWAYS", "GROUP_ONLY", "NEVER"])),
        "avatarDisplayStyle": draw(TEXT),
        "createdAt": draw(MOMENTS),
        "updatedAt": draw(MOMENTS),
    }
    return {"users": [user], "chat_settings": draw(st.sampled_from([[], [settings]]))}


@st.composite
def tag_rows(draw: st.DrawFn, ids: st.SearchStrategy[str] = IDS, owners: st.SearchStrategy[str] = IDS) -> Rows:
    texts = {name: draw(TEXT) for name in ("name", "nameLower")}
    dates = {name: draw(MOMENTS) for name in ("createdAt", "updatedAt")}
    return {"tags": [{"id": draw(ids), "userId": draw(owners), **texts, **dates}]}


class Pool:
    """Ids that links may name; any at all unless a database has to know them."""

    def __init__(self, **ids: list[str]) -> None:
        self._ids = ids

    def __getattr__(self, name: str) -> st.SearchStrategy[str]:
        return st.sampled_from(self._ids[name]) if self._ids else IDS


ANY = Pool()


@st.composite
def persona_rows(draw: st.DrawFn, ids: st.SearchStrategy[str] = IDS, pool: Any = ANY) -> Rows:
    persona_id = draw(ids)
    persona: Row = {
        "id": persona_id,
        "userId": draw(pool.users),
        **{name: draw(TEXT) for name in ("name", "description")},
        **{name: draw(MAYBE_TEXT) for name in ("title", "personalityTraits", "avatarUrl")},
        "sillyTavernData": draw(FREE_FORM),
        "createdAt": draw(MOMENTS),
        "updatedAt": draw(MOMENTS),
        "defaultImageId": draw(st.none() | pool.images),
    }
    links = [{"characterId": one, "personaId": persona_id, "isDefault": False} for one in draw(unique(pool.characters))]
    tags = draw(tag_link_rows("personaId", persona_id, pool.tags))
    return {"personas": [persona], "persona_tags": tags, "character_personas": links}


@st.composite
def character_rows(draw: st.DrawFn, ids: st.SearchStrategy[str] = IDS, pool: Any = ANY) -> Rows:
    character_id = draw(ids)
    needed = ("name", "description", "personality", "scenario", "firstMessage")
    character: Row = {
        "id": character_id,
        "userId": draw(pool.users),
        **{name: draw(TEXT) for name in needed},
        **{name: draw(MAYBE_TEXT) for name in ("exampleDialogues", "systemPrompt", "avatarUrl", "title")},
        "sillyTavernData": draw(FREE_FORM),
        "createdAt": draw(MOMENTS),
        "updatedAt": draw(MOMENTS),
        "defaultImageId": draw(st.none() | pool.images),
        "isFavorite": draw(FLAGS),
    }
    personas = [
        {"characterId": character_id, "personaId": one, "isDefault": draw(FLAGS)} for one in draw(unique(pool.personas))
    ]
    overrides = [
        {
            "id": draw(UUIDS),
            "chatId": one,
            "characterId": character_id,
            "imageId": draw(pool.images),
            "createdAt": draw(MOMENTS),
        }
        for one in draw(unique(pool.chats))
    ]
    return {
        "characters": [character],
        "character_personas": personas,
        "character_tags": draw(tag_link_rows("characterId", character_id, pool.tags)),
        "chat_avatar_overrides": overrides,
    }


@st.composite
def account_rows(draw: st.DrawFn, ids: st.SearchStrategy[str] = IDS, pool: Any = ANY) -> Rows:
    oauth = ("refresh_token", "access_token", "token_type", "scope", "id_token", "session_state")
    account: Row = {
        "id": draw(ids),
        "userId": draw(pool.users),
        **{name: draw(TEXT) for name in ("type", "provider", "providerAccountId")},
        **{name: draw(MAYBE_TEXT) for name in oauth},
        "expires_at": draw(MAYBE_INTEGERS),
    }
    return {"accounts": [account]}


@st.composite
def session_rows(draw: st.DrawFn, ids: st.SearchStrategy[str] = IDS, pool: Any = ANY) -> Rows:
    session = {"id": draw(ids), "sessionToken": draw(TEXT), "userId": draw(pool.users), "expires": draw(MOMENTS)}
    return {"sessions": [session]}


@st.composite
def token_rows(draw: st.DrawFn, ids: st.SearchStrategy[str] = IDS, pool: Any = ANY) -> Rows:
    return {"verification_tokens": [{"identifier": draw(TEXT), "token": draw(ids), "expires": draw(MOMENTS)}]}


@st.composite
def key_rows(draw: st.DrawFn, ids: st.SearchStrategy[str] = IDS, pool: Any = ANY) -> Rows:
    key: Row = {
        "id": draw(ids),
        "userId": draw(pool.users),
        "provider": draw(st.sampled_from(ENUMS["Provider"])),
        **{name: draw(TEXT) for name in ("label", "keyEncrypted", "keyIv", "keyAuthTag")},
        "isActive": draw(FLAGS),
        "lastUsed": draw(MAYBE_MOMENTS),
        "createdAt": draw(MOMENTS),
        "updatedAt": draw(MOMENTS),
    }
    return {"api_keys": [key]}


def _profile_rows(kind: str, providers: str, column: str) -> Any:
    @st.composite
    def rows(draw: st.DrawFn, ids: st.SearchStrategy[str] = IDS, pool: Any = ANY) -> Rows:
        profile: Row = {
            "id": draw(ids),
            "userId": draw(pool.users),
            "name": draw(TEXT),
            "provider": draw(st.sampled_from(ENUMS[providers])),
            "apiKeyId": draw(st.none() | pool.keys),
            "baseUrl": draw(MAYBE_TEXT),
            "modelName": draw(TEXT),
            "parameters": draw(FREE_FORM.filter(lambda value: value is not None)),
            "isDefault": draw(FLAGS),
            "createdAt": draw(MOMENTS),
            "updatedAt": draw(MOMENTS),
        }
        tags = draw(tag_link_rows(column, profile["id"], pool.tags))
        return {f"{kind}s": [profile], f"{kind}_tags": tags}

    return rows


@st.composite
def _found_bytes(draw: st.DrawFn) -> list[Row]:
    return draw(st.sampled_from([[], [{"sha256": "0123456789abcdef" * 4}]]))


def _image_row(draw: st.DrawFn, image_id: str, owner: str) -> Row:
    return {
        "id": image_id,
        "userId": owner,
        **{name: draw(TEXT) for name in ("filename", "filepath", "mimeType")},
        **{name: draw(MAYBE_TEXT) for name in ("url", "generationModel", "generationPrompt")},
        "size": draw(INTEGERS),
        "width": draw(MAYBE_INTEGERS),
        "height": draw(MAYBE_INTEGERS),
        "createdAt": draw(MOMENTS),
        "updatedAt": draw(MOMENTS),
        "source": draw(st.sampled_from(["upload", "import", "generated", "", "Upload", "scan"])),
    }


@st.composite
def image_rows(draw: st.DrawFn, ids: st.SearchStrategy[str] = IDS, pool: Any = ANY) -> Rows:
    image = _image_row(draw, draw(ids), draw(pool.users))
    kinds = st.sampled_from(ENUMS["ImageTagType"])
    pairs = draw(st.lists(st.tuples(kinds, UUIDS | TEXT | pool.tags), max_size=4, unique=True))
    tags = [
        {"id": draw(UUIDS), "imageId": image["id"], "tagType": kind, "tagId": tag_id, "createdAt": draw(MOMENTS)}
        for kind, tag_id in pairs
    ]
    return {"images": [image], "image_tags": tags, "public_bytes": draw(_found_bytes())}


def _chat_row(draw: st.DrawFn, chat_id: str, pool: Any) -> Row:
    return {
        "id": chat_id,
        "userId": draw(pool.users),
        "characterId": draw(pool.characters),
        "personaId": draw(st.none() | pool.personas),
        "connectionProfileId": draw(pool.profiles),
        "title": draw(TEXT),
        "contextSummary": draw(MAYBE_TEXT),
        "sillyTavernMetadata": draw(FREE_FORM),
        "createdAt": draw(MOMENTS),
        "updatedAt": draw(MOMENTS),
        "imageProfileId": draw(st.none() | pool.image_profiles),
    }


@st.composite
def chat_rows(draw: st.DrawFn, ids: st.SearchStrategy[str] = IDS, pool: Any = ANY) -> Rows:
    chat = _chat_row(draw, draw(ids), pool)
    totals = {"messageCount": draw(st.integers(1, 2**40)), "lastMessageAt": draw(MOMENTS)}
    return {
        "chats": [chat],
        "chat_tags": draw(tag_link_rows("chatId", chat["id"], pool.tags)),
        "message_totals": draw(st.sampled_from([[], [totals]])),
    }


def _file_row(draw: st.DrawFn, file_id: str, chat_id: str, message_id: str | None) -> Row:
    return {
        "id": file_id,
        "chatId": chat_id,
        "messageId": message_id,
        **{name: draw(TEXT) for name in ("filename", "filepath", "mimeType")},
        "size": draw(INTEGERS),
        "width": draw(MAYBE_INTEGERS),
        "height": draw(MAYBE_INTEGERS),
        "sentToProvider": draw(FLAGS),
        "providerError": draw(MAYBE_TEXT),
        "createdAt": draw(MOMENTS),
    }


@st.composite
def attachment_rows(draw: st.DrawFn, ids: st.SearchStrategy[str] = IDS, pool: Any = ANY) -> Rows:
    chat = _chat_row(draw, draw(pool.chats), pool)
    row = _file_row(draw, draw(ids), chat["id"], draw(st.none() | pool.messages))
    return {"chat_files": [row], "chats": [chat], "public_bytes": draw(_found_bytes())}


@st.composite
def avatar_rows(draw: st.DrawFn, ids: st.SearchStrategy[str] = IDS, pool: Any = ANY) -> Rows:
    image = _image_row(draw, draw(pool.images), draw(pool.users))
    ends = {"chatId": draw(pool.chats), "characterId": draw(pool.characters), "imageId": image["id"]}
    override = {"id": draw(ids), **ends, "createdAt": draw(MOMENTS)}
    return {"chat_avatar_overrides": [override], "images": [image], "public_bytes": draw(_found_bytes())}


@st.composite
def message_rows(draw: st.DrawFn, ids: st.SearchStrategy[str] = IDS, pool: Any = ANY) -> Rows:
    message: Row = {
        "id": draw(ids),
        "chatId": draw(pool.chats),
        "role": draw(st.sampled_from(ENUMS["Role"])),
        "content": draw(TEXT),
        "rawResponse": draw(FREE_FORM),
        "tokenCount": draw(MAYBE_INTEGERS),
        "swipeGroupId": draw(MAYBE_TEXT),
        "swipeIndex": draw(MAYBE_INTEGERS),
        "createdAt": draw(MOMENTS),
    }
    files = [_file_row(draw, one, message["chatId"], message["id"]) for one in draw(unique(UUIDS))]
    return {"messages": [message], "chat_files": files}


ROWS: dict[str, Any] = {
    "user": user_rows,
    "account": account_rows,
    "session": session_rows,
    "token": token_rows,
    "tag": tag_rows,
    "key": key_rows,
    "profile": _profile_rows("connection_profile", "Provider", "connectionProfileId"),
    "image_profile": _profile_rows("image_profile", "ImageProvider", "imageProfileId"),
    "image": image_rows,
    "persona": persona_rows,
    "character": character_rows,
    "chat": chat_rows,
    "attachment": attachment_rows,
    "avatar": avatar_rows,
    "message": message_rows,
}
# Messages have no shelf of their own, but a mapping like every noun's.
ALL: dict[str, Mapping] = {**MAPPINGS, "message": MESSAGES}


def exactly(rows: Rows) -> dict[str, list[str]]:
    """Rows in a form in which 1, True, 1.0 and 1.00 are four things, and the order of rows none."""
    return {name: sorted(repr(sorted(row.items())) for row in table) for name, table in rows.items()}


def fixed_id(number: int) -> str:
    return str(uuid.UUID(int=number, version=4))
