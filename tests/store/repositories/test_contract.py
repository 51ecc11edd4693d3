"""What every backend promises: records are made, found and changed; what is given is kept, what is unknown refused."""

import inspect
import uuid
from decimal import Decimal
from typing import Any

import pytest

from store import Store
from store.errors import ConflictError, InvalidRecordError, NotFoundError, StoreError
from tests.factories import make_character, make_profile, make_tag
from tests.store.repositories.making import KINDS, NOUNS, make, person

# json-layout.md, section 5, in Python's spelling. Quilltap keeps API keys with connection profiles, attachments with
# images; sign-in records are its adapter's.
FIVE = "find_by_id find_all create update delete"
TAGS = "find_by_tag add_tag remove_tag"
NAMED_BY_QUILLTAP = {
    "character": f"{FIVE} find_by_user_id {TAGS} add_persona remove_persona set_favorite",
    "persona": f"{FIVE} find_by_user_id {TAGS} add_character_link remove_character_link",
    "chat": f"""{FIVE} find_by_user_id find_by_character_id find_by_persona_id {TAGS} get_messages add_message
        add_messages get_message_count clear_messages""",
    "tag": f"{FIVE} find_by_user_id find_by_name",
    "user": f"{FIVE} find_by_email get_current_user get_chat_settings update_chat_settings",
    "profile": f"""{FIVE} find_by_user_id find_default {TAGS} get_all_api_keys find_api_key_by_id create_api_key
        update_api_key delete_api_key record_api_key_usage""",
    "image": f"""{FIVE} find_by_user_id find_by_type find_by_chat_id find_by_message_id find_by_sha256 delete_by_sha256
        {TAGS}""",
    "image_profile": f"{FIVE} find_by_user_id find_default find_by_name unset_all_defaults {TAGS}",
}
HOW_MANY = {
    "character": 12,
    "persona": 11,
    "chat": 16,
    "tag": 7,
    "user": 9,
    "profile": 16,
    "image": 14,
    "image_profile": 12,
}
GENERIC = "list count matching_ids version delete_many find_by_user_id"
MANY_TAGS = "add_tag_to_many remove_tag_from_many"
NAMED_BY_US = {
    "character": f"{MANY_TAGS} set_favorite_of_many",
    "persona": MANY_TAGS,
    "chat": f"""{MANY_TAGS} messages_page find_message update_message message_version delete_message add_swipe swipes
        avatar_overrides set_avatar_override remove_avatar_override""",
    "tag": "find_or_create usage",
    "key": "record_usage used_by active",
    "profile": f"{MANY_TAGS} unset_all_defaults set_default used_by",
    "image_profile": f"{MANY_TAGS} set_default used_by",
    "image": "used_by",
    "attachment": "find_by_chat_id find_by_message_id find_by_sha256 attach",
}


def missing_methods(kind: str, repository: object) -> list[str]:
    names = f"{FIVE} {GENERIC} {NAMED_BY_QUILLTAP.get(kind, '')} {NAMED_BY_US.get(kind, '')}".split()
    return [name for name in names if not inspect.ismethod(getattr(repository, name, None))]


def test_every_method_is_there(store: Store) -> None:
    found = {kind: missing_methods(kind, repository) for kind, repository in store.repositories.items()}
    assert found == {kind: [] for kind in KINDS}
    assert all(repository.kind == kind for kind, repository in store.repositories.items())


def test_a_method_that_is_missing_is_noticed(store: Store) -> None:
    assert "add_persona" in missing_methods("character", store.personas)


def test_all_names_of_quilltap_are_asked_for() -> None:
    names = {kind: named.split() for kind, named in NAMED_BY_QUILLTAP.items()}
    assert {kind: len(set(named)) for kind, named in names.items()} == HOW_MANY
    assert sum(map(len, names.values())) == sum(HOW_MANY.values()) == 97


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_is_found_as_it_was_made(store: Store, kind: str) -> None:
    made = make(kind, store, "Ada")
    repository = store.repositories[kind]
    assert repository.find_by_id(made.id) == made
    assert getattr(person(kind, made), NOUNS[kind].text) == "Ada"
    assert list(repository.find_all()) == [made]
    assert repository.find_all().problems == []
    if kind != "token":  # which is nobody's
        owner = made.id if kind == "user" else made.userId
        assert list(repository.find_by_user_id(owner)) == [made]
    assert list(repository.find_by_user_id("somebody else")) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_record_gets_a_uuid_and_today(store: Store, kind: str) -> None:
    made = make(kind, store)
    if kind != "token":
        assert str(uuid.UUID(made.id)) == made.id
    if NOUNS[kind].dates:
        assert person(kind, made).createdAt == person(kind, made).updatedAt
        assert person(kind, made).createdAt.startswith("20")


