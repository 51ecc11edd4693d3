"""What every backend promises about API keys and both sorts of profiles: one default per user, and who uses what."""

from typing import Any

import pytest

from store import Store
from store.errors import DuplicateError, InvalidRecordError, MissingReferenceError, NotFoundError, StillInUseError
from store.repositories.contract import Query
from tests.factories import make_chat, make_image_profile, make_key, make_profile, make_user

MAKE = {"profile": make_profile, "image_profile": make_image_profile}
PARTS = ("ciphertext", "iv", "authTag")


def defaults(store: Store, kind: str) -> list[str]:
    return [one.name for one in store.repositories[kind].find_all() if one.isDefault]


def test_a_key_is_kept_as_it_was_encrypted(store: Store) -> None:
    user = make_user(store)
    cipher = store.secrets.encrypt(user.id, "sk-a-secret")
    fields = {"keyEncrypted": cipher.ciphertext, "keyIv": cipher.iv, "keyAuthTag": cipher.auth_tag}
    made = store.keys.create({"userId": user.id, "label": "Main", "provider": "GROK", **fields}).value
    found = store.keys.find_by_id(made.id)
    assert tuple(getattr(found, part) for part in PARTS) == (cipher.ciphertext, cipher.iv, cipher.auth_tag)
    assert (found.userId, found.provider, found.isActive, found.lastUsed) == (user.id, "GROK", True, None)
    assert store.secrets.decrypt(user.id, cipher) == "sk-a-secret"
    assert store.keys.update(made.id, {"label": "Other"}).value.ciphertext == cipher.ciphertext


def test_a_key_that_was_used_says_when(store: Store) -> None:
    key = make_key(store)
    used = store.keys.record_usage(key.id).value
    assert used.lastUsed is not None
    assert used.lastUsed >= key.createdAt
    assert store.keys.find_by_id(key.id) == used


def test_keys_in_use_are_offered_by_label(store: Store) -> None:
    user, other = make_user(store), make_user(store, name="Bob")
    b, a = make_key(store, label="b", userId=user.id), make_key(store, label="A", userId=user.id)
    make_key(store, label="off", userId=user.id, isActive=False)
    make_key(store, label="grok", userId=user.id, provider="GROK")
    make_key(store, label="theirs", userId=other.id)
    assert store.keys.active(user.id, "OPENAI") == [(a.id, "A"), (b.id, "b")]
    assert store.keys.active(user.id, "OLLAMA") == []


def test_who_uses_a_key_is_told_and_goes_on_without_it(store: Store) -> None:
    key = make_key(store)
    profile = make_profile(store, name="Chatty", apiKeyId=key.id)
    image_profile = make_image_profile(store, name="Arty", apiKeyId=key.id)
    make_profile(store, name="None")
    users = [("image_profile", image_profile.id, "Arty"), ("profile", profile.id, "Chatty")]
    assert store.keys.used_by(key.id) == users
    assert store.keys.delete(key.id).value is True
    assert store.profiles.find_by_id(profile.id).apiKeyId is None
    assert store.image_profiles.find_by_id(image_profile.id).apiKeyId is None
    assert store.keys.used_by(key.id) == []


def test_keys_under_quilltaps_names(store: Store) -> None:
    user, profiles = make_user(store), store.profiles
    fields: dict[str, Any] = {"userId": user.id, "label": "Main", "provider": "OPENAI"}
    made = profiles.create_api_key({**fields, "keyEncrypted": "aa", "keyIv": "bb", "keyAuthTag": "cc"}).value
    assert profiles.find_api_key_by_id(made.id) == made
    assert profiles.find_api_key_by_id("nobody") is None
    assert list(profiles.get_all_api_keys()) == [made]
    assert profiles.update_api_key(made.id, {"isActive": False}).value.isActive is False
    assert profiles.record_api_key_usage(made.id).value.lastUsed is not None
    assert profiles.delete_api_key(made.id).value is True
    assert list(store.keys.find_all()) == []


@pytest.mark.parametrize("kind", MAKE)
def test_a_user_has_one_default(store: Store, kind: str) -> None:
    repository, ada, bob = store.repositories[kind], make_user(store), make_user(store, name="Bob")
    assert repository.find_default(ada.id) is None
    first = MAKE[kind](store, name="First", userId=ada.id, isDefault=True)
    theirs = MAKE[kind](store, name="Theirs", userId=bob.id, isDefault=True)
    second = MAKE[kind](store, name="Second", userId=ada.id, isDefault=True)
    assert repository.find_default(ada.id) == second
    assert repository.find_by_id(first.id).isDefault is False
    set_again = repository.set_default(first.id)
    assert (set_again.value.isDefault, set_again.sources.consistent) == (True, True)
    assert sorted(defaults(store, kind)) == ["First", "Theirs"]
    assert repository.update(second.id, {"isDefault": True}).value.isDefault is True
    assert repository.find_default(ada.id).id == second.id
    assert repository.find_default(bob.id) == theirs


@pytest.mark.parametrize("kind", MAKE)
def test_a_default_that_cannot_be_written_leaves_the_one_before(store: Store, kind: str) -> None:
    repository = store.repositories[kind]
    first, second = MAKE[kind](store, name="First", isDefault=True), MAKE[kind](store, name="Second")
    with pytest.raises(InvalidRecordError):
        repository.update(second.id, {"isDefault": True, "modelName": None})
    with pytest.raises(MissingReferenceError):
        repository.update(second.id, {"isDefault": True, "apiKeyId": "no key"})
    with pytest.raises(MissingReferenceError):
        MAKE[kind](store, name="Third", isDefault=True, apiKeyId="no key")
    assert repository.find_by_id(first.id) == first
    assert defaults(store, kind) == ["First"]


