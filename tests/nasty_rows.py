"""The rows of the nasty database: a sweep through all values for each table, and the cases that have a story."""

import functools
import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

from store.secrets import API_KEY, BACKUP_CODES, TOTP_SECRET, Secrets
from tests.nasty import JSONS, MEGABYTE, MOMENTS, ODD_IDS, PEPPER, TEXTS, Json, Row, sweep, uid

SWEPT = 30  # rows of each table that Quilltap would take, so that each value comes by
EARLY, NOON, LATE = "2025-01-01 00:00:00.001", "2025-06-01 12:00:00", "2025-12-31 23:59:59.999"
ADA, BOB, EVE, TWIN = (uid("users", 1000 + number) for number in range(4))
ALICE, ALICE_IN_SMALL, LONER = (uid("characters", 1000 + number) for number in range(3))
QUEEN, KING = (uid("personas", 1000 + number) for number in range(2))
ELF, ELF_OF_BOB, COMPOSED, DECOMPOSED, IN_SMALL = (uid("tags", 1000 + number) for number in range(5))
KEY, KEY_OF_BOB, IDLE_KEY = (uid("api_keys", 1000 + number) for number in range(3))
PROFILE, PROFILE_OF_BOB, SECOND_DEFAULT = (uid("connection_profiles", 1000 + number) for number in range(3))
PAINTER, PAINTER_IN_SMALL, PAINTER_OF_BOB = (uid("image_profiles", 1000 + number) for number in range(3))
PICTURE, TWIN_PICTURE, EMPTY_PICTURE, LOST_PICTURE, OUTSIDE = (uid("images", 1000 + number) for number in range(5))
TEA, SILENCE, OF_EVE = (uid("chats", 1000 + number) for number in range(3))
FILE, TWIN_FILE, UNSENT, REFUSED = (uid("chat_files", 1000 + number) for number in range(4))
SAID = [uid("messages", 1000 + number) for number in range(12)]
TOTP, CODES, API = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXPJBSW", ["0A1B2C3D", "FFFFFFFF"], "sk-tëst-🔑"
PUBLIC = {
    "uploads/images/ada/a picture é.png": b"\x89PNG a picture\n",
    "uploads/generated/twin.png": b"\x89PNG a picture\n",
    "uploads/images/empty.png": b"",
    "uploads/chat-files/tea/notes.txt": b"a text\r\n",
    "uploads/chat-files/tea/the same picture.png": b"\x89PNG a picture\n",
    "uploads/not named by anybody.png": b"stays where it is",
}


@functools.cache
def rows() -> Sequence[tuple[str, Row]]:
    """Table and row, the same in every call: secrets are never encrypted twice to the same cipher."""
    return [*_people(), *_sign_in(), *_tools(), *_library(), *_chats(), *_talk(), *_links(), *_swept(SWEPT), *_odd()]


def _dated(**row: Any) -> Row:
    return {"createdAt": NOON, "updatedAt": NOON, **row}


def _people() -> Iterator[tuple[str, Row]]:
    secrets = Secrets(PEPPER)
    totp = secrets.encrypt(ADA, TOTP).spelled(TOTP_SECRET)
    codes = secrets.encrypt_codes(ADA, CODES).spelled(BACKUP_CODES)
    verified = {"emailVerified": NOON, "totpEnabled": True, "totpVerifiedAt": NOON}
    ada = {"id": ADA, "email": "ada@example.org", "name": "Ada 😀", "image": "/a.png", "passwordHash": "$2b$12$x/y."}
    yield "users", {**ada, "createdAt": EARLY, "updatedAt": LATE, **totp, **codes, **verified}
    yield "users", _dated(id=BOB, email="bob@example.org")  # nothing else, and no chat settings
    being_set_up = secrets.encrypt(EVE, TOTP).spelled(TOTP_SECRET)
    yield "users", _dated(id=EVE, email="Eve@Example.org", **being_set_up, totpEnabled=False)
    yield "users", {"id": TWIN, "email": "eve@example.org", "createdAt": EARLY, "updatedAt": EARLY}  # as old as Ada
    for user, mode, style in ((ADA, "ALWAYS", "CIRCULAR"), (EVE, "NEVER", "RECTANGULAR")):
        own = {"id": uid("chat_settings", 1000 + len(mode)), "userId": user}
        yield "chat_settings", _dated(**own, avatarDisplayMode=mode, avatarDisplayStyle=style)


