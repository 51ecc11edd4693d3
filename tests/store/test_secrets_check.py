"""Which secrets do not decrypt, and all that can be known of why: damage, a pepper of before, an id that changed."""

from collections.abc import Callable

import pytest

from store import Store, rotating, secrets_check
from store.audit import Question
from store.errors import InvalidRecordError, PepperError
from store.exporting import export
from store.files.generations import Generations
from store.importing import import_json
from store.peppers import DONE, ROTATING
from store.repair_plan import plan_repair
from store.validation import validate_all_data
from tests.crash.rotating_world import NEW, OLD, populate_secrets, violations
from tests.crash.secrets_reader import Expected, in_sql
from tests.factories import assert_everything_is_equal, make_key, make_user
from tests.store.both_sides import by_another_program, lay
from tests.store.both_sides import in_sql as values_in_sql
from tests.store.houses import House, at_each_step

pytestmark = pytest.mark.slow  # derives keys, which is slow on purpose
BACKENDS = ("sql", "dual", "json")


# ------------------------------------------------------------------ what does not decrypt
def test_what_does_not_decrypt_is_named_first_and_left_byte_for_byte(house: Callable[..., House]) -> None:
    one = house()
    store = one.start()
    expected = populate_secrets(store)
    user = store.users.find_all()[0]
    foreign = {"keyEncrypted": "ab" * 9, "keyIv": "cd" * 16, "keyAuthTag": "ef" * 16}
    bad = make_key(store, "foreign", userId=user.id, **foreign)
    half = make_key(store, "half", userId=user.id, keyEncrypted="ab", keyIv="", keyAuthTag="")
    before = {key.id: (key.ciphertext, key.iv, key.authTag) for key in (bad, half)}
    report = secrets_check.check(store)
    assert (report.exit_status, report.failed, report.states["incomplete"]) == (16, 2, 2)
    assert bad.id in report.as_text()
    with pytest.raises(PepperError) as raised:
        rotating.rotate(store, NEW)
    assert bad.id in raised.value.message
    assert "--skip-unreadable" in raised.value.hint
    assert store.peppers.change() is None
    done = rotating.rotate(store, NEW, skip_unreadable=True)
    assert {judged.held.id for judged in done.left} == {bad.id, half.id}
    for key_id, parts in before.items():
        key = store.keys.find_by_id(key_id)
        assert key is not None
        assert (key.ciphertext, key.iv, key.authTag) == parts
    assert one.under(OLD) == set()
    assert expected.violations([that for that in one.found() if that.id not in before], [NEW]) == []
    assert_everything_is_equal(store)


def test_a_record_that_cannot_be_written_is_named_first(house: Callable[..., House], ready_sqlite_url: str) -> None:
    one = house("sql", ready_sqlite_url)
    store = one.start()
    populate_secrets(store, keys=2)
    bad = store.keys.find_all()[0]
    by_another_program(store, "UPDATE api_keys SET provider = 'A LATER ONE' WHERE id = :a", bad.id)
    with pytest.raises(PepperError, match="provider"):
        rotating.rotate(store, NEW)
    assert rotating.rotate(store, NEW, skip_unreadable=True).change.phase == DONE  # type: ignore[union-attr]
    assert one.under(OLD) == {"sql key"}
    told = secrets_check.check(store)
    assert told.exit_status == 16
    assert "kept-1" in told.as_text()
    by_another_program(store, "UPDATE api_keys SET provider = 'OPENAI' WHERE id = :a", bad.id)
    assert rotating.mend(store).encrypted == 1
    assert one.under(OLD) == set()


def test_while_the_files_cannot_follow_it_does_not_end(house: Callable[..., House]) -> None:
    one = house()
    store = one.start()
    expected = populate_secrets(store)
    path = one.settings.data_dir / "settings" / "connection-profiles.json"
    whole = path.read_bytes()

    def tear(number: int) -> None:
        if number == 1:
            lay(store, "settings/connection-profiles.json", whole[:-20])

    with pytest.raises(PepperError, match=r"connection-profiles\.json cannot be read"):
        rotating.rotate(store, NEW, progress=at_each_step(tear))
    assert store.peppers.change().phase == ROTATING  # type: ignore[union-attr]
    lay(store, "settings/connection-profiles.json", whole)
    assert violations(one.settings, expected) == []
    assert rotating.rotate(store).change.phase == DONE  # type: ignore[union-attr]
    assert one.under(OLD) == set()
    assert_everything_is_equal(store)


def test_what_is_remembered_and_cannot_be_read_writes_no_secret(house: Callable[..., House]) -> None:
    store = house().start()
    user = make_user(store)
    store.database.set_state("pepper", "torn")
    with pytest.raises(PepperError, match="cannot be read"):
        make_key(store, userId=user.id)
    assert store.users.update(user.id, {"name": "Ada L."}).value.user.name == "Ada L."


# ------------------------------------------------------------------ what comes back from before
def test_what_an_old_generation_brings_back_is_named_and_brought_along(house: Callable[..., House]) -> None:
    one = house("sql")
    store = one.start()
    expected = populate_secrets(store)
    export(store)
    first = Generations(store.side).current()
    assert "were left as they are: data export" in rotating.rotate(store, NEW).as_text()
    assert first is not None
    assert import_json(store, merge=True).updates
    told = secrets_check.check(store)
    assert (told.exit_status, told.failed) == (16, 4)
    assert "kept-1" in told.as_text()
    assert "secrets mend" in told.as_text()
    assert rotating.mend(store).encrypted == 4
    assert violations(one.settings, expected) == []
    assert one.under(NEW) == one.everything


