"""Deletes follow SQL's rules on every backend, also where there are only files."""

import pytest

from store import Store
from tests.factories import make_character, make_persona, make_tag, make_user

MAKE = {"user": make_user, "tag": make_tag, "persona": make_persona, "character": make_character}


@pytest.mark.parametrize("kind", sorted(MAKE))
def test_what_is_deleted_is_gone_and_what_was_not_there_is_false(store: Store, kind: str) -> None:
    made, repository = MAKE[kind](store), store.repositories[kind]
    kept = MAKE[kind](store, name="Kept")
    assert repository.delete(made.id).value is True
    assert repository.find_by_id(made.id) is None
    assert repository.delete(made.id).value is False
    assert repository.delete("nobody").value is False
    assert list(repository.find_all()) == [kept]


@pytest.mark.parametrize("kind", sorted(MAKE))
def test_several_are_deleted_as_one_unit(store: Store, kind: str) -> None:
    ids = [MAKE[kind](store, name=f"N{number}").id for number in range(4)]
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
    before = {kind: list(store.repositories[kind].find_by_user_id(bob.id)) for kind in MAKE}
    assert store.users.delete(ada.id).value is True
    assert {kind: list(store.repositories[kind].find_all()) for kind in MAKE} == before
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