def _sign_in() -> Iterator[tuple[str, Row]]:
    google = {"type": "oauth", "provider": "google", "expires_at": 2**31 - 1, "scope": "openid é/", "token_type": ""}
    yield "accounts", {"id": uid("accounts", 1000), "userId": ADA, "providerAccountId": "1", **google}
    yield "accounts", {"id": "cuid", "userId": BOB, "providerAccountId": "1.0", **google, "id_token": "x" * 4000}
    for number, moment in enumerate((EARLY, EARLY, LATE)):
        yield "sessions", {"id": f"s{number}", "sessionToken": f"t {number}", "userId": ADA, "expires": moment}
        yield "verification_tokens", {"identifier": "ada@example.org", "token": f"v{9 - number}", "expires": moment}


def _tools() -> Iterator[tuple[str, Row]]:
    secrets = Secrets(PEPPER)
    for record_id, user, provider in ((KEY, ADA, "OPENAI"), (KEY_OF_BOB, BOB, "GAB_AI"), (IDLE_KEY, ADA, "GROK")):
        cipher = secrets.encrypt(user, API).spelled(API_KEY)
        own = {"id": record_id, "userId": user, "provider": provider, "label": "Main", "lastUsed": LATE}
        yield "api_keys", _dated(**own, **cipher, isActive=record_id != IDLE_KEY)
    profile = {"provider": "OPENAI", "modelName": "m", "parameters": Json('{"temperature": 1.0, "top_p": 1}')}
    defaults = ((PROFILE, ADA, KEY), (PROFILE_OF_BOB, BOB, KEY_OF_BOB), (SECOND_DEFAULT, ADA, KEY_OF_BOB))
    for record_id, user, key in defaults:
        own = {"id": record_id, "userId": user, "name": "Everyday", "apiKeyId": key}
        yield "connection_profiles", _dated(**own, **profile, isDefault=True)
    painters = ((PAINTER, ADA, "Painter"), (PAINTER_IN_SMALL, ADA, "painter"), (PAINTER_OF_BOB, BOB, "Painter"))
    for record_id, user, name in painters:
        own = {"id": record_id, "userId": user, "name": name, "apiKeyId": None}
        yield "image_profiles", _dated(**own, **profile, isDefault=name == "Painter")


def _library() -> Iterator[tuple[str, Row]]:
    names = {ELF: "Elf", COMPOSED: "é", DECOMPOSED: "e\u0301", IN_SMALL: "elf"}
    for record_id, name in names.items():
        yield "tags", _dated(id=record_id, userId=ADA, name=name, nameLower=name)
    yield "tags", _dated(id=ELF_OF_BOB, userId=BOB, name="ELF", nameLower="elf")
    for record_id, path, source in (
        (PICTURE, "uploads/images/ada/a picture é.png", "upload"),
        (TWIN_PICTURE, "uploads/generated/twin.png", "generated"),
        (EMPTY_PICTURE, "uploads/images/empty.png", "import"),
        (LOST_PICTURE, "uploads/images/lost.png", "scanned"),
        (OUTSIDE, "uploads/../../outside.png", ""),
    ):
        file = {"filename": path.rpartition("/")[2], "filepath": path, "mimeType": "image/png", "size": 15}
        yield "images", _dated(id=record_id, userId=ADA, source=source, **file)
    texts = dict.fromkeys(("description", "personality", "scenario", "firstMessage"), "")
    for record_id, name, user in ((ALICE, "Alice", ADA), (ALICE_IN_SMALL, "alice", ADA), (LONER, MEGABYTE, BOB)):
        own = {"id": record_id, "userId": user, "name": name, "defaultImageId": PICTURE if user == ADA else None}
        yield "characters", _dated(**own, **texts, isFavorite=True)
    for record_id, name in ((QUEEN, "Queen"), (KING, "queen")):
        yield "personas", _dated(id=record_id, userId=ADA, name=name, description="", defaultImageId=TWIN_PICTURE)


