"""What every backend promises about users, their chat settings, and tags by name."""

import pytest

from store import Store
from store.errors import DuplicateError, InvalidRecordError, NotFoundError
from tests.factories import make_character, make_persona, make_tag, make_user

SECRET = {"totpSecret": "aa", "totpSecretIv": "bb", "totpSecretAuthTag": "cc"}
CODES = {"backupCodes": "dd", "backupCodesIv": "ee", "backupCodesAuthTag": "ff"}


def test_a_user_is_found_by_the_exact_address(store: Store) -> None:
    ada = make_user(store, email="Ada@example.org")
    assert store.users.find_by_email("Ada@example.org") == ada
    assert store.users.find_by_email("ada@example.org") is None
    assert store.users.find_by_email("%") is None


def test_an_address_belongs_to_one_user(store: Store) -> None:
    make_user(store, email="a@example.org")
    with pytest.raises(DuplicateError, match=r"already a record with this email\.") as refused:
        make_user(store, email="a@example.org")
    assert refused.value.hint
    assert len(store.users.find_all()) == 1


def test_the_current_user_is_the_oldest(store: Store) -> None:
    assert store.users.get_current_user() is None
    young = make_user(store, name="Young", createdAt="2025-03-01T00:00:00.000Z")
    assert store.users.get_current_user() == young
    old = make_user(store, name="Old", createdAt="2025-02-01T00:00:00.000Z")
    assert store.users.get_current_user() == old
    same = make_user(store, name="Same", createdAt="2025-02-01T00:00:00.000Z")
    assert store.users.get_current_user().id == min(old.id, same.id)
    assert len(store.users.find_all()) == 3
    store.users.delete_many([old.id, same.id])
    assert store.users.get_current_user() == young


def test_a_second_user_does_not_take_the_place_of_the_first(store: Store) -> None:
    first, second = make_user(store), make_user(store, name="Bob")
    assert store.users.find_by_id(first.id) == first
    assert store.users.find_by_id(second.id) == second
    assert store.users.get_chat_settings(first.id).userId == first.id
    assert store.users.get_chat_settings(second.id).userId == second.id


def test_settings_nobody_made_are_the_defaults_and_stay_no_row(store: Store) -> None:
    user = make_user(store)
    settings = store.users.get_chat_settings(user.id)
    assert (settings.userId, settings.avatarDisplayMode, settings.avatarDisplayStyle) == (user.id, "ALWAYS", "CIRCULAR")
    assert store.users.find_by_id(user.id).user.extras.syntheticChatSettings is True
    assert store.users.update(user.id, {"name": "New"}).value.user.extras.syntheticChatSettings is True
    assert store.users.get_chat_settings("nobody") is None


def test_settings_that_are_changed_become_real(store: Store) -> None:
    user = make_user(store)
    made_up = store.users.get_chat_settings(user.id)
    changed = store.users.update_chat_settings(user.id, {"avatarDisplayMode": "NEVER"}).value
    assert changed.user.extras is None
    assert changed.chatSettings.id != made_up.id
    again = store.users.update_chat_settings(user.id, {"avatarDisplayStyle": "RECTANGULAR"}).value.chatSettings
    assert again.id == changed.chatSettings.id
    assert again.createdAt == changed.chatSettings.createdAt
    assert store.users.get_chat_settings(user.id) == again
    assert (again.avatarDisplayMode, again.avatarDisplayStyle) == ("NEVER", "RECTANGULAR")


@pytest.mark.parametrize(
    "fields", [{"colour": "red"}, {"avatarDisplayMode": "SOMETIMES"}, {"avatarDisplayStyle": None}]
)
def test_wrong_settings_are_refused_by_name(store: Store, fields: dict[str, object]) -> None:
    user = make_user(store)
    with pytest.raises(InvalidRecordError, match=next(iter(fields))):
        store.users.update_chat_settings(user.id, fields)
    assert store.users.find_by_id(user.id) == user
    with pytest.raises(NotFoundError):
        store.users.update_chat_settings("nobody", {"avatarDisplayMode": "NEVER"})


def test_a_date_of_settings_in_another_spelling_stays_the_same_moment(store: Store) -> None:
    user = make_user(store)
    given = {"updatedAt": "2025-01-02T05:04:05.006+02:00"}
    assert store.users.update_chat_settings(user.id, given).value.chatSettings.updatedAt == "2025-01-02T03:04:05.006Z"
    assert store.users.get_chat_settings(user.id).updatedAt == "2025-01-02T03:04:05.006Z"


