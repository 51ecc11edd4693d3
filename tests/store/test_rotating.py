"""A new pepper: every secret goes over on both sides, other processes read and write all the while, and whatever stops
it, it goes on or back. By an outside reader that knows Quilltap's recipe alone."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store import Store, rotating, secrets_check
from store.errors import CancelledError, PepperError
from store.peppers import DONE, ROTATING, WAITING
from store.progress import Progress
from store.providers import Outcome
from store.secrets import API_KEY, BACKUP_CODES
from store.validation import validate_all_data
from tests.crash.rotating_world import NEW, OLD, THIRD, populate_secrets, violations
from tests.crash.secrets_reader import peppers_in
from tests.factories import assert_everything_is_equal, make_key
from tests.store.both_sides import in_sql as values_in_sql
from tests.store.houses import House, at_each_step, stopping_after

pytestmark = pytest.mark.slow  # derives keys, which is slow on purpose
BACKENDS = ("sql", "dual", "json")


def dates(store: Store) -> list[Any]:
    return sorted(values_in_sql(store, 'SELECT "updatedAt" FROM users UNION ALL SELECT "updatedAt" FROM api_keys'))


# ------------------------------------------------------------------ to its end
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_secret_goes_over_on_every_side(house: Callable[..., House], ready_url: str, backend: str) -> None:
    one = house(backend, ready_url)
    store = one.start()
    expected = populate_secrets(store, keys=3, users=2)
    store.catch_up() if backend != "sql" else None
    before, told = dates(store), list[str]()
    report = rotating.rotate(store, NEW, progress=Progress(lambda moment: told.append(moment.phase)))
    assert (report.encrypted, report.left, report.change and report.change.phase) == (7, [], DONE)
    assert set(told) == {"Encrypting anew"}
    assert violations(one.settings, expected) == []
    assert one.under(NEW) == one.everything
    assert one.under(OLD) == set()
    assert dates(store) == before  # nobody edited anything
    checked = validate_all_data(store)
    assert (checked.secrets.failed, backend == "sql" or checked.exit_status == 0) == (0, True)
    assert secrets_check.check(store).exit_status == 0
    files = peppers_in(one.settings.instance_dir)
    assert files == {"encryption-master-pepper": NEW, "encryption-master-pepper.kept-1": OLD}
    modes = {stat.S_IMODE((one.settings.instance_dir / name).stat().st_mode) for name in files}
    assert modes == {0o600}
    assert "Quilltap's own environment" in report.as_text()
    assert "kept-1" in report.as_text()
    assert not any(pepper in report.as_text() + str(report.as_json()) for pepper in (OLD, NEW))


def test_a_pepper_is_made_where_none_is_given(house: Callable[..., House]) -> None:
    one = house()
    expected = populate_secrets(one.start())
    rotating.rotate(one.processes[0])
    made = peppers_in(one.settings.instance_dir)["encryption-master-pepper"]
    assert len(made) >= 40
    assert one.under(made) == one.everything
    assert violations(one.settings, expected) == []


def test_what_came_of_testing_a_key_stays_known(house: Callable[..., House]) -> None:
    one = house()
    store = one.start()
    populate_secrets(store, keys=1)

    def tests_of_the_key() -> list[str]:
        (key,) = store.keys.find_all()
        return [test.outcome for test in store.key_tests.of(key.id, {name: key.value(name) for name in API_KEY})]

    (key,) = store.keys.find_all()
    store.key_tests.note(key.id, {name: key.value(name) for name in API_KEY}, Outcome("refused", "It is too old.", 0.1))
    assert tests_of_the_key() == ["refused"]
    rotating.rotate(store, NEW)
    assert tests_of_the_key() == ["refused"]


@pytest.mark.parametrize("bad", ["short", OLD, f" {NEW}", f"{NEW}\t", "", "\udcff" * 40])
def test_a_new_pepper_that_cannot_be_one_is_refused(house: Callable[..., House], bad: str) -> None:
    store = house().start()
    with pytest.raises(PepperError) as raised:
        rotating.rotate(store, bad)
    assert len(bad) < 10 or bad.strip() not in raised.value.sentence
    assert store.peppers.change() is None


def test_it_can_be_rotated_again_and_back(house: Callable[..., House]) -> None:
    one = house()
    expected = populate_secrets(one.start())
    for pepper in (NEW, THIRD, OLD):
        rotating.rotate(one.processes[0], pepper)
        assert one.under(pepper) == one.everything
        assert violations(one.settings, expected) == []
    assert peppers_in(one.settings.instance_dir)["encryption-master-pepper"] == OLD
    assert one.start().peppers.refusal() is None


# ------------------------------------------------------------------ beside other processes
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_running_server_reads_and_writes_all_the_while(
    house: Callable[..., House], ready_url: str, backend: str
) -> None:
    one = house(backend, ready_url)
    server, other = one.start(), one.start()
    expected = populate_secrets(server, keys=3, users=1)
    user = server.users.find_all()[0]

    def meanwhile(number: int) -> None:
        for key in server.keys.find_all():
            cipher = secrets_check.Cipher(key.ciphertext, key.iv, key.authTag)
            assert server.secrets.decrypt(user.id, cipher) == expected.texts["key", key.id]
        text = f"sk-written meanwhile {number}"
        expected.texts["key", make_key(server, f"new {number}", text, userId=user.id).id] = text
        assert violations(one.settings, expected) == [] or backend == "json"  # SQL follows a little later

    rotating.rotate(other, NEW, progress=at_each_step(meanwhile))
    meanwhile(99)
    if backend == "json":
        server.catch_up()
    assert len(expected.texts) > 6
    assert violations(one.settings, expected) == []
    assert one.under(OLD) == set()


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_was_encrypted_before_and_is_written_after_it_goes_over_too(
    house: Callable[..., House], backend: str
) -> None:
    """A form that was sent before the rotation, and a process that hears nothing until it writes."""
    one = house(backend)
    server, other = one.start(), one.start()
    expected = populate_secrets(server)
    user = server.users.find_all()[0]
    key = server.keys.find_all()[0]
    late, codes = server.secrets.encrypt(user.id, "sk-late"), server.secrets.encrypt_codes(user.id, ["late"])
    rotating.rotate(other, NEW)
    server.keys.update(key.id, late.spelled(API_KEY))
    server.users.update(user.id, codes.spelled(BACKUP_CODES))
    made = server.keys.create({"userId": user.id, "label": "late", "provider": "OPENAI", **late.spelled(API_KEY)})
    expected.texts["key", key.id] = expected.texts["key", made.value.id] = "sk-late"
    expected.texts["codes", user.id] = '["late"]'
    if backend == "json":
        server.catch_up()
    assert violations(one.settings, expected) == []
    assert one.under(OLD) == set()


def test_what_somebody_changes_at_the_same_moment_is_not_written_over(house: Callable[..., House]) -> None:
    one = house()
    server, other = one.start(), one.start()
    expected = populate_secrets(server, keys=1)
    (key,) = server.keys.find_all()
    done: list[Store] = []
    find = other.keys.find_by_id

    def find_and_then_it_changes(record_id: str) -> Any:
        found = find(record_id)
        if not done:
            done.append(server)
            parts = server.secrets.encrypt(found.userId, "sk-changed").spelled(API_KEY)
            server.keys.update(record_id, {"label": "changed", **parts})
        return found

    other.keys.find_by_id = find_and_then_it_changes  # type: ignore[method-assign]
    rotating.rotate(other, NEW)
    expected.texts["key", key.id] = "sk-changed"
    assert done
    assert server.keys.find_by_id(key.id).label == "changed"  # type: ignore[union-attr]
    assert violations(one.settings, expected) == []
    assert one.under(OLD) == set()


def test_a_key_that_is_deleted_meanwhile_stays_deleted(house: Callable[..., House]) -> None:
    one = house()
    server, other = one.start(), one.start()
    populate_secrets(server, keys=2)
    keys = server.keys.find_all()
    rotating.rotate(other, NEW, progress=at_each_step(lambda _: server.keys.delete_many([key.id for key in keys])))
    assert server.keys.find_all() == []
    assert_everything_is_equal(server)


def test_a_state_that_was_read_late_turns_nothing_back(house: Callable[..., House]) -> None:
    """Two threads read it, and the one that read first comes last."""
    one = house()
    store = one.start()
    populate_secrets(store)
    rotating.rotate(store, NEW)
    early = store.peppers.change()
    rotating.rotate(store, THIRD)
    store.peppers.check(early)
    user = store.users.find_all()[0]
    make_key(store, "late", userId=user.id)
    assert one.under(THIRD) == one.everything
    assert one.under(NEW) == set()


def test_two_at_once_are_refused(house: Callable[..., House]) -> None:
    one = house()
    store, other = one.start(), one.start()
    populate_secrets(store)
    with store.peppers.lock.hold(), pytest.raises(PepperError, match="Another process"):
        rotating.rotate(other)
    assert other.peppers.change() is None


@pytest.mark.parametrize("backend", ["dual", "json"])
def test_a_machine_that_does_not_have_the_new_pepper_writes_no_secret(
    house: Callable[..., House], tmp_path: Path, backend: str
) -> None:
    one = house(backend, given=True)
    store = one.start()
    populate_secrets(store, keys=2)
    far = one.start(instance_dir=tmp_path / "elsewhere")
    (key, _), user = store.keys.find_all(), store.users.find_all()[0]
    with pytest.raises(CancelledError):
        rotating.rotate(store, NEW, progress=stopping_after(1))
    with pytest.raises(PepperError) as raised:
        make_key(far, "far", userId=user.id)
    assert "encryption-master-pepper.next" in raised.value.hint
    assert far.keys.update(key.id, {"label": "renamed"}).value.label == "renamed"  # that is no secret
    there = one.settings.instance_dir / "encryption-master-pepper.next"
    (tmp_path / "elsewhere").mkdir(exist_ok=True)
    (tmp_path / "elsewhere" / there.name).write_bytes(there.read_bytes())
    made = make_key(far, "far", "sk-from far", userId=user.id)
    assert store.secrets.decrypt(user.id, secrets_check.Cipher(made.ciphertext, made.iv, made.authTag)) == "sk-from far"
    assert len(one.under(NEW) & {"sql key", "json key"}) >= 1


# ------------------------------------------------------------------ stopped, gone on with, taken back
@pytest.mark.parametrize("backend", BACKENDS)
def test_stopped_half_way_it_is_gone_on_with(house: Callable[..., House], backend: str) -> None:
    one = house(backend)
    expected = populate_secrets(store := one.start(), keys=3)
    with pytest.raises(CancelledError):
        rotating.rotate(store, NEW, progress=stopping_after(2))
    assert store.peppers.change().phase == ROTATING  # type: ignore[union-attr]
    assert violations(one.settings, expected) == [] or backend == "json"
    told = secrets_check.check(store)
    assert told.exit_status == 0
    assert "unfinished" in told.as_text()
    again = one.start()
    with pytest.raises(PepperError, match="another pepper is unfinished"):
        rotating.rotate(again, THIRD)
    assert rotating.rotate(again).change.phase == DONE  # type: ignore[union-attr]
    assert one.under(OLD) == set()
    assert violations(one.settings, expected) == []


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_stopped_half_way_it_is_taken_back(house: Callable[..., House], backend: str, given: bool) -> None:
    one = house(backend, given=given)
    expected = populate_secrets(store := one.start(), keys=3)
    with pytest.raises(CancelledError):
        rotating.rotate(store, NEW, progress=stopping_after(2))
    with pytest.raises(CancelledError):
        rotating.take_back(store, progress=stopping_after(1))
    report = rotating.take_back(one.start())  # going on with going back
    assert report.change is not None
    assert (report.change.phase, report.change.back) == (DONE, True)
    assert one.under(NEW) == set()
    assert one.under(OLD) == one.everything
    assert violations(one.settings, expected) == []
    assert one.start().peppers.refusal() is None
    assert NEW in peppers_in(one.settings.instance_dir).values()  # what was exported meanwhile may be under it
    with pytest.raises(PepperError, match="nothing to take back"):
        rotating.take_back(store)


def test_a_pepper_that_was_kept_for_a_rotation_that_never_began_is_not_lost(house: Callable[..., House]) -> None:
    one = house()
    store = one.start()
    populate_secrets(store)
    store.peppers.files.keep_next(THIRD)
    rotating.rotate(store, NEW)
    assert THIRD in peppers_in(one.settings.instance_dir).values()
    assert one.under(NEW) == one.everything


# ------------------------------------------------------------------ a pepper in the environment
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_pepper_in_the_environment_is_waited_for(house: Callable[..., House], backend: str) -> None:
    one = house(backend, given=True)
    expected = populate_secrets(store := one.start())
    report = rotating.rotate(store, NEW)
    assert report.change is not None
    assert report.change.phase == WAITING
    kept = one.settings.instance_dir / "encryption-master-pepper.next"
    assert str(kept) in report.as_text()
    # With the old one a start is refused, and what runs goes on.
    refusal = one.start().peppers.refusal()
    assert refusal is not None
    assert str(kept) in refusal.sentence
    user = store.users.find_all()[0]
    expected.texts["key", make_key(store, "late", "sk-late", userId=user.id).id] = "sk-late"
    assert one.under(OLD) == set()
    # With the new one it is done, and nothing that holds a pepper went away.
    new = one.start(encryption_master_pepper=NEW)
    assert new.peppers.refusal() is None
    assert new.peppers.change().phase == DONE  # type: ignore[union-attr]
    assert set(peppers_in(one.settings.instance_dir).values()) == {OLD, NEW}
    assert not kept.exists()
    refusal = one.start().peppers.refusal()
    assert refusal is not None
    assert "kept-" in refusal.sentence
    make_key(store, "by the old process", "sk-old process", userId=user.id)
    if backend == "json":
        new.catch_up()
    assert one.under(OLD) == set()
    assert secrets_check.check(new).exit_status == 0


def test_what_waits_can_be_taken_back(house: Callable[..., House]) -> None:
    one = house(given=True)
    expected = populate_secrets(store := one.start())
    rotating.rotate(store, NEW)
    assert rotating.rotate(store).change.phase == WAITING  # type: ignore[union-attr]
    assert rotating.take_back(store).change.phase == DONE  # type: ignore[union-attr]
    assert one.under(OLD) == one.everything
    assert violations(one.settings, expected) == []
    assert one.start().peppers.refusal() is None


def test_a_copy_of_the_database_without_its_peppers_starts_and_writes_no_secret(
    house: Callable[..., House], tmp_path: Path
) -> None:
    one = house(given=True)
    populate_secrets(store := one.start())
    rotating.rotate(store, NEW)
    one.start(encryption_master_pepper=NEW)
    copy = one.start(encryption_master_pepper=THIRD, instance_dir=tmp_path / "elsewhere")
    assert copy.peppers.refusal() is None
    assert secrets_check.check(copy).failed == 8
    with pytest.raises(PepperError, match="does not know it"):
        make_key(copy, "here")
