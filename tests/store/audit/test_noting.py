"""Whatever a repository changes leaves an entry: which record, which fields, and never a secret."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from store import Store
from store.audit import Actor, Entry, Question, acting_as
from store.audit.differences import value_of
from store.errors import ConflictError, InvalidValueError, StillInUseError, StoreError
from store.secrets import BACKUP_CODES, TOTP_SECRET
from store.tables import JSON_NULL
from tests.factories import (
    make_account,
    make_character,
    make_chat,
    make_image,
    make_key,
    make_message,
    make_persona,
    make_profile,
    make_session,
    make_tag,
    make_token,
    make_user,
    open_test_store,
)


@pytest.fixture(params=["sql", "dual", "json"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened = open_test_store(tmp_path, backend=request.param)
    yield opened
    opened.close()


def entries(store: Store, **asked: Any) -> list[Entry]:
    store.bring_audit_over()
    return list(store.audit.newest(Question(**asked), limit=500))


def newest(store: Store) -> Entry:
    return entries(store)[0]


def test_a_change_says_who_and_which_fields_with_both_values(store: Store) -> None:
    hero = make_character(store, name="Alice", description="old")
    with acting_as(Actor("Ada", role="editor", address="192.0.2.1")):
        store.characters.update(hero.id, {"name": "Alicia", "description": "new", "isFavorite": False})
    entry = newest(store)
    assert (entry.actor, entry.address, entry.action, entry.kind) == ("Ada", "192.0.2.1", "update", "character")
    assert (entry.record_id, entry.title) == (hero.id, "Alicia")
    assert entry.changes == {
        "name": {"before": "Alice", "after": "Alicia"},
        "description": {"before": "old", "after": "new"},
    }


def test_what_was_refused_or_changes_nothing_leaves_no_entry(store: Store) -> None:
    hero = make_character(store)
    before = len(entries(store))
    store.characters.update(hero.id, {"name": hero.name})
    store.characters.remove_tag(hero.id, "no such tag")
    with pytest.raises(ConflictError):
        store.characters.update(hero.id, {"name": "Bob"}, expected="another version")
    with pytest.raises(StoreError):
        store.characters.update(hero.id, {"defaultImageId": "no such image"})
    assert store.characters.delete("no such character").value is False
    assert len(entries(store)) == before


def test_ids_that_no_side_can_hold_are_refused_as_ever(store: Store) -> None:
    hero = make_character(store)
    with pytest.raises(InvalidValueError):
        store.characters.delete_many([hero.id, "half \ud800"])
    assert store.characters.find_by_id(hero.id) is not None
    assert newest(store).action == "create"


def test_links_are_told_too(store: Store) -> None:
    hero, mask, tag, other = make_character(store), make_persona(store), make_tag(store), make_tag(store, "Dwarf")
    store.characters.add_tag(hero.id, tag.id)
    assert newest(store).changes == {"tags": {"added": [tag.id]}}
    store.characters.update(hero.id, {"tags": [other.id]})
    assert newest(store).changes == {"tags": {"added": [other.id], "removed": [tag.id]}}
    store.characters.add_persona(hero.id, mask.id, True)
    link = [{"personaId": mask.id, "isDefault": True}]
    assert newest(store).changes == {"personaLinks": {"before": [], "after": link}}
    store.users.update_chat_settings(hero.userId, {"avatarDisplayStyle": "SQUARE"})
    assert newest(store).changes["avatarDisplayStyle"]["after"] == "SQUARE"
    picture, chat = make_image(store), make_chat(store, characterId=hero.id)
    store.images.add_tag(picture.id, "rain")
    assert newest(store).changes["imageTags"]["after"] == [{"tagType": "THEME", "tagId": "rain"}]
    store.chats.set_avatar_override(chat.id, hero.id, picture.id)
    assert newest(store).changes == {"avatarOverrides": {"before": {}, "after": {hero.id: picture.id}}}
    store.chats.remove_avatar_override(chat.id, hero.id)
    assert newest(store).changes == {"avatarOverrides": {"before": {hero.id: picture.id}, "after": {}}}


def test_a_new_default_takes_the_place_of_the_old_one_in_the_audit_as_well(store: Store) -> None:
    first, second = make_profile(store, "One", isDefault=True), make_profile(store, "Two")
    store.profiles.set_default(second.id)
    told = {entry.record_id: entry.changes for entry in entries(store)[:2]}
    assert told[first.id] == {"isDefault": {"before": True, "after": False}}
    assert told[second.id] == {"isDefault": {"before": False, "after": True}}


def test_messages_belong_to_their_chat(store: Store) -> None:
    chat = make_chat(store)
    message = make_message(store, chat, "Hello.")
    store.chats.update_message(message.id, {"content": "Good-bye."})
    store.chats.delete_message(message.id)
    gone, changed, made = entries(store)[:3]
    assert {one.within for one in (gone, changed, made)} == {chat.id}
    assert changed.changes == {"content": {"before": "Hello.", "after": "Good-bye."}}
    assert (gone.action, gone.title, gone.changes["content"]) == ("delete", "Good-bye.", {"before": "Good-bye."})
    assert len(store.audit.of_record("chat", chat.id)) == 4
    make_message(store, chat)
    store.chats.clear_messages(chat.id)
    assert (newest(store).action, newest(store).message) == ("clear", "1 messages were deleted.")


def test_a_delete_says_what_went_along(store: Store) -> None:
    hero = make_character(store)
    chat = make_chat(store, characterId=hero.id)
    make_message(store, chat)
    make_message(store, chat)
    store.characters.delete(hero.id)
    entry = newest(store)
    assert entry.changes["along"] == {"gone": {"chat": 1, "message": 2}}
    assert entry.changes["name"] == {"before": "Alice"}
    assert "Hello" not in str(entry.changes)
    tag = make_tag(store)
    hero = make_character(store, tags=[tag.id])
    store.tags.delete(tag.id)
    entry = newest(store)
    assert entry.changes["along"] == {"cut": 1}
    assert entry.changes["namedBy"] == {"before": {"character.tags": [hero.id]}}
    key = make_key(store)
    make_profile(store, apiKeyId=key.id)
    store.keys.delete(key.id)
    assert newest(store).changes["along"] == {"cut": 1}
    with pytest.raises(StillInUseError):
        store.profiles.delete(make_chat(store).connectionProfileId)
    assert newest(store).action == "create"


def test_a_change_of_many_is_told_once_and_for_each(store: Store) -> None:
    heroes = [make_character(store, name=f"Hero {number}") for number in range(6)]
    ids, tag = [one.id for one in heroes], make_tag(store)
    store.characters.add_tag(ids[0], tag.id)
    store.characters.add_tag_to_many(ids, tag.id)
    head = newest(store)
    assert (head.action, head.kind, head.title) == ("update", "character", "5 records")
    assert {one.record_id for one in entries(store, part_of=head.id)} == set(ids[1:])
    store.characters.remove_tag_from_many(ids, tag.id)
    parts = entries(store, part_of=newest(store).id)
    assert [one.changes for one in parts] == [{"tags": {"removed": [tag.id]}}] * 6
    store.characters.set_favorite_of_many(ids, True)
    assert newest(store).title == "6 records"
    make_chat(store, characterId=ids[0])
    store.characters.delete_many(ids)
    head = newest(store)
    assert (head.action, head.message) == ("delete", "With them went 1 chat.")
    assert {one.changes["name"]["before"] for one in entries(store, part_of=head.id)} == {one.name for one in heroes}


def test_of_a_long_text_the_old_one_is_kept_whole_and_the_new_one_where_it_differs(store: Store) -> None:
    old = "".join(f"{number} Größe\u2028🔑 " for number in range(3000))
    new = old.replace("1500 Größe", "1500 Kleine")
    hero = make_character(store, description=old, sillyTavernData={"a": {"b": [1, "1.0" * 500]}})
    assert "Größe" not in str(newest(store).changes)
    store.characters.update(hero.id, {"description": new, "sillyTavernData": {"a": {"b": [2, "1.0" * 500]}}})
    change = newest(store).changes["description"]
    assert len(change["splice"][2]) < 30
    assert (value_of(change, "before"), value_of(change, "after")) == (old, new)
    change = newest(store).changes["sillyTavernData"]
    assert value_of(change, "after") == {"a": {"b": [2, "1.0" * 500]}}


def test_json_null_and_nothing_are_told_apart(store: Store) -> None:
    hero = make_character(store, sillyTavernData=JSON_NULL)
    store.characters.update(hero.id, {"sillyTavernData": None})
    change = newest(store).changes["sillyTavernData"]
    assert value_of(change, "before") is JSON_NULL
    assert value_of(change, "after") is None


SECRETS = ("marker-hash", "marker-totp", "marker-codes", "marker-token", "marker-key", "marker-verify")


def test_no_secret_is_in_it_on_any_path(store: Store) -> None:
    def parts(names: Any, marker: str) -> dict[str, str]:
        return dict.fromkeys(names, marker)

    user = make_user(store, passwordHash="marker-hash", **parts(TOTP_SECRET, "marker-totp"))
    store.users.update(user.id, {"passwordHash": "marker-hash 2", **parts(BACKUP_CODES, "marker-codes")})
    account = make_account(store, access_token="marker-token", refresh_token="marker-token", id_token="marker-token")
    store.accounts.update(account.id, {"session_state": "marker-token", "scope": "mail"})
    session = make_session(store, sessionToken="marker-token 1")
    store.sessions.update(session.id, {"sessionToken": "marker-token 2"})
    token = make_token(store, token="marker-verify")
    key = make_key(store, keyEncrypted="marker-key", keyIv="marker-key", keyAuthTag="marker-key")
    store.keys.update(key.id, {"keyEncrypted": "marker-key 2", "label": "Other"})
    changed = newest(store)
    assert changed.changes["keyEncrypted"] == {"secret": True}
    for repository, one in (("accounts", account), ("sessions", session), ("tokens", token), ("keys", key)):
        getattr(store, repository).delete(one.id)
    store.tokens.delete_many([make_token(store, token=f"marker-verify {number}").id for number in range(5)])
    store.users.delete(user.id)
    store.bring_audit_over()
    found = [str(entry) for entry in store.audit.each(Question())]
    assert len(found) > 20
    assert [one for one in found if any(secret in one for secret in SECRETS)] == []


def test_the_file_in_which_they_wait_does_not_grow(tmp_path: Path) -> None:
    store = open_test_store(tmp_path, backend="json")
    hero, spooled = make_character(store), store.settings.own_dir / "audit"
    for number in range(3):
        store.characters.update(hero.id, {"name": f"Hero {number}"})
        assert spooled.read_bytes()
        store.bring_audit_over()
        assert spooled.read_bytes() == b""
    assert len(store.audit.of_record("character", hero.id)) == 4
    store.close()


def test_in_json_mode_they_wait_without_the_database(tmp_path: Path) -> None:
    store = open_test_store(tmp_path, backend="json")
    make_key(store, keyEncrypted="marker-key", keyIv="marker-key", keyAuthTag="marker-key")
    waiting = (store.settings.own_dir / "audit").read_bytes()
    assert b"create" in waiting
    assert b"marker-key" not in waiting
    assert store.audit.newest(Question(kind="key")) == []
    store.close()
    store = open_test_store(tmp_path, backend="dual")
    assert [one.action for one in store.audit.newest(Question(kind="key"))] == ["create"]
    store.close()