def test_settings_cannot_be_given_to_somebody_else(store: Store) -> None:
    ada, bob = make_user(store), make_user(store, name="Bob")
    store.users.update_chat_settings(ada.id, {"avatarDisplayMode": "NEVER"})
    with pytest.raises(InvalidRecordError, match="userId"):
        store.users.update_chat_settings(ada.id, {"userId": bob.id})
    assert store.users.get_chat_settings(ada.id).avatarDisplayMode == "NEVER"
    assert store.users.find_by_id(bob.id) == bob


def test_a_secret_is_kept_as_it_is(store: Store) -> None:
    user = make_user(store, **SECRET, **CODES, totpEnabled=True, totpVerifiedAt="2025-01-01T00:00:00.000Z")
    totp, codes = user.user.totp, user.user.backupCodes
    assert (totp.ciphertext, totp.iv, totp.authTag, totp.enabled) == ("aa", "bb", "cc", True)
    assert totp.verifiedAt == "2025-01-01T00:00:00.000Z"
    assert (codes.ciphertext, codes.iv, codes.authTag, codes.createdAt) == ("dd", "ee", "ff", user.user.createdAt)
    off = store.users.update(user.id, {"totpEnabled": False}).value
    assert off.user.totp.ciphertext == "aa"
    assert off.user.totp.enabled is False


def test_an_empty_part_of_a_secret_is_a_part(store: Store) -> None:
    user = make_user(store, **dict.fromkeys([*SECRET, *CODES], ""))
    assert (user.user.totp.ciphertext, user.user.backupCodes.iv) == ("", "")
    assert user.user.extras.raw is None


@pytest.mark.parametrize(
    "parts",
    [{"totpSecret": "aa"}, {"totpSecretIv": ""}, {"totpEnabled": True}, {"totpVerifiedAt": "2025-01-01T00:00:00.000Z"}],
)
def test_a_secret_that_is_not_complete_is_kept_too(store: Store, parts: dict[str, object]) -> None:
    user = make_user(store, **parts)
    assert user.user.totp is None
    assert {name: user.value(name) for name in parts} == parts
    assert store.users.find_by_id(user.id) == user
    whole = store.users.update(user.id, {**SECRET}).value
    assert whole.user.totp.ciphertext == "aa"
    assert whole.user.extras.raw is None


def test_a_tag_is_found_by_name_without_regard_to_case(store: Store) -> None:
    ada, bob = make_user(store), make_user(store, name="Bob")
    tag = make_tag(store, name="Élan Vital", userId=ada.id)
    assert tag.nameLower == "élan vital"
    assert store.tags.find_by_name(ada.id, "ÉLAN vital") == tag
    assert store.tags.find_by_name(bob.id, "Élan Vital") is None
    assert store.tags.find_by_name(ada.id, "lan") is None
    assert store.tags.find_by_name(ada.id, "%") is None


def test_a_tag_name_is_unique_per_user_without_regard_to_case(store: Store) -> None:
    ada, bob = make_user(store), make_user(store, name="Bob")
    make_tag(store, name="Elf", userId=ada.id)
    other = make_tag(store, name="Orc", userId=ada.id)
    make_tag(store, name="ELF", userId=bob.id)
    with pytest.raises(DuplicateError):
        make_tag(store, name="eLF", userId=ada.id)
    with pytest.raises(DuplicateError):
        store.tags.update(other.id, {"name": "elf"})
    assert store.tags.find_by_id(other.id) == other


def test_a_renamed_tag_is_found_by_its_new_name(store: Store) -> None:
    tag = make_tag(store, name="Elf")
    store.tags.update(tag.id, {"name": "Fox"})
    assert store.tags.find_by_name(tag.userId, "fox").id == tag.id
    assert store.tags.find_by_name(tag.userId, "elf") is None


def test_a_tag_is_found_or_made(store: Store) -> None:
    owner = make_user(store).id
    made = store.tags.find_or_create(owner, "  Elf ")
    assert (made.value.name, made.value.nameLower) == ("Elf", "elf")
    again = store.tags.find_or_create(owner, "ELF")
    assert again.value == made.value
    assert again.sources.consistent
    assert len(store.tags.find_all()) == 1


def test_usage_counts_records_per_kind(store: Store) -> None:
    elf, orc = make_tag(store, name="Elf"), make_tag(store, name="Orc")
    for name in "AB":
        make_character(store, name=name, tags=[elf.id])
    make_persona(store, tags=[elf.id])
    assert store.tags.usage([elf.id, orc.id]) == {elf.id: {"character": 2, "persona": 1}, orc.id: {}}
    assert store.tags.usage([]) == {}