def _chats() -> Iterator[tuple[str, Row]]:
    tea = {"characterId": ALICE, "personaId": QUEEN, "connectionProfileId": PROFILE, "imageProfileId": PAINTER}
    yield "chats", _dated(id=TEA, userId=ADA, title="Tea", contextSummary="", **tea)
    alone = {"characterId": ALICE, "connectionProfileId": PROFILE}
    yield "chats", _dated(id=SILENCE, userId=ADA, title="", sillyTavernMetadata=Json("{}"), **alone)
    yield "chats", _dated(id=OF_EVE, userId=EVE, title="With what is Ada's", **tea)
    for number, (chat, character, image) in enumerate(
        [(TEA, ALICE, PICTURE), (SILENCE, ALICE, TWIN_PICTURE), (TEA, LONER, LOST_PICTURE)]
    ):
        worn = {"chatId": chat, "characterId": character, "imageId": image, "createdAt": NOON}
        yield "chat_avatar_overrides", {"id": uid("chat_avatar_overrides", 1000 - number), **worn}


def _talk() -> Iterator[tuple[str, Row]]:
    """Ids that are in no order of time, and several moments that are the same."""
    answers = ((3, None), (1, 0), (2, 0), (5, 1), (4, 2), (0, -1), (6, 10), (7, None))
    for number, index in answers:
        said = {"id": SAID[number], "chatId": TEA, "role": "ASSISTANT", "content": f"{index}", "createdAt": NOON}
        yield "messages", {**said, "swipeIndex": index, "swipeGroupId": None if number in (3, 7) else "swipe-1"}
    long = {"id": SAID[8], "chatId": TEA, "role": "USER", "content": MEGABYTE, "createdAt": LATE}
    yield "messages", {**long, "rawResponse": Json(json.dumps({"text": "x" * 1_000_000, "a": 1}))}
    yield "messages", {"id": SAID[9], "chatId": TEA, "role": "TOOL", "content": "", "createdAt": EARLY}
    elsewhere = {"id": SAID[10], "chatId": OF_EVE, "role": "SYSTEM", "content": "{}", "createdAt": NOON}
    yield "messages", {**elsewhere, "swipeGroupId": "swipe-1"}
    file = {"chatId": TEA, "mimeType": "text/plain", "size": 8, "createdAt": NOON}
    notes, picture = "uploads/chat-files/tea/notes.txt", "uploads/chat-files/tea/the same picture.png"
    yield "chat_files", {"id": TWIN_FILE, "messageId": SAID[8], "filename": "", "filepath": picture, **file}
    sent = {"id": FILE, "messageId": SAID[8], "filename": "n", "filepath": notes, "sentToProvider": True}
    yield "chat_files", {**sent, **file}
    yield "chat_files", {"id": UNSENT, "messageId": None, "filename": "n", "filepath": notes, **file}
    refused = {"id": REFUSED, "messageId": SAID[9], "filename": "r", "filepath": "/etc/hostname"}
    yield (
        "chat_files",
        {**refused, **file, "providerError": "429: é\n", "sentToProvider": True, "width": 0, "height": 0},
    )