@pytest.mark.parametrize("kind", KINDS)
def test_given_ids_and_dates_are_kept(store: Store, kind: str) -> None:
    record_id = "0e0e0e0e-1111-4222-8333-444444444444"
    dates = {"createdAt": "2025-01-02T03:04:05.006Z", "updatedAt": "2025-02-03T04:05:06.700Z"}
    given = {NOUNS[kind].key: record_id, **{name: dates[name] for name in NOUNS[kind].dates}}
    made = make(kind, store, **given)
    assert {name: getattr(person(kind, made), name) for name in given} == given
    assert made.id == record_id
    assert store.repositories[kind].find_by_id(record_id) == made


@pytest.mark.parametrize(
    ("spelled", "kept"),
    [
        ("2025-01-02T03:04:05.006+02:00", "2025-01-02T01:04:05.006Z"),
        ("2025-01-02T03:04:05Z", "2025-01-02T03:04:05.000Z"),
        ("2025-01-02T03:04Z", "2025-01-02T03:04:00.000Z"),
        ("2025-01-02T03:04:05.123999Z", "2025-01-02T03:04:05.124Z"),
    ],
)
def test_a_date_in_another_spelling_stays_the_same_moment(store: Store, spelled: str, kept: str) -> None:
    made = make_character(store, createdAt=spelled)
    assert made.createdAt == kept
    assert store.characters.find_by_id(made.id) == made


def test_a_record_that_is_not_there_is_none(store: Store) -> None:
    assert [repository.find_by_id("nobody") for repository in store.repositories.values()] == [None] * len(KINDS)


def test_records_come_in_the_order_they_were_made_in_then_by_id(store: Store) -> None:
    late, early = "2025-02-02T00:00:00.000Z", "2025-01-01T00:00:00.000Z"
    for record_id, moment in (("c", early), ("B", early), ("a", late), ("b", early)):
        make_character(store, id=record_id, createdAt=moment)
    assert [one.id for one in store.characters.find_all()] == ["B", "b", "c", "a"]


def test_an_update_changes_what_is_named_and_the_date(store: Store) -> None:
    old = make_character(store, name="Alice", title="Dr", updatedAt="2025-01-01T00:00:00.000Z")
    new = store.characters.update(old.id, {"name": "Alicia"}).value
    assert (new.name, new.title, new.createdAt) == ("Alicia", "Dr", old.createdAt)
    assert new.updatedAt > old.updatedAt
    assert store.characters.find_by_id(old.id) == new


def test_an_update_that_changes_nothing_leaves_the_date(store: Store) -> None:
    old = make_character(store, name="Alice", updatedAt="2025-01-01T00:00:00.000Z")
    assert store.characters.update(old.id, {"name": "Alice"}).value == old


def test_a_given_date_of_an_update_is_kept(store: Store) -> None:
    old = make_tag(store)
    new = store.tags.update(old.id, {"name": "Orc", "updatedAt": "2030-01-01T00:00:00.000Z"}).value
    assert (new.name, new.updatedAt) == ("Orc", "2030-01-01T00:00:00.000Z")


@pytest.mark.parametrize("value", [None, "", "0", "a\u2028b", "😀", "line\r\nline", "\x7f\x01", " "])
def test_text_stays_as_it_is(store: Store, value: str | None) -> None:
    made = make_character(store, title=value)
    assert made.title == value
    assert store.characters.update(made.id, {"systemPrompt": value}).value.systemPrompt == value


def test_null_and_empty_and_false_are_three_things(store: Store) -> None:
    data = {"null": None, "empty": "", "false": False, "zero": 0, "list": [], "object": {}}
    made = make_character(store, sillyTavernData=data)
    stored = store.characters.find_by_id(made.id).sillyTavernData
    assert stored == data
    assert stored["false"] is False
    assert stored["zero"] is not False
    assert store.characters.update(made.id, {"sillyTavernData": None}).value.sillyTavernData is None
    assert store.characters.update(made.id, {"sillyTavernData": {}}).value.sillyTavernData == {}


def test_no_digit_of_a_number_is_lost(store: Store) -> None:
    data = {"long": 2**70, "exact": Decimal("0.1234567890123456789012"), "one": 1, "point": Decimal("1.0")}
    made = make_character(store, sillyTavernData=data)
    stored = store.characters.find_by_id(made.id).sillyTavernData
    assert {key: str(value) for key, value in stored.items()} == {key: str(value) for key, value in data.items()}
    assert store.characters.update(made.id, {"sillyTavernData": {"one": Decimal("1.0")}}).value != made


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_field_is_refused_by_name(store: Store, kind: str) -> None:
    made = make(kind, store)
    with pytest.raises(InvalidRecordError) as refused:
        store.repositories[kind].update(made.id, {"colour": "red"})
    assert refused.value.problems == {"colour": "there is no such field"}
    with pytest.raises(InvalidRecordError, match="colour"):
        make(kind, store, colour="red")
    assert len(store.repositories[kind].find_all()) == 1


