"""What every backend promises about links: tags, personas and favourites, one by one and many at once."""

import pytest

from store import Store
from store.errors import MissingReferenceError, NotFoundError
from tests.factories import make_character, make_persona, make_tag
from tests.store.repositories.making import TAGGED, make


@pytest.mark.parametrize("kind", TAGGED)
def test_a_tag_is_tied_once_and_untied(store: Store, kind: str) -> None:
    record, tag, repository = make(kind, store), make_tag(store), store.repositories[kind]
    tied = repository.add_tag(record.id, tag.id).value
    assert tied.tags == (tag.id,)
    assert tied.extras.tagLinks[0].tagId == tag.id
    assert repository.add_tag(record.id, tag.id).value == tied
    assert list(repository.find_by_tag(tag.id)) == [tied]
    assert repository.remove_tag(record.id, tag.id).value.tags == ()
    assert repository.remove_tag(record.id, tag.id).value == repository.find_by_id(record.id)
    assert list(repository.find_by_tag(tag.id)) == []


@pytest.mark.parametrize("kind", TAGGED)
def test_a_tag_and_a_record_that_do_not_exist_cannot_be_tied(store: Store, kind: str) -> None:
    record, tag, repository = make(kind, store), make_tag(store), store.repositories[kind]
    with pytest.raises(MissingReferenceError, match="no such tag") as missing:
        repository.add_tag(record.id, "no tag")
    with pytest.raises(NotFoundError, match="nobody") as gone:
        repository.add_tag("nobody", tag.id)
    with pytest.raises(NotFoundError, match="nobody"):
        repository.remove_tag("nobody", tag.id)
    assert missing.value.hint
    assert gone.value.hint
    assert repository.find_by_id(record.id) == record


@pytest.mark.parametrize("kind", TAGGED)
def test_many_are_tagged_as_one_unit(store: Store, kind: str) -> None:
    repository, tag = store.repositories[kind], make_tag(store)
    ids = [make(kind, store, f"N{number}").id for number in range(3)]
    repository.add_tag(ids[0], tag.id)
    assert repository.add_tag_to_many([*ids, ids[0]], tag.id).value == 2
    assert {one.id for one in repository.find_by_tag(tag.id)} == set(ids)
    assert repository.remove_tag_from_many([*ids[:2], "nobody"], tag.id).value == 2
    with pytest.raises(NotFoundError, match="nobody"):
        repository.add_tag_to_many([ids[0], "nobody"], tag.id)
    assert [one.id for one in repository.find_by_tag(tag.id)] == [ids[2]]


@pytest.mark.parametrize("kind", TAGGED)
def test_tags_set_as_a_field_keep_the_links_that_stay(store: Store, kind: str) -> None:
    elf, orc, fox = (make_tag(store, name=name) for name in ("Elf", "Orc", "Fox"))
    made = make(kind, store, tags=[elf.id, orc.id, elf.id])
    assert sorted(made.tags) == sorted([elf.id, orc.id])
    stays = next(link for link in made.extras.tagLinks if link.tagId == orc.id)
    changed = store.repositories[kind].update(made.id, {"tags": [orc.id, fox.id]}).value
    assert sorted(changed.tags) == sorted([orc.id, fox.id])
    assert stays in changed.extras.tagLinks
    assert store.repositories[kind].update(made.id, {"tags": []}).value.extras is None


@pytest.mark.parametrize("kind", TAGGED)
def test_a_record_with_a_tag_that_does_not_exist_is_not_made(store: Store, kind: str) -> None:
    with pytest.raises(MissingReferenceError):
        make(kind, store, tags=["no tag"])
    assert list(store.repositories[kind].find_all()) == []


def test_a_persona_is_linked_from_both_ends(store: Store) -> None:
    character, persona = make_character(store), make_persona(store)
    linked = store.characters.add_persona(character.id, persona.id).value
    assert [(link.personaId, link.isDefault) for link in linked.personaLinks] == [(persona.id, False)]
    assert store.personas.find_by_id(persona.id).characterLinks == (character.id,)
    assert store.characters.remove_persona(character.id, persona.id).value.personaLinks == ()
    assert store.characters.remove_persona(character.id, persona.id).value.personaLinks == ()
    assert store.personas.find_by_id(persona.id).characterLinks == ()


