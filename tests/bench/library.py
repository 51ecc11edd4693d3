"""A library of 10,000 characters with 300 tags and four tags each, the same every time."""

import random

from sqlalchemy import insert

from store import Store
from store.documents.base import derived_id
from store.tables.characters import character_tags, characters
from store.tables.tags import tags
from store.tables.users import users

USER = derived_id("bench", "user")
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
