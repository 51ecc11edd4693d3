"""No method of a repository writes past the audit."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from store import Store
from store.audit import Question
from tests.crash.world import ADA as USER
from tests.crash.world import (
    CHAT,
    CLOAK,
    ELF,
    FILE,
    FIRST,
    HERO,
    KEY,
    KING,
    MASK,
    OTHER_PROFILE,
    PICTURE,
    PROFILE,
    SECOND,
    SQUIRE,
    populate,
)
from tests.factories import open_test_store

SAID = {"role": "USER", "content": "x"}
CIPHER = {"keyEncrypted": "00", "keyIv": "11", "keyAuthTag": "22"}
# Every public method that writes, of every repository, called so that it changes something.
WRITES: dict[str, Callable[[Store], Any]] = {
    "create": lambda store: store.tags.create({"userId": USER, "name": "New"}),
    "update": lambda store: store.tags.update(ELF, {"name": "Dwarf"}),
    "delete": lambda store: store.tags.delete(ELF),
    "delete_many": lambda store: store.tags.delete_many([ELF, KING]),
    "find_or_create": lambda store: store.tags.find_or_create(USER, "Brand new"),
    "add_tag": lambda store: store.characters.add_tag(SQUIRE, KING),
    "remove_tag": lambda store: store.characters.remove_tag(HERO, KING),
    "add_tag_to_many": lambda store: store.characters.add_tag_to_many([SQUIRE], KING),
    "remove_tag_from_many": lambda store: store.characters.remove_tag_from_many([HERO], KING),
    "add_persona": lambda store: store.characters.add_persona(HERO, CLOAK),
    "remove_persona": lambda store: store.characters.remove_persona(HERO, MASK),
    "set_favorite": lambda store: store.characters.set_favorite(HERO, True),
    "set_favorite_of_many": lambda store: store.characters.set_favorite_of_many([HERO], True),
    "add_character_link": lambda store: store.personas.add_character_link(CLOAK, HERO),
    "remove_character_link": lambda store: store.personas.remove_character_link(MASK, HERO),
    "update_chat_settings": lambda store: store.users.update_chat_settings(USER, {"avatarDisplayMode": "NEVER"}),
    "record_usage": lambda store: store.keys.record_usage(KEY),
    "set_default": lambda store: store.profiles.set_default(OTHER_PROFILE),
    "update_many": lambda store: store.profiles.update_many([PROFILE], {"modelName": "another"}),
    "unset_all_defaults": lambda store: store.profiles.unset_all_defaults(USER),
    "create_api_key": lambda store: store.profiles.create_api_key(
        {"userId": USER, "label": "k", "provider": "OPENAI", **CIPHER}
    ),
    "update_api_key": lambda store: store.profiles.update_api_key(KEY, {"label": "Other"}),
    "delete_api_key": lambda store: store.profiles.delete_api_key(KEY),
    "record_api_key_usage": lambda store: store.profiles.record_api_key_usage(KEY),
    "delete_by_sha256": lambda store: store.images.delete_by_sha256(_with_bytes(store)),
    "attach": lambda store: store.attachments.attach(SECOND, [FILE]),
    "add_message": lambda store: store.chats.add_message(CHAT, SAID),
    "add_messages": lambda store: store.chats.add_messages(CHAT, [SAID, SAID]),
    "update_message": lambda store: store.chats.update_message(FIRST, {"content": "y"}),
    "delete_message": lambda store: store.chats.delete_message(FIRST),
    "clear_messages": lambda store: store.chats.clear_messages(CHAT),
    "add_swipe": lambda store: store.chats.add_swipe(FIRST, {"content": "z"}),
    "set_avatar_override": lambda store: store.chats.set_avatar_override(CHAT, SQUIRE, PICTURE),
    "remove_avatar_override": lambda store: store.chats.remove_avatar_override(CHAT, HERO),
}
READING = (
    "find_by_",
    "find_all",
    "find_api",
    "find_default",
    "find_message",
    "list",
    "count",
    "matching_ids",
    "version",
    "values",
    "get_",
    "usage",
    "used_by",
    "active",
    "paths",
)
READING += ("messages_page", "message_", "swipes", "avatar_overrides")


def _with_bytes(store: Store) -> str:
    store.public.save("uploads/p.png", b"bytes")
    found = store.images.find_by_id(PICTURE)
    assert found is not None
    return found.sha256


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_test_store(tmp_path_factory.mktemp("audit"), backend="sql")
    yield opened
    opened.close()


@pytest.fixture
def furnished(store: Store) -> Store:
    store.users.delete_many([user.id for user in store.users.find_all()])
    populate(store)
    return store


@pytest.mark.parametrize("name", WRITES)
def test_a_write_leaves_an_entry(furnished: Store, name: str) -> None:
    before = furnished.audit.newest(Question())[0].id
    WRITES[name](furnished)
    assert furnished.audit.newest(Question())[0].id > before


def test_every_method_that_writes_is_among_them(store: Store) -> None:
    methods = {
        name
        for repository in store.repositories.values()
        for name in dir(repository)
        if not name.startswith("_") and callable(getattr(repository, name))
    }
    assert {name for name in methods if not name.startswith(READING)} == WRITES.keys()
