"""A library of 10,000 characters with 300 tags and four tags each, and one of chats; the same every time."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from store import Settings, Store
from store.documents.base import derived_id, spell_moment
from store.tables.characters import character_tags, characters
from store.tables.chats import chats
from store.tables.messages import messages
from store.tables.profiles import connection_profiles
from store.tables.tags import tags
from store.tables.users import users

SHORT, LONG = 200, 100_000  # messages of the two chats
USER = derived_id("bench", "user")
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
MOMENT = "2025-11-20T12:00:00.000Z"
DATES = {"createdAt": MOMENT, "updatedAt": MOMENT}
WORDS = (
    "amber",
    "blade",
    "cinder",
    "dawn",
    "ember",
    "frost",
    "glade",
    "harbor",
    "ivory",
    "jade",
    "kestrel",
    "lumen",
    "marble",
    "night",
    "oak",
)


def settings(folder: Path, url: str, backend: str) -> Settings:
    """Everything below ``folder``."""
    return Settings(url, folder / "data", folder / "public", folder, backend)  # type: ignore[arg-type]


def character_id(number: int) -> str:
    """The id of a character of the library."""
    return derived_id("bench", "character", str(number))


def fill(store: Store, count: int = 10_000) -> None:
    """Put the library into the store's database, by SQL; what waits is applied afterwards by the caller."""
    chance = random.Random(7)
    tag_ids = [derived_id("bench", "tag", str(number)) for number in range(300)]
    with store.database.write() as connection:
        connection.execute(insert(users).values(id=USER, email="bench@example.com", createdAt=MOMENT, updatedAt=MOMENT))
        rows = [
            {"id": one, "userId": USER, "name": f"Tag {n}", "nameLower": f"tag {n}", **DATES}
            for n, one in enumerate(tag_ids)
        ]
        connection.execute(insert(tags), rows)
        connection.execute(insert(characters), [_character(chance, number) for number in range(count)])
        links = [
            {"id": derived_id("link", str(n), tag), "characterId": character_id(n), "tagId": tag, "createdAt": MOMENT}
            for n in range(count)
            for tag in chance.sample(tag_ids, 4)
        ]
        connection.execute(insert(character_tags), links)


def _character(chance: random.Random, number: int) -> dict[str, object]:
    def prose(words: int) -> str:
        return " ".join(chance.choice(WORDS) for _ in range(words))

    return {
        "id": character_id(number),
        "userId": USER,
        "name": f"{chance.choice(WORDS).title()} {chance.choice(WORDS)} {number}",
        "description": prose(250),
        "personality": prose(120),
        "scenario": prose(120),
        "firstMessage": prose(150),
        "sillyTavernData": {"spec": "chara_card_v2", "data": {"creator": prose(2), "tags": [prose(1)]}},
        "isFavorite": number % 10 == 0,
        "createdAt": MOMENT,
        "updatedAt": f"2025-11-20T12:{number // 60 % 60:02d}:{number % 60:02d}.000Z",
    }


def chat_id(size: int) -> str:
    """The id of the chat that began with so many messages."""
    return derived_id("bench", "chat", str(size))


def message(size: int, number: int) -> dict[str, Any]:
    """The row of a message: 400 characters of text, about 600 bytes as a line."""
    return {
        "id": derived_id("bench", "message", str(size), str(number)),
        "chatId": chat_id(size),
        "role": "ASSISTANT" if number % 2 else "USER",
        "content": (f"{number} " + "word " * 80)[:400],
        "createdAt": spell_moment(BEGIN + timedelta(seconds=30 * number)),
    }


def fill_chats(store: Store) -> None:
    """A chat of ``SHORT`` messages and one of ``LONG``, by SQL: before both sides are brought together, so
    that the files are written as a whole."""
    profile = derived_id("bench", "profile")
    mine = {"userId": USER, **DATES}
    with store.database.write() as connection:
        connection.execute(insert(users).values(id=USER, email="bench@example.com", createdAt=MOMENT, updatedAt=MOMENT))
        connection.execute(insert(characters), [_character(random.Random(7), 0)])
        local = {"id": profile, "name": "Local", "provider": "OLLAMA", "modelName": "llama", "parameters": {}}
        connection.execute(insert(connection_profiles).values(**local, isDefault=True, **mine))
        for size in (SHORT, LONG):
            told = {"id": chat_id(size), "characterId": character_id(0), "connectionProfileId": profile}
            connection.execute(insert(chats).values(**told, title=f"Chat of {size}", **mine))
            connection.execute(insert(messages), [message(size, number) for number in range(size)])