@pytest.mark.parametrize("kind", MAKE)
def test_defaults_are_unset_for_one_user(store: Store, kind: str) -> None:
    repository, ada, bob = store.repositories[kind], make_user(store), make_user(store, name="Bob")
    for user in (ada, bob):
        MAKE[kind](store, name=user.user.name, userId=user.id, isDefault=True)
    assert repository.unset_all_defaults(ada.id).value == 1
    assert repository.unset_all_defaults(ada.id).value == 0
    assert defaults(store, kind) == ["Bob"]
    assert repository.find_default(ada.id) is None


def test_an_image_profile_is_found_by_its_name_which_one_user_has_once(store: Store) -> None:
    ada, bob = make_user(store), make_user(store, name="Bob")
    made = make_image_profile(store, name="Arty", userId=ada.id)
    make_image_profile(store, name="arty", userId=ada.id)
    make_image_profile(store, name="Arty", userId=bob.id)
    assert store.image_profiles.find_by_name(ada.id, "Arty") == made
    assert store.image_profiles.find_by_name(ada.id, "ARTY") is None
    with pytest.raises(DuplicateError):
        make_image_profile(store, name="Arty", userId=ada.id)
    make_profile(store, name="Same", userId=ada.id)
    make_profile(store, name="Same", userId=ada.id)


@pytest.mark.parametrize("kind", MAKE)
def test_parameters_are_kept_to_the_last_digit(store: Store, kind: str) -> None:
    given = {"temperature": 1, "deep": {"list": [1, None, "ä"]}, "none": None}
    made = MAKE[kind](store, parameters=given)
    assert store.repositories[kind].find_by_id(made.id).parameters == given
    assert store.repositories[kind].update(made.id, {"parameters": {}}).value.parameters == {}


def test_a_connection_profile_that_chats_use_is_not_deleted_and_they_are_named(store: Store) -> None:
    used, free = make_profile(store, name="Used"), make_profile(store, name="Free")
    chats = [make_chat(store, title=title, connectionProfileId=used.id) for title in ("b", "A", "d", "c")]
    named = sorted((("chat", chat.id, chat.title) for chat in chats), key=lambda one: one[2].casefold())
    assert store.profiles.used_by(used.id) == named
    assert store.profiles.used_by(free.id) == []
    for delete in (
        lambda: store.profiles.delete(used.id),
        lambda: store.profiles.delete_many([free.id, used.id]),
    ):
        with pytest.raises(StillInUseError, match="“A”, “b”, “c” and 1 more") as refused:
            delete()
        assert refused.value.users == named
        assert "nothing was deleted" in refused.value.hint
    assert {one.id for one in store.profiles.find_all()} == {used.id, free.id}
    store.chats.delete_many([chat.id for chat in chats])
    assert store.profiles.delete_many([free.id, used.id]).value == 2


def test_an_image_profile_that_chats_use_goes_and_they_stay(store: Store) -> None:
    profile = make_image_profile(store)
    chat = make_chat(store, title="Tea", imageProfileId=profile.id)
    assert store.image_profiles.used_by(profile.id) == [("chat", chat.id, "Tea")]
    assert store.image_profiles.delete(profile.id).value is True
    assert store.chats.find_by_id(chat.id).imageProfileId is None


def test_a_provider_that_does_not_exist_is_refused_by_name(store: Store) -> None:
    with pytest.raises(InvalidRecordError, match="provider"):
        make_profile(store, provider="GOOGLE")
    with pytest.raises(InvalidRecordError, match="provider"):
        make_image_profile(store, provider="ANTHROPIC")
    with pytest.raises(InvalidRecordError, match="provider"):
        make_key(store, provider="openai")


def test_profiles_of_one_key_are_listed(store: Store) -> None:
    key = make_key(store)
    made = make_profile(store, apiKeyId=key.id)
    make_profile(store, name="Other")
    rows = store.profiles.list(Query(where=(("apiKeyId", key.id),))).rows
    assert [row["id"] for row in rows] == [made.id]
    assert store.profiles.count(Query(where=(("provider", "GROK"),))) == 0


@pytest.mark.parametrize("kind", MAKE)
def test_several_profiles_change_as_one_unit(store: Store, kind: str) -> None:
    ada, bob = make_user(store, "Ada"), make_user(store, "Bob")
    one = MAKE[kind](store, name="One", userId=bob.id, modelName="old", parameters={"temperature": 1}, isDefault=True)
    two = MAKE[kind](store, name="Two", userId=ada.id, modelName="new")
    other = MAKE[kind](store, name="Other", userId=ada.id, modelName="old")
    repository = store.repositories[kind]
    result = repository.update_many([two.id, one.id, one.id], {"modelName": "new"})
    assert (result.value, result.sources.consistent) == (1, True), "the other one had it already"
    changed = repository.find_by_id(one.id)
    assert (changed.modelName, changed.parameters, changed.isDefault) == ("new", {"temperature": 1}, True)
    assert changed.updatedAt >= one.updatedAt
    assert (repository.find_by_id(two.id), repository.find_by_id(other.id)) == (two, other)
    with pytest.raises(NotFoundError, match="gone"):
        repository.update_many([one.id, "gone"], {"modelName": "newer"})
    with pytest.raises(MissingReferenceError):
        repository.update_many([one.id, two.id], {"apiKeyId": "gone"})
    with pytest.raises(InvalidRecordError):
        repository.update_many([one.id, two.id], {"provider": "NOBODY"})
    assert repository.find_by_id(one.id) == changed
    assert repository.update_many([], {"modelName": "newer"}).value == 0