def test_a_character_is_linked_from_the_persona(store: Store) -> None:
    character, persona = make_character(store), make_persona(store)
    assert store.personas.add_character_link(persona.id, character.id).value.characterLinks == (character.id,)
    assert store.personas.add_character_link(persona.id, character.id).value.characterLinks == (character.id,)
    link = store.characters.find_by_id(character.id).personaLinks[0]
    assert (link.personaId, link.isDefault) == (persona.id, False)
    assert store.personas.remove_character_link(persona.id, character.id).value.characterLinks == ()
    assert store.personas.remove_character_link(persona.id, character.id).value.characterLinks == ()
    assert store.characters.find_by_id(character.id).personaLinks == ()


def test_linking_a_character_again_does_not_take_its_default_away(store: Store) -> None:
    character, persona = make_character(store), make_persona(store)
    store.characters.add_persona(character.id, persona.id, is_default=True)
    store.personas.add_character_link(persona.id, character.id)
    assert store.characters.find_by_id(character.id).personaLinks[0].isDefault is True


def test_a_new_default_persona_takes_the_place_of_the_old_one(store: Store) -> None:
    character = make_character(store)
    first, second = make_persona(store, name="One"), make_persona(store, name="Two")
    store.characters.add_persona(character.id, first.id, True)
    linked = store.characters.add_persona(character.id, second.id, True).value
    assert {link.personaId: link.isDefault for link in linked.personaLinks} == {first.id: False, second.id: True}
    assert [link.personaId for link in linked.personaLinks] == sorted([first.id, second.id])
    linked = store.characters.add_persona(character.id, second.id).value
    assert {link.isDefault for link in linked.personaLinks} == {False}


def test_links_to_nobody_are_refused(store: Store) -> None:
    character, persona = make_character(store), make_persona(store)
    with pytest.raises(MissingReferenceError):
        store.characters.add_persona(character.id, "nobody")
    with pytest.raises(NotFoundError):
        store.characters.add_persona("nobody", persona.id)
    with pytest.raises(MissingReferenceError):
        store.personas.add_character_link(persona.id, "nobody")
    with pytest.raises(NotFoundError):
        store.personas.remove_character_link("nobody", character.id)
    with pytest.raises(NotFoundError):
        store.characters.remove_persona("nobody", persona.id)
    with pytest.raises(MissingReferenceError):
        store.characters.update(character.id, {"defaultImageId": "no image"})
    assert store.characters.find_by_id(character.id) == character


def test_persona_links_can_be_set_as_a_field(store: Store) -> None:
    first, second = make_persona(store, name="One"), make_persona(store, name="Two")
    made = make_character(store, personaLinks=[{"personaId": first.id, "isDefault": True}])
    assert [(link.personaId, link.isDefault) for link in made.personaLinks] == [(first.id, True)]
    changed = store.characters.update(made.id, {"personaLinks": [{"personaId": second.id}]}).value
    assert [(link.personaId, link.isDefault) for link in changed.personaLinks] == [(second.id, False)]
    assert store.personas.find_by_id(first.id).characterLinks == ()
    assert store.personas.find_by_id(second.id).characterLinks == (made.id,)


def test_favourites_one_by_one_and_many_at_once(store: Store) -> None:
    first, second, third = (make_character(store, name=name).id for name in "ABC")
    assert store.characters.set_favorite(first, True).value.isFavorite is True
    assert store.characters.set_favorite_of_many([first, second, "nobody"], True).value == 1
    assert [store.characters.find_by_id(one).isFavorite for one in (first, second, third)] == [True, True, False]
    assert store.characters.set_favorite(first, False).value.isFavorite is False
    with pytest.raises(NotFoundError):
        store.characters.set_favorite("nobody", True)
    with pytest.raises(NotFoundError):
        store.characters.set_favorite("nobody", False)


@pytest.mark.parametrize("kind", TAGGED)
def test_a_changed_link_changes_the_version(store: Store, kind: str) -> None:
    record, tag, repository = make(kind, store), make_tag(store), store.repositories[kind]
    seen = repository.version(record)
    assert repository.version(repository.add_tag(record.id, tag.id).value) != seen