WRONG: list[tuple[str, Any]] = [
    ("name", None),
    ("name", 5),
    ("name", "half \ud83d of it"),
    ("name", "NUL \0 in it"),
    ("isFavorite", "yes"),
    ("createdAt", "2025-02-30T00:00:00.000Z"),
    ("createdAt", "2025-01-01T00:00:00"),
    ("createdAt", None),
    ("updatedAt", "yesterday"),
    ("sillyTavernData", {"x": float("nan")}),
    ("sillyTavernData", {"x": {"y": ["\ud800"]}}),
    ("tags", None),
    ("tags", 5),
    ("personaLinks", [{"isDefault": True}]),
    ("personaLinks", None),
    ("userId", None),
]


@pytest.mark.parametrize(("field", "value"), WRONG, ids=[f"{name}={value!a}" for name, value in WRONG])
def test_a_wrong_value_is_refused_by_record_and_field_and_nothing_is_written(
    store: Store, field: str, value: Any
) -> None:
    made = make_character(store, name="Alice")
    with pytest.raises(StoreError) as refused:
        store.characters.update(made.id, {"title": "new", field: value})
    if not isinstance(value, dict):  # free-form JSON is refused as a value
        assert isinstance(refused.value, InvalidRecordError)
        assert field in " ".join(refused.value.problems)
        assert made.id in refused.value.message
    assert refused.value.hint
    assert store.characters.find_by_id(made.id) == made


@pytest.mark.parametrize("kind", KINDS)
def test_an_id_cannot_be_changed(store: Store, kind: str) -> None:
    made, noun = make(kind, store), NOUNS[kind]
    with pytest.raises(InvalidRecordError, match=noun.key):
        store.repositories[kind].update(made.id, {noun.key: "0e0e0e0e-1111-4222-8333-444444444444"})
    same = store.repositories[kind].update(made.id, {noun.key: made.id, noun.text: "Bob"}).value
    assert same.id == made.id
    assert [one.id for one in store.repositories[kind].find_all()] == [made.id]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_gone_cannot_be_changed(store: Store, kind: str) -> None:
    with pytest.raises(NotFoundError) as refused:
        store.repositories[kind].update("gone", {NOUNS[kind].text: "x"})
    assert "gone" in refused.value.message
    assert store.repositories[kind].noun in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize("kind", KINDS)
def test_an_id_is_taken_once(store: Store, kind: str) -> None:
    made, key = make(kind, store), NOUNS[kind].key
    with pytest.raises(StoreError, match=rf"already a record with this {key}\."):
        make(kind, store, "Another", **{key: made.id})
    assert list(store.repositories[kind].find_all()) == [made]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("user", "token", "attachment")])
def test_the_owner_has_to_exist(store: Store, kind: str) -> None:
    given = {"userId": "nobody"}
    if kind == "chat":
        given |= {"characterId": make_character(store).id, "connectionProfileId": make_profile(store).id}
    with pytest.raises(StoreError, match="linked record does not exist"):
        make(kind, store, **given)
    assert list(store.repositories[kind].find_all()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_version_stays_while_the_record_does(store: Store, kind: str) -> None:
    made, repository = make(kind, store), store.repositories[kind]
    seen = repository.version(made)
    assert repository.version(repository.find_by_id(made.id)) == seen
    changed = repository.update(made.id, {NOUNS[kind].text: "Other"}, expected=seen).value
    assert repository.version(changed) != seen


@pytest.mark.parametrize("kind", KINDS)
def test_who_saw_an_older_version_is_told_and_shown_the_new_one(store: Store, kind: str) -> None:
    made, repository = make(kind, store), store.repositories[kind]
    theirs = repository.update(made.id, {NOUNS[kind].text: "Theirs"}).value
    with pytest.raises(ConflictError) as conflict:
        repository.update(made.id, {NOUNS[kind].text: "Mine"}, expected=repository.version(made))
    assert conflict.value.current == theirs
    assert conflict.value.hint
    assert repository.find_by_id(made.id) == theirs


def test_a_version_tells_a_number_from_its_other_spelling(store: Store) -> None:
    made = make_character(store, sillyTavernData={"n": 1})
    other = store.characters.update(made.id, {"sillyTavernData": {"n": True}}).value
    assert store.characters.version(other) != store.characters.version(made)


def test_a_write_says_what_each_side_did(store: Store) -> None:
    sources = store.users.create({"email": "a@example.org"}).sources
    sides = {"sql": (True, None), "json": (None, True), "dual": (True, True)}[store.settings.data_backend]
    assert ((sources.sql, sources.json), sources.consistent, sources.error) == (sides, True, None)
    assert store.pending() == 0
    assert store.problems() == []


def test_an_id_that_is_no_uuid_is_kept_in_a_file_of_its_own_name(store: Store) -> None:
    for record_id in ("a/b", "..", "ü ö", "%41", "a.json", "CON", "~", "x" * 80):
        made = make_character(store, id=record_id, name=record_id)
        assert store.characters.find_by_id(record_id) == made
    assert store.characters.delete("a/b").value is True
    assert len(store.characters.find_all()) == 7
