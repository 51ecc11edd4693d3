"""Deletes follow SQL's rules on every backend, also where there are only files."""

from typing import Any

import pytest

from store import Store
from store.errors import StillInUseError
from tests.factories import (
    make_account,
    make_character,
    make_chat,
    make_image,
    make_image_profile,
    make_key,
    make_message,
    make_persona,
    make_profile,
    make_session,
    make_tag,
    make_user,
)
from tests.store.repositories.making import KINDS, TAGGED, make, make_attachment


def everything_of(store: Store, user_id: str) -> dict[str, str]:
    """One record of every kind, all linked; kind -> id."""
    tag, key, image = (one(store, userId=user_id).id for one in (make_tag, make_key, make_image))
    owned = {"userId": user_id, "tags": [tag]}
    profile, image_profile = (one(store, **owned, apiKeyId=key).id for one in (make_profile, make_image_profile))
    persona = make_persona(store, **owned, defaultImageId=image).id
    character = make_character(store, **owned, defaultImageId=image, personaLinks=[{"personaId": persona}]).id
    links = {"characterId": character, "personaId": persona, "connectionProfileId": profile}
    chat = make_chat(store, **owned, **links, imageProfileId=image_profile)
    attachment = make_attachment(store, chatId=chat.id).id
    make_message(store, chat, "Hello.", attachments=[attachment])
    store.chats.set_avatar_override(chat.id, character, image)
    store.images.add_tag(image, character, "CHARACTER")
    store.users.update_chat_settings(user_id, {"avatarDisplayMode": "NEVER"})
    return {
        "user": user_id,
        "account": make_account(store, userId=user_id).id,
        "session": make_session(store, userId=user_id).id,
        "tag": tag,
        "key": key,
        "profile": profile,
        "image_profile": image_profile,
        "image": image,
        "persona": persona,
        "character": character,
        "chat": chat.id,
        "attachment": attachment,
    }


def state(store: Store) -> dict[str, dict[str, Any]]:
    """Kind -> id -> record; and the messages of each chat."""
    found = {kind: {one.id: one for one in repository.find_all()} for kind, repository in store.repositories.items()}
    return {**found, "message": {chat_id: list(store.chats.get_messages(chat_id)) for chat_id in found["chat"]}}


# The description's table. Deleting -> the kinds that go with it.
GOES = {
    "user": "account session tag key profile image_profile image persona character chat attachment",
    "account": "",
    "session": "",
    "tag": "",
    "key": "",
    "image_profile": "",
    "image": "",
    "persona": "",
    "character": "chat attachment",
    "chat": "attachment",
    "attachment": "",
}
# Deleting -> the kinds whose records lose a link, and which field says so.
LOSES = {
    "tag": dict.fromkeys(TAGGED, "tags"),
    "key": {"profile": "apiKeyId", "image_profile": "apiKeyId"},
    "image_profile": {"chat": "imageProfileId"},
    "image": {"character": "defaultImageId", "persona": "defaultImageId"},
    "persona": {"character": "personaLinks", "chat": "personaId"},
    "character": {"persona": "characterLinks"},
    "chat": {"character": "avatarOverrides"},
}


@pytest.mark.parametrize("kind", GOES)
def test_a_delete_takes_along_and_empties_what_the_table_says_and_nothing_else(store: Store, kind: str) -> None:
    ids = everything_of(store, make_user(store, name="Ada").id)
    others = everything_of(store, make_user(store, name="Bob").id)
    before = state(store)
    assert store.repositories[kind].delete(ids[kind]).value is True
    after = state(store)
    gone = {one for one, record_id in ids.items() if record_id not in after[one]}
    assert gone == {kind, *GOES[kind].split()}
    for other, record_id in others.items():
        assert after[other][record_id] == before[other][record_id]
    assert after["message"][others["chat"]] == before["message"][others["chat"]]
    changed = {one for one in ids.keys() - gone if after[one][ids[one]] != before[one][ids[one]]}
    assert changed == LOSES.get(kind, {}).keys() | ({"character"} if kind == "image" else set())
    for one, field in LOSES.get(kind, {}).items():
        assert getattr(after[one][ids[one]], field) in (None, ())


def test_a_profile_of_a_user_that_somebody_elses_chat_uses_keeps_the_user(store: Store) -> None:
    """With the own character the chat stands in the way; with the user's character it goes."""
    ada, bob = make_user(store, name="Ada"), make_user(store, name="Bob")
    profile = make_profile(store, userId=ada.id)
    chat = make_chat(store, userId=bob.id, connectionProfileId=profile.id)
    before = state(store)
    with pytest.raises(StillInUseError) as refused:
        store.users.delete(ada.id)
    assert refused.value.hint
    assert state(store) == before
    store.chats.update(chat.id, {"characterId": make_character(store, userId=ada.id).id})
    assert store.users.delete(ada.id).value is True
    assert list(store.chats.find_all()) == []
    assert store.users.find_by_id(bob.id) == bob


