"""A change is undone by a new one: on both sides, into the audit, and only where nobody changed it since."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from store import Store
from store.audit import Entry, Question
from store.errors import ConflictError, NotFoundError
from store.undoing import UndoPlan, can_be_undone, plan_undo, undo
from tests.factories import (
    assert_everything_is_equal,
    assert_quilltap_reads,
    make_character,
    make_chat,
    make_image,
    make_key,
    make_message,
    make_persona,
    make_profile,
    make_tag,
    make_user,
    open_test_store,
)


@pytest.fixture(params=["dual", "json"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened = open_test_store(tmp_path, backend=request.param)
    yield opened
    opened.catch_up()
    if request.param == "dual":
        assert_everything_is_equal(opened)
    assert_quilltap_reads(opened.settings.data_dir)
    opened.close()


def last(store: Store, **asked: Any) -> Entry:
    store.bring_audit_over()
    return store.audit.newest(Question(**asked))[0]


def undo_last(store: Store, choices: dict[str, str] | None = None, **asked: Any) -> UndoPlan:
    plan = plan_undo(store, last(store, **asked))
    undo(store, plan, choices or {})
    return plan


def test_fields_are_set_back_and_the_undo_is_undone_again(store: Store) -> None:
    hero = make_character(store, name="Alice", description="x" * 3000, sillyTavernData={"b": 1})
    store.characters.update(hero.id, {"name": "Bob", "description": "x" * 1500 + "y", "sillyTavernData": None})
    changed = last(store)
    undo_last(store)
    assert fields(store, hero.id) == ("Alice", "x" * 3000, {"b": 1})
    assert (last(store).action, last(store).undoes) == ("update", changed.id)
    assert store.audit.undone_by([changed.id]) == {changed.id: last(store).id}
    undo_last(store)
    assert fields(store, hero.id) == ("Bob", "x" * 1500 + "y", None)
    assert plan_undo(store, changed).fields.keys() == {"name", "description", "sillyTavernData"}


def fields(store: Store, record_id: str) -> tuple[Any, ...]:
    found = store.characters.find_by_id(record_id)
    assert found is not None
    return found.name, found.description, found.sillyTavernData


def test_a_field_that_was_changed_since_is_decided_by_a_person(store: Store) -> None:
    hero = make_character(store, name="Alice", description="old", scenario="s")
    store.characters.update(hero.id, {"name": "Bob", "description": "new"})
    changed = last(store)
    store.characters.update(hero.id, {"name": "Carol", "scenario": "other"})
    plan = plan_undo(store, changed)
    assert plan.fields == {"description": "old"}
    assert [(one.name, one.before, one.after, one.now) for one in plan.conflicts] == [("name", "Alice", "Bob", "Carol")]
    with pytest.raises(ConflictError, match="name"):
        undo(store, plan, {})
    assert fields(store, hero.id)[:2] == ("Carol", "new")
    undo(store, plan, {"name": "theirs"})
    assert fields(store, hero.id)[:2] == ("Carol", "old")
    undo(store, plan_undo(store, changed), {"name": "mine"})
    assert fields(store, hero.id)[:2] == ("Alice", "old")
    assert plan_undo(store, changed).is_nothing


def test_who_was_faster_is_not_written_over(store: Store) -> None:
    hero = make_character(store, name="Alice")
    store.characters.update(hero.id, {"name": "Bob"})
    plan = plan_undo(store, last(store))
    store.characters.update(hero.id, {"name": "Carol"})
    with pytest.raises(ConflictError):
        undo(store, plan, {})
    assert fields(store, hero.id)[0] == "Carol"


def test_tags_go_and_come_back_beside_others(store: Store) -> None:
    elf, king, gone = (make_tag(store, name) for name in ("Elf", "King", "Gone"))
    hero = make_character(store, tags=[elf.id, gone.id])
    store.characters.update(hero.id, {"tags": [king.id]})
    changed, other = last(store), make_tag(store, "Other")
    store.characters.add_tag(hero.id, other.id)
    store.tags.delete(gone.id)
    plan = plan_undo(store, changed)
    assert plan.left == ["1 of its former tags does not exist any more."]
    undo(store, plan, {})
    assert set(store.characters.find_by_id(hero.id).tags) == {elf.id, other.id}


def test_what_lies_in_other_tables_is_set_back_as_well(store: Store) -> None:
    hero, mask, picture = make_character(store), make_persona(store), make_image(store)
    chat = make_chat(store, characterId=hero.id)
    store.characters.add_persona(hero.id, mask.id, True)
    undo_last(store)
    assert store.characters.find_by_id(hero.id).personaLinks == ()
    store.images.add_tag(picture.id, "rain")
    undo_last(store)
    assert store.images.values(picture.id)["imageTags"] == []
    store.chats.set_avatar_override(chat.id, hero.id, picture.id)
    undo_last(store)
    assert store.chats.avatar_overrides(chat.id) == {}
    undo_last(store)
    assert store.chats.avatar_overrides(chat.id) == {hero.id: picture.id}
    store.users.update_chat_settings(hero.userId, {"avatarDisplayStyle": "SQUARE"})
    store.users.update_chat_settings(hero.userId, {"avatarDisplayStyle": "CIRCULAR"})
    undo_last(store)
    assert store.users.get_chat_settings(hero.userId).avatarDisplayStyle == "SQUARE"
    first, second = make_profile(store, "One", isDefault=True), make_profile(store, "Two", isDefault=True)
    undo_last(store, record_id=first.id)
    assert store.profiles.find_default(hero.userId).id == first.id
    assert store.profiles.find_by_id(second.id).isDefault is False


def test_messages_are_set_back_deleted_and_brought_back(store: Store) -> None:
    chat = make_chat(store)
    first, _ = make_message(store, chat, "one"), make_message(store, chat, "two")
    store.chats.update_message(first.id, {"content": "changed"})
    undo_last(store)
    assert [one.content for one in store.chats.get_messages(chat.id)] == ["one", "two"]
    store.chats.delete_message(first.id)
    undo_last(store)
    assert next(iter(store.chats.get_messages(chat.id))) == first
    undo_last(store)  # the undo of a delete is a new message, and its undo deletes it
    assert [one.content for one in store.chats.get_messages(chat.id)] == ["two"]


def test_a_record_that_was_deleted_comes_back_with_its_id_dates_and_links(store: Store) -> None:
    elf, mask, picture = make_tag(store), make_persona(store), make_image(store)
    hero = make_character(
        store,
        description="d",
        tags=[elf.id],
        personaLinks=[{"personaId": mask.id, "isDefault": True}],
        createdAt="2020-01-01T00:00:00.000Z",
        updatedAt="2021-01-01T00:00:00.000Z",
        defaultImageId=picture.id,
        sillyTavernData={"spec": "chara_card_v2"},
    )
    store.characters.delete(hero.id)
    assert store.characters.find_by_id(hero.id) is None
    undo_last(store)
    back = store.characters.find_by_id(hero.id)
    without = {"extras"}  # the rows that tie tags are new ones
    assert back.model_dump(exclude=without) == hero.model_dump(exclude=without)
    undo_last(store)
    assert store.characters.find_by_id(hero.id) is None


def test_who_named_a_deleted_record_names_it_again(store: Store) -> None:
    elf, mask = make_tag(store), make_persona(store)
    hero, other = make_character(store, tags=[elf.id]), make_character(store, tags=[elf.id])
    store.characters.add_persona(hero.id, mask.id, True)
    chat = make_chat(store, characterId=hero.id, personaId=mask.id, tags=[elf.id])
    store.tags.delete(elf.id)
    store.characters.delete(other.id)
    plan = undo_last(store, kind="tag")
    assert plan.left == [
        "3 links of other records to it were cut. What went does not come back; links are tied again where they can."
    ]
    assert store.characters.find_by_id(hero.id).tags == store.chats.find_by_id(chat.id).tags == (elf.id,)
    store.personas.delete(mask.id)
    undo_last(store)
    assert store.chats.find_by_id(chat.id).personaId == mask.id
    assert [link.model_dump() for link in store.characters.find_by_id(hero.id).personaLinks] == [
        {"personaId": mask.id, "isDefault": True}
    ]


def test_what_cannot_come_back_says_why(store: Store) -> None:
    def told(**asked: Any) -> str:
        plan = plan_undo(store, last(store, **asked))
        with pytest.raises(NotFoundError, match=r"."):
            undo(store, plan, {})
        return plan.impossible

    key, picture = make_key(store), make_image(store)
    store.keys.delete(key.id)
    assert "nobody can bring it back" in told()
    store.images.delete(picture.id)
    assert "Upload it again" in told()
    hero = make_character(store)
    chat = make_chat(store, characterId=hero.id)
    made = last(store)
    store.chats.delete(chat.id)
    store.characters.delete(hero.id)
    assert "Undo the delete of that one first" in told(kind="chat")
    assert plan_undo(store, made).impossible == "The record does not exist any more."
    renamed = make_character(store)
    store.characters.update(renamed.id, {"name": "Other"})
    assert "changed since it was made" in told(action="create")
    user = make_user(store)
    assert "on its own page" in told(record_id=user.id)


def test_a_secret_stays_as_it_is(store: Store) -> None:
    key = make_key(store, "Main")
    store.keys.update(key.id, {"label": "Other", "keyEncrypted": "00", "keyIv": "11", "keyAuthTag": "22"})
    plan = undo_last(store)
    assert len(plan.left) == 3
    found = store.keys.find_by_id(key.id)
    assert (found.value("label"), found.value("keyEncrypted")) == ("Main", "00")


def test_only_changes_of_one_record_can_be_undone(store: Store) -> None:
    store.audit.note("sign-in")
    assert not can_be_undone(last(store))
    with pytest.raises(NotFoundError):
        plan_undo(store, last(store))
    ids = [make_character(store).id for _ in range(5)]
    store.characters.set_favorite_of_many(ids, True)
    assert not can_be_undone(last(store))
    undo_last(store, record_id=ids[2])
    assert [store.characters.find_by_id(one).isFavorite for one in ids] == [True, True, False, True, True]
