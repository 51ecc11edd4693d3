"""What can be asked of a store: operations of every noun with values that have gone wrong before, also some that have
to be refused.

Everything is drawn in few small pieces, so that an example can have hundreds of steps.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from store import Store
from store.enums import ENUMS
from store.repositories.contract import Query
from tests.crash.machine_stores import Operation
from tests.crash.machine_values import (
    DELETED,
    FIELDS,
    FREE,
    INTEGERS,
    KINDS,
    MOMENTS,
    NEEDED,
    NEW_IDS,
    NO_IDS,
    PATHS,
    PLAIN,
    REPOSITORIES,
    SUBJECTS,
    TAGGED,
    TEXTS,
    THEMES,
)


class Chance:
    """Draws numbers. Each is moved by one that follows from the step's own number: Hypothesis likes to draw zeros, and
    the same step again and again tells nothing."""

    def __init__(self, drawn: random.Random, number: int) -> None:
        self._drawn, self._own = drawn, random.Random(number)

    def below(self, limit: int) -> int:
        return (self._drawn.randrange(limit) + self._own.randrange(limit)) % limit

    def pick(self, some: Sequence[Any]) -> Any:
        return some[self.below(len(some))]


@dataclass
class Steps:
    """Draws operations for a store in which these records are. ``there``: kind -> ids, with ``message``."""

    chance: Chance
    there: dict[str, list[str]]
    store: Store  # to know a record's version by

    def pick(self, some: Sequence[Any]) -> Any:
        return self.chance.pick(some)

    def sometimes(self, often: int) -> bool:
        """Once in so many times."""
        return self.chance.below(often) == 1

    def one(self, kind: str) -> Any:
        """An id of the kind, mostly of one that is there."""
        ids = self.there[kind]
        number = self.chance.below(64)
        return self.pick(NO_IDS) if number == 63 or not ids else ids[number % len(ids)]

    def several(self, kind: str, at_most: int = 3) -> list[Any]:
        return [self.one(kind) for _ in range(self.chance.below(at_most + 1))]

    # ------------------------------------------------------------------ fields
    def value(self, sort: str) -> Any:
        if sort.endswith("?"):
            return None if self.sometimes(4) else self.value(sort[:-1])
        if sort in ENUMS:
            return self.pick((*ENUMS[sort], "UNKNOWN") if self.sometimes(8) else ENUMS[sort])
        lists = {"text": TEXTS, "moment": MOMENTS, "int": INTEGERS, "flag": (False, True), "free": FREE}
        lists |= {
            "path": PATHS,
            "subject": SUBJECTS,
            "source": ("upload", "import", "generated", "", "elsewhere"),
        }
        if sort in lists:
            return self.pick(lists[sort])
        if sort == "tags":
            return self.several("tag")
        if sort == "attachments":
            return self.several("attachment", 2)
        if sort == "personaLinks":
            return [{"personaId": one, "isDefault": self.value("flag")} for one in self.several("persona", 2)]
        if sort == "imageTags":
            number = self.chance.below(3)
            return [{"tagType": self.value("ImageTagType"), "tagId": self.pick(THEMES)} for _ in range(number)]
        return self.one(sort)

    def some_fields(self, kind: str, at_least: int) -> dict[str, Any]:
        fields = FIELDS[kind]
        names = [self.pick((*fields,)) for _ in range(at_least + self.chance.below(3))]
        return {name: self.value(fields[name]) for name in dict.fromkeys(names)}

    def new_fields(self, kind: str) -> dict[str, Any]:
        """For a new record; mostly it can be made."""
        fields = {**PLAIN.get(kind, {}), **{name: self.value(FIELDS[kind][name]) for name in NEEDED[kind]}}
        fields |= self.some_fields(kind, 0)
        if not self.sometimes(8):
            fields[{"token": "token"}.get(kind, "id")] = self.pick(NEW_IDS)
        if kind == "token":
            fields.setdefault("token", self.value("text"))
        return fields

    # ------------------------------------------------------------------ operations
    def create(self) -> Operation:
        kind = self.pick(KINDS)
        return Operation(f"{REPOSITORIES[kind]}.create", (self.new_fields(kind),))

    def update(self) -> Operation:
        kind = self.pick(KINDS)
        record_id, fields = self.one(kind), self.some_fields(kind, 1)
        if self.sometimes(16):
            fields["noSuchField"] = 1
        options: dict[str, Any] = {}
        if self.sometimes(4):
            there = self.store.repositories[kind].find_by_id(record_id)
            right = there is not None and not self.sometimes(4)
            options["expected"] = self.store.repositories[kind].version(there) if right else "an older version"
        return Operation(f"{REPOSITORIES[kind]}.update", (record_id, fields), options)

    def delete(self) -> Operation:
        kind = self.pick(DELETED)
        if self.sometimes(6):
            return Operation(f"{REPOSITORIES[kind]}.delete_many", (self.several(kind),))
        return Operation(f"{REPOSITORIES[kind]}.delete", (self.one(kind),))

    def tag(self) -> Operation:
        if self.sometimes(5):
            name, options = self.pick((("add_tag", {"tag_type": self.value("ImageTagType")}), ("remove_tag", {})))
            return Operation(f"images.{name}", (self.one("image"), self.pick(THEMES)), options)
        kind = self.pick(TAGGED)
        name = self.pick(("add_tag", "add_tag", "remove_tag", "add_tag_to_many", "remove_tag_from_many"))
        whose = self.several(kind) if name.endswith("many") else self.one(kind)
        return Operation(f"{REPOSITORIES[kind]}.{name}", (whose, self.one("tag")))

    def link(self) -> Operation:
        """What hangs between characters, personas, chats and images."""
        character, persona, flag = self.one("character"), self.one("persona"), self.value("flag")
        name, *arguments = self.pick(
            (
                ("characters.add_persona", character, persona, flag),
                ("characters.remove_persona", character, persona),
                ("personas.add_character_link", persona, character),
                ("personas.remove_character_link", persona, character),
                ("characters.set_favorite", character, flag),
                ("characters.set_favorite_of_many", [character, *self.several("character", 2)], flag),
                ("chats.set_avatar_override", self.one("chat"), character, self.one("image")),
                ("chats.set_avatar_override", self.one("chat"), character, self.one("image")),
                ("chats.remove_avatar_override", self.one("chat"), character),
            )
        )
        return Operation(name, tuple(arguments))

    def other(self) -> Operation:
        """What only one noun can do."""
        what: Callable[[], tuple[Any, ...]] = self.pick(
            (
                lambda: ("users.update_chat_settings", self.one("user"), self._settings()),
                lambda: ("tags.find_or_create", self.one("user"), self.pick(SUBJECTS)),
                lambda: ("keys.record_usage", self.one("key")),
                lambda: ("profiles.set_default", self.one("profile")),
                lambda: ("profiles.unset_all_defaults", self.one("user")),
                lambda: ("image_profiles.set_default", self.one("image_profile")),
                lambda: ("image_profiles.unset_all_defaults", self.one("user")),
                lambda: ("images.delete_by_sha256", self._hash()),
                lambda: ("attachments.attach", self.one("message"), self.several("attachment")),
            )
        )
        name, *arguments = what()
        return Operation(name, tuple(arguments))

    def _settings(self) -> dict[str, Any]:
        return {"avatarDisplayMode": self.value("AvatarDisplayMode"), "avatarDisplayStyle": self.value("text")}

    def _hash(self) -> str:
        found = [one.sha256 for one in self.store.images.find_all()]
        return self.pick(found) if found else "0" * 64

    def message(self) -> Operation:
        name = self.pick(
            ("add_message", "add_message", "add_messages", "update_message", "delete_message", "add_swipe")
        )
        if name == "add_message":
            arguments: tuple[Any, ...] = (self.one("chat"), self.new_fields("message"))
        elif name == "add_messages":
            number = self.chance.below(4)
            arguments = (self.one("chat"), [self.new_fields("message") for _ in range(number)])
        elif name == "update_message":
            arguments = (self.one("message"), self.some_fields("message", 1))
        elif name == "add_swipe":
            arguments = (self.one("message"), {"id": self.pick(NEW_IDS), "content": self.value("text")})
        elif self.sometimes(6):
            name, arguments = "clear_messages", (self.one("chat"),)
        else:
            arguments = (self.one("message"),)
        return Operation(f"chats.{name}", arguments)

    WRITES = (create, create, update, update, delete, tag, link, other, message, message)

    def write(self) -> Operation:
        operation: Operation = self.pick(self.WRITES)(self)
        return operation

    def question(self) -> Operation:
        """Something that is only read."""
        kind = self.pick(KINDS)
        repository = self.store.repositories[kind]
        where = REPOSITORIES[kind]
        query = Query(
            search=self.pick(("", "", "a", "É", "%", "_", "n")),
            sort=self.pick(tuple(repository.sortable)),
            descending=self.value("flag"),
            page_size=self.pick((50, 2)),
            page=self.pick((0, 0, 1)),
        )
        what: Callable[[], tuple[Any, ...]] = self.pick(
            (
                lambda: (f"{where}.list", query),
                lambda: (f"{where}.count", query),
                lambda: (f"{where}.find_by_id", self.one(kind)),
                lambda: (f"{where}.find_by_user_id", self.one("user")),
                lambda: (f"{REPOSITORIES[self.pick(TAGGED)]}.find_by_tag", self.one("tag")),
                lambda: ("tags.usage", self.several("tag")),
                lambda: ("images.used_by", self.one("image")),
                lambda: ("keys.used_by", self.one("key")),
                lambda: ("chats.messages_page", self.one("chat")),
                lambda: ("chats.find_message", self.one("message")),
                lambda: ("chats.avatar_overrides", self.one("chat")),
                lambda: ("users.get_current_user",),
                lambda: ("profiles.find_default", self.one("user")),
                lambda: ("images.find_by_sha256", self._hash()),
            )
        )
        name, *arguments = what()
        return Operation(name, tuple(arguments))