def test_users_whose_chats_use_each_others_profiles_go_together(store: Store) -> None:
    ada, bob = make_user(store, name="Ada"), make_user(store, name="Bob")
    for user, other in ((ada, bob), (bob, ada)):
        make_chat(store, userId=user.id, connectionProfileId=make_profile(store, userId=other.id).id)
    assert store.users.delete_many([ada.id, bob.id]).value == 2
    assert {kind: found for kind, found in state(store).items() if found} == {}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_deleted_is_gone_and_what_was_not_there_is_false(store: Store, kind: str) -> None:
    made, repository = make(kind, store), store.repositories[kind]
    kept = make(kind, store, "Kept")
    assert repository.delete(made.id).value is True
    assert repository.find_by_id(made.id) is None
    assert repository.delete(made.id).value is False
    assert repository.delete("nobody").value is False
    assert list(repository.find_all()) == [kept]


@pytest.mark.parametrize("kind", KINDS)
def test_several_are_deleted_as_one_unit(store: Store, kind: str) -> None:
    ids = [make(kind, store, f"N{number}").id for number in range(4)]
    assert store.repositories[kind].delete_many([*ids[:3], ids[0], "nobody"]).value == 3
    assert [one.id for one in store.repositories[kind].find_all()] == ids[3:]
    assert store.repositories[kind].delete_many([]).value == 0


def test_a_deleted_user_takes_everything_along_and_nothing_of_others(store: Store) -> None:
    ada, bob = make_user(store, name="Ada"), make_user(store, name="Bob")
    for user in (ada, bob):
        tag = make_tag(store, userId=user.id)
        persona = make_persona(store, userId=user.id, tags=[tag.id])
        make_character(store, userId=user.id, tags=[tag.id], personaLinks=[{"personaId": persona.id}])
    store.users.update_chat_settings(ada.id, {"avatarDisplayMode": "NEVER"})
    before = {kind: list(store.repositories[kind].find_by_user_id(bob.id)) for kind in KINDS}
    assert store.users.delete(ada.id).value is True
    assert {kind: list(store.repositories[kind].find_all()) for kind in KINDS} == before
    assert store.users.get_chat_settings(ada.id) is None


def test_a_deleted_tag_disappears_from_every_record(store: Store) -> None:
    elf, orc = make_tag(store, name="Elf"), make_tag(store, name="Orc")
    persona = make_persona(store, tags=[elf.id, orc.id])
    character = make_character(store, tags=[elf.id])
    store.tags.delete(elf.id)
    assert store.personas.find_by_id(persona.id).tags == (orc.id,)
    assert store.characters.find_by_id(character.id).tags == ()
    assert store.characters.find_by_id(character.id).extras is None


def test_a_deleted_persona_disappears_from_its_characters(store: Store) -> None:
    gone, kept = make_persona(store, name="Gone"), make_persona(store, name="Kept")
    character = make_character(store, personaLinks=[{"personaId": gone.id, "isDefault": True}, {"personaId": kept.id}])
    store.personas.delete(gone.id)
    assert [link.personaId for link in store.characters.find_by_id(character.id).personaLinks] == [kept.id]


def test_a_deleted_character_disappears_from_its_personas(store: Store) -> None:
    persona = make_persona(store)
    gone = make_character(store, personaLinks=[{"personaId": persona.id}])
    kept = make_character(store, name="Kept", personaLinks=[{"personaId": persona.id}])
    store.characters.delete(gone.id)
    assert store.personas.find_by_id(persona.id).characterLinks == (kept.id,)


def test_a_name_is_free_again_after_a_delete(store: Store) -> None:
    tag = make_tag(store, name="Elf")
    store.tags.delete(tag.id)
    assert make_tag(store, name="elf").id != tag.id


def test_hundreds_are_deleted_at_once(store: Store) -> None:
    """More than one statement's worth of ids."""
    owner = make_user(store)
    ids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(3)]
    for record_id in ids:
        make_tag(store, id=record_id, name=record_id, userId=owner.id)
    nobody = [f"nobody-{number}" for number in range(900)]
    assert store.tags.delete_many([*nobody, *ids]).value == 3
    assert list(store.tags.find_all()) == []
