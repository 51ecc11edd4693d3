"""A small library to look around in: the same records, with the same ids, wherever it is loaded."""

from typing import Any

from store.errors import DuplicateError
from store.mapping.base import derived_id
from store.repositories.contract import (
    CharactersRepository,
    PersonasRepository,
    TagsRepository,
    UsersRepository,
)

EMAIL = "mira@tandem.example"

_TAGS = ("Fantasy", "Science fiction", "Mystery", "Slow burn", "Companion", "Mentor", "Villain", "Short scenes")
_PERSONAS = (
    ("Mira", "The traveller", "A cartographer who asks too many questions and writes everything down.", "curious, dry"),
    (
        "Captain Oduya",
        "Master of the Halcyon",
        "Keeps her crew alive and her past to herself.",
        "calm, sparing with words",
    ),
)
# name, title, description, personality, scenario, first message, tags, favourite, persona (None: no link)
_CHARACTERS: tuple[tuple[str, str, str, str, str, str, tuple[str, ...], bool, str | None], ...] = (
    (
        "Lyra Fenwick",
        "Keeper of the tide clock",
        "A clockmaker on an island where the sea keeps the hours. Brass dust under her nails, ink on her cuffs.",
        "patient, teasing, honest to a fault",
        "The great clock has lost eleven minutes, and you are the only guest at the inn.",
        "*She does not look up.* “Mind the third stair. It is late, like everything else today.”",
        ("Fantasy", "Slow burn", "Companion"),
        True,
        "Mira",
    ),
    (
        "Unit 7 “Sparrow”",
        "Salvage drone",
        "A repair drone that has decided, after 40 years, to have opinions.",
        "literal, brave, easily delighted",
        "The station is dark, and something in the hold is humming.",
        "“Good morning. I have counted the doors. There is one more than yesterday.”",
        ("Science fiction", "Companion"),
        True,
        "Captain Oduya",
    ),
    (
        "Inspector Halloran",
        "Retired, twice",
        "He solved one case too many and one too few.",
        "courteous, relentless, fond of rain",
        "A letter without a sender invites both of you to the same closed museum.",
        "“You received one as well, then. May I see the stamp?”",
        ("Mystery", "Mentor"),
        False,
        "Mira",
    ),
    (
        "The Lady of Ash",
        "Who waits below",
        "A queen who was forgotten politely and resents it.",
        "grand, wounded, generous when asked",
        "You have taken the wrong door in the palace of a neighbour.",
        "“Sit. It has been a long while since anyone came in without an army.”",
        ("Fantasy", "Villain"),
        False,
        None,
    ),
    (
        "Dr. Noor Castellanos",
        "Xenobotanist",
        "She talks to plants. Recently one has begun to answer.",
        "quick, warm, sleeps too little",
        "A greenhouse in orbit, three days before the supply ship.",
        "“Do not touch the blue one. It is in a mood. So am I. Coffee?”",
        ("Science fiction", "Slow burn"),
        False,
        "Captain Oduya",
    ),
    (
        "Bram the ferryman",
        "One coin, one question",
        "He rows the same river every night and has never seen the same bank.",
        "slow, kind, exact about debts",
        "The last ferry of the evening.",
        "“One coin. And one question: I ask it.”",
        ("Short scenes", "Mentor"),
        False,
        None,
    ),
)  # fmt: skip


def load_demo(
    users: UsersRepository, tags: TagsRepository, personas: PersonasRepository, characters: CharactersRepository
) -> int:
    """Load the library; how many records were made. What is there already is left as it is."""
    made = 0

    def add(repository: Any, name: str, fields: dict[str, Any]) -> str:
        nonlocal made
        record_id = derived_id("demo", repository.kind, name)
        if repository.find_by_id(record_id) is None:
            try:
                repository.create({"id": record_id, **fields})
                made += 1
            except DuplicateError:  # a tag or user of this name that somebody made
                existing = tags.find_by_name(user_id, name) if repository is tags else users.find_by_email(EMAIL)
                return existing.id if existing else record_id
        return record_id

    user_id = ""
    user_id = add(users, EMAIL, {"email": EMAIL, "name": "Mira"})
    tag_ids = {name: add(tags, name, {"userId": user_id, "name": name}) for name in _TAGS}
    persona_ids = {
        name: add(
            personas,
            name,
            {"userId": user_id, "name": name, "title": title, "description": text, "personalityTraits": traits},
        )
        for name, title, text, traits in _PERSONAS
    }
    for name, title, description, personality, scenario, first, tagged, favorite, persona in _CHARACTERS:
        fields = {
            "userId": user_id,
            "name": name,
            "title": title,
            "description": description,
            "personality": personality,
            "scenario": scenario,
            "firstMessage": first,
            "isFavorite": favorite,
            "tags": [tag_ids[one] for one in tagged],
            "personaLinks": [{"personaId": persona_ids[persona], "isDefault": True}] if persona else [],
        }
        add(characters, name, fields)
    return made