# ------------------------------------------------------------------ a user's id
def test_a_users_id_cannot_be_changed_by_an_update(house: Callable[..., House]) -> None:
    store = house().start()
    expected = populate_secrets(store)
    user = store.users.find_all()[0]
    with pytest.raises(InvalidRecordError, match="id cannot be changed"):
        store.users.update(user.id, {"id": "another"})
    with pytest.raises(InvalidRecordError, match="cannot be changed"):
        store.users.update_chat_settings(user.id, {"userId": "another"})
    with pytest.raises(InvalidRecordError):
        store.users.update(user.id, {"user": {"id": "another"}})
    assert violations(store.settings, expected) == []


@pytest.mark.parametrize("backend", ["sql", "dual"])
def test_an_id_that_another_program_changed_is_named_and_mended(
    house: Callable[..., House], ready_url: str, backend: str
) -> None:
    """``UPDATE users SET id`` takes all links along, by SQL's own rules, and no secret opens any more."""
    one = house(backend, ready_url)
    store = one.start()
    expected = populate_secrets(store)
    user = store.users.find_all()[0]
    assert secrets_check.check(store).exit_status == 0
    new = "0b3e4b0a-0000-4000-8000-00000000cafe"
    by_another_program(store, "UPDATE users SET id = :a WHERE id = :b", new, user.id)
    if backend == "dual":
        store.catch_up()
    told = secrets_check.check(store)
    assert told.exit_status == 16
    assert f"The user's id changed from {user.id} to {new}" in told.as_text()
    assert "encrypted for the old id" in told.as_text()
    assert not any(text in told.as_text() for text in expected.texts.values())
    assert validate_all_data(store).secrets.failed == told.failed
    assert rotating.mend(store).encrypted == 4
    assert secrets_check.check(store).exit_status == 0
    texts = {(what, new if what != "key" else one_): text for (what, one_), text in expected.texts.items()}
    assert Expected(texts).violations(in_sql(one.settings.database_url), [OLD]) == []


def test_an_id_that_was_changed_in_the_files_is_named_in_json_mode(house: Callable[..., House]) -> None:
    one = house("json")
    store = one.start()
    populate_secrets(store)
    user = store.users.find_all()[0]
    assert secrets_check.check(store).exit_status == 0
    new = "0b3e4b0a-0000-4000-8000-00000000cafe"
    rename_in_files(store, user.id, new)
    store.index.refresh(full=True)
    told = secrets_check.check(store)
    assert f"The user's id changed from {user.id} to {new}" in told.as_text()
    assert rotating.mend(store).encrypted == 4
    assert secrets_check.check(store).exit_status == 0


def rename_in_files(store: Store, old: str, new: str) -> None:
    for path in store.settings.data_dir.rglob("*.json*"):
        name = path.relative_to(store.settings.data_dir).as_posix()
        lay(store, name, path.read_text().replace(old, new))


def test_neither_an_import_nor_a_repair_carries_a_changed_id_over(house: Callable[..., House]) -> None:
    one = house("sql")
    store = one.start()
    expected = populate_secrets(store)
    export(store)
    user = store.users.find_all()[0]
    new = "0b3e4b0a-0000-4000-8000-00000000cafe"
    rename_in_files(store, user.id, new)
    plan = import_json(store, merge=True)
    assert plan.exit_status == 1
    sentence = f"The user's id changed from {user.id} to {new} in the files"
    assert sentence in plan.as_text()
    report = validate_all_data(store)
    repair = plan_repair(report.affected, "json", store)
    assert not [step for step in repair.steps if step.kind == "user"]
    assert sentence in repair.as_text()
    assert violations(one.settings, expected) == []
    assert values_in_sql(store, "SELECT id FROM users") == [user.id]


# ------------------------------------------------------------------ nothing of it is told
def test_no_report_holds_a_secret_or_a_pepper(house: Callable[..., House], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    store = house(given=True).start()
    expected = populate_secrets(store)
    make_key(store, "bad", keyEncrypted="ab" * 9, keyIv="cd" * 16, keyAuthTag="ef" * 16)
    told = [repr(secrets_check.check(store)), secrets_check.check(store).as_text(), repr(store.survey.look())]
    done = rotating.rotate(store, NEW, skip_unreadable=True)
    told += [repr(done), done.as_text(), str(done.as_json()), caplog.text, repr(store.peppers.change())]
    told += [str(secrets_check.check(store).as_json())]
    entries = store.audit.newest(Question(), limit=100)
    assert [one.outcome for one in entries if one.kind == "pepper"] == ["done", "started"]
    assert len([one for one in entries if one.message.startswith("Encrypted anew")]) == 3
    told.append(repr(entries))
    hidden = [*expected.texts.values(), OLD, NEW, "ab" * 9]
    assert not [one for one in hidden for text in told if one in text]


def test_totp_of_a_user_is_part_of_one_write(house: Callable[..., House]) -> None:
    """Both secrets of a user go over together: between them nobody finds one under each pepper."""
    one = house("sql")
    store = one.start()
    populate_secrets(store, keys=0)
    seen: list[set[str]] = []
    rotating.rotate(store, NEW, progress=at_each_step(lambda _: seen.append(one.under(NEW))))
    assert set(map(len, seen)) == {0, 2}
