"""A small library to look around in: the same records, with the same ids, wherever it is loaded."""

from typing import Any, Protocol

from store.documents.base import derived_id
from store.errors import DuplicateError
from store.repositories.contract import (
    CharactersRepository,
    ChatsRepository,
    ConnectionProfilesRepository,
    ImageProfilesRepository,
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


# title, character, persona, what was said: (role, text); a list of texts is one message with its swipes
_CHATS: tuple[tuple[str, str, str, tuple[tuple[str, str | tuple[str, ...]], ...]], ...] = (
    (
        "Eleven minutes",
        "Lyra Fenwick",
        "Mira",
        (
            ("ASSISTANT", "*She does not look up.* “Mind the third stair. It is late, like everything else today.”"),
            ("USER", "“Late by how much?”"),
            (
                "ASSISTANT",
                (
                    "“Eleven minutes. I have looked everywhere a minute could be.”",
                    "*She holds up a spring no longer than an eyelash.* “Eleven. Ask the sea where they went.”",
                ),
            ),
            ("USER", "I put my map case on the workbench. “Then let us draw where they were last seen.”"),
        ),
    ),
    (
        "One door more than yesterday",
        "Unit 7 “Sparrow”",
        "Captain Oduya",
        (
            ("ASSISTANT", "“Good morning. I have counted the doors. There is one more than yesterday.”"),
            ("USER", "“Show me.”"),
        ),
    ),
)
_DAY = "2025-11-20T19:{:02d}:00.000Z"


class Library(Protocol):
    """What the library is loaded into."""

    users: UsersRepository
    tags: TagsRepository
    personas: PersonasRepository
    characters: CharactersRepository
    profiles: ConnectionProfilesRepository
    image_profiles: ImageProfilesRepository
    chats: ChatsRepository


def load_demo(library: Library) -> int:
    """Load the library; how many records were made. What is there already is left as it is."""
    return _Loading(library).load()


class _Loading:
    """One run; ``made`` counts."""

    def __init__(self, library: Any) -> None:
        self._library, self._made, self._user_id = library, 0, ""

    def load(self) -> int:
        self._user_id = self._add(self._library.users, EMAIL, {"email": EMAIL, "name": "Mira"})
        mine = {"userId": self._user_id}
        tag_ids = {name: self._add(self._library.tags, name, {**mine, "name": name}) for name in _TAGS}
        persona_ids = {
            name: self._add(
                self._library.personas,
                name,
                {**mine, "name": name, "title": title, "description": text, "personalityTraits": traits},
            )
            for name, title, text, traits in _PERSONAS
        }
        character_ids = self._characters(tag_ids, persona_ids)
        local = {**mine, "provider": "OLLAMA", "baseUrl": "http://localhost:11434", "modelName": "llama3.2"}
        profile_id = self._add(
            self._library.profiles,
            "Local model",
            {**local, "name": "Local model", "parameters": {"temperature": 0.8}, "isDefault": True},
        )
        painter = {**mine, "provider": "OPENAI", "modelName": "gpt-image-1", "parameters": {}, "isDefault": True}
        image_profile_id = self._add(self._library.image_profiles, "Painter", {**painter, "name": "Painter"})
        for title, character, persona, said in _CHATS:
            fields = {
                **mine,
                "title": title,
                "characterId": character_ids[character],
                "personaId": persona_ids[persona],
                "connectionProfileId": profile_id,
                "imageProfileId": image_profile_id,
                "tags": [tag_ids["Short scenes"]],
            }
            self._chat(title, fields, said)
        return self._made

    def _characters(self, tag_ids: dict[str, str], persona_ids: dict[str, str]) -> dict[str, str]:
        ids = {}
        for name, title, description, personality, scenario, first, tagged, favorite, persona in _CHARACTERS:
            fields = {
                "userId": self._user_id,
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
            ids[name] = self._add(self._library.characters, name, fields)
        return ids

    def _chat(self, title: str, fields: dict[str, Any], said: Any) -> None:
        before = self._made
        chat_id = self._add(self._library.chats, title, fields)
        if self._made == before:
            return
        messages = []
        for number, (role, texts) in enumerate(said):
            swipes = (texts,) if isinstance(texts, str) else texts
            group = f"swipe-{derived_id('demo', 'message', title, str(number))}" if len(swipes) > 1 else None
            for index, text in enumerate(swipes):
                place = {"swipeGroupId": group, "swipeIndex": index if group else None}
                message_id = derived_id("demo", "message", title, str(number), str(index))
                made = {"id": message_id, "role": role, "content": text, "createdAt": _DAY.format(number)}
                messages.append({**made, **place})
        self._library.chats.add_messages(chat_id, messages)
        self._made += len(messages)

    def _add(self, repository: Any, name: str, fields: dict[str, Any]) -> str:
        record_id = derived_id("demo", repository.kind, name)
        if repository.find_by_id(record_id) is not None:
            return record_id
        try:
            repository.create({"id": record_id, **fields})
            self._made += 1
        except DuplicateError:  # a tag, profile or user of this name that somebody made
            users = self._library.users
            existing = (
                users.find_by_email(EMAIL) if repository is users else repository.find_by_name(self._user_id, name)
            )
            return existing.id if existing else record_id
        return record_id