def _links() -> Iterator[tuple[str, Row]]:
    """Also of one user's records with another's tags."""
    numbers = itertools.count(1)

    def link(table: str, column: str, record_id: str, tag: str, moment: str = NOON) -> tuple[str, Row]:
        return table, {"id": f"link {next(numbers)}", column: record_id, "tagId": tag, "createdAt": moment}

    tagged = {
        "character_tags": ("characterId", "characters", ALICE),
        "persona_tags": ("personaId", "personas", QUEEN),
        "chat_tags": ("chatId", "chats", TEA),
        "connection_profile_tags": ("connectionProfileId", "connection_profiles", PROFILE),
        "image_profile_tags": ("imageProfileId", "image_profiles", PAINTER),
    }
    for table, (column, owners, record_id) in tagged.items():
        for tag, moment in ((ELF, LATE), (COMPOSED, NOON), (DECOMPOSED, NOON), (ELF_OF_BOB, EARLY)):
            yield link(table, column, record_id, tag, moment)
        for number, moment in enumerate(MOMENTS):
            yield link(table, column, uid(owners, number // 2), uid("tags", number), moment)
    yield link("character_tags", "characterId", LONER, ELF)
    yield from _image_tags()
    for character in (ALICE, ALICE_IN_SMALL, LONER, *(uid("characters", number) for number in range(SWEPT))):
        yield "character_personas", {"characterId": character, "personaId": QUEEN, "isDefault": character == ALICE}
    yield "character_personas", {"characterId": ALICE, "personaId": KING, "isDefault": True}


def _image_tags() -> Iterator[tuple[str, Row]]:
    """Whatever the tag is: a theme in words, a tag that is gone, one id in two types."""
    named = [
        *(("THEME", "fantasy é"), ("THEME", ELF), ("CHARACTER", ALICE), ("THEME", ALICE), ("CHAT", TEA)),
        *(("THEME", "Fantasy"), ("THEME", "fantasy"), ("THEME", ""), ("CHAT", "clx9k2v0q0000ab12cd34ef56")),
        ("PERSONA", uid("personas", 4711)),
    ]
    for number, (kind, tag) in enumerate(named):
        tagged = {"id": f"it{number}", "imageId": PICTURE, "tagType": kind, "tagId": tag, "createdAt": NOON}
        yield "image_tags", tagged


def _swept(number: int) -> Iterator[tuple[str, Row]]:
    ids = {table: [uid(table, one) for one in range(number)] for table in _SWEPT}
    yield from _sweep(ids, ADA)


def _odd() -> Iterator[tuple[str, Row]]:
    """The same of records whose ids are no UUIDs, and which therefore name such ids."""
    yield from _sweep(dict.fromkeys(_SWEPT, ODD_IDS), ODD_IDS[0])
    for number, tag in enumerate(ODD_IDS):
        linked = {"id": f"odd {tag}", "characterId": ODD_IDS[number - 1], "tagId": tag, "createdAt": NOON}
        yield "character_tags", linked
        worn = {"chatId": tag, "characterId": ODD_IDS[number - 1], "imageId": ODD_IDS[number - 2]}
        moment = MOMENTS[number % len(MOMENTS)]
        yield "chat_avatar_overrides", {"id": tag, **worn, "createdAt": moment}
        yield "image_tags", {"id": tag, "imageId": tag, "tagType": "THEME", "tagId": tag, "createdAt": moment}


_SWEPT = ("users", "chat_settings", "accounts", "sessions", "verification_tokens", "api_keys", "connection_profiles")
_SWEPT += ("image_profiles", "tags", "images", "characters", "personas", "chats", "messages", "chat_files")


def _sweep(ids: dict[str, Sequence[str]], owner: str) -> Iterator[tuple[str, Row]]:
    """What may be said only once gets a number; the last users have no chat settings."""
    own = ids["users"][0]

    def once(number: int) -> str:
        return f"{TEXTS[number % len(TEXTS)][:100]}{own[:4]}{number}"

    def some(table: str) -> Any:
        return lambda number: ids[table][number % len(ids[table])] if number % 3 else None

    yield from sweep("users", ids["users"], email=lambda number: f"u{number}.{own[:4]}@example.org", createdAt=NOON)
    yield from sweep("chat_settings", ids["chat_settings"][:-4], userId=lambda number: ids["users"][number])
    yield from sweep("accounts", ids["accounts"], userId=owner, providerAccountId=once)
    yield from sweep("sessions", ids["sessions"], userId=owner, sessionToken=once)
    yield from sweep("verification_tokens", ids["verification_tokens"])
    yield from sweep("api_keys", ids["api_keys"], userId=owner)
    yield from sweep("connection_profiles", ids["connection_profiles"], userId=owner, apiKeyId=some("api_keys"))
    yield from sweep("image_profiles", ids["image_profiles"], userId=owner, apiKeyId=some("api_keys"), name=once)
    yield from sweep("tags", ids["tags"], userId=owner, nameLower=once)
    yield from sweep("images", ids["images"], userId=owner)
    yield from sweep("characters", ids["characters"], userId=owner, defaultImageId=some("images"))
    yield from sweep("personas", ids["personas"], userId=owner, defaultImageId=some("images"))
    ends = {"connectionProfileId": lambda number: ids["connection_profiles"][number]}
    ends |= {"characterId": lambda number: ids["characters"][number], "personaId": some("personas")}
    yield from sweep("chats", ids["chats"], userId=owner, **ends, imageProfileId=some("image_profiles"))
    yield from sweep("messages", ids["messages"], chatId=lambda number: ids["chats"][number // 2])
    in_chat = {"chatId": lambda number: ids["chats"][number // 2], "messageId": some("messages")}
    yield from sweep("chat_files", ids["chat_files"], **in_chat)


assert len(JSONS) + 2 < SWEPT > len(TEXTS) + 2
