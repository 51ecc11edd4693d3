"""Until both sides were brought together nothing is written over either; afterwards a restart only catches up."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import Store
from store.errors import JsonSideError, NotInStepError
from store.files.system import System
from tests.factories import (
    assert_everything_is_equal,
    files_below,
    lay_database,
    make_character,
    make_tag,
    make_user,
    open_test_store,
    put,
)


def sql_rows(store: Store) -> list[object]:
    return [list(repository.find_all()) for repository in store.repositories.values()]


def reopened(store: Store, tmp_path: Path, backend: str = "dual", **options: object) -> Store:
    store.close()
    return open_test_store(tmp_path, store.settings.database_url, backend, **options)  # type: ignore[arg-type]


@pytest.fixture
def only_sql(tmp_path: Path, ready_url: str) -> Iterator[Store]:
    """A database with records, a JSON side without."""
    store = open_test_store(tmp_path, ready_url, "sql")
    make_character(store, tags=[make_tag(store).id])
    yield store
    store.close()


@pytest.fixture
def only_json(tmp_path: Path, ready_url: str) -> Iterator[Store]:
    """Files with records, a database without: another one followed them."""
    lay_database(tmp_path / "other.sqlite")
    store = open_test_store(tmp_path, f"sqlite:///{tmp_path / 'other.sqlite'}", "json")
    make_character(store, tags=[make_tag(store).id])
    store.close()
    store = open_test_store(tmp_path, ready_url, "sql")
    yield store
    store.close()


def test_two_empty_sides_are_in_step(tmp_path: Path, ready_url: str) -> None:
    store = open_test_store(tmp_path, ready_url)
    assert store.step.in_step
    assert make_user(store) in store.users.find_all()
    assert_everything_is_equal(store)
    store = reopened(store, tmp_path)
    assert store.step.in_step
    assert len(store.users.find_all()) == 1
    store.close()


def test_a_full_database_writes_nothing_to_an_empty_side_by_itself(tmp_path: Path, only_sql: Store) -> None:
    store = reopened(only_sql, tmp_path)
    assert (store.step.in_step, store.step.can_fill_json) == (False, True)
    assert store.step.sentence
    assert store.step.hint
    result = store.users.create({"email": "late@example.org"})
    assert (result.sources.sql, result.sources.json, result.sources.consistent) == (True, False, False)
    assert isinstance(result.sources.error, NotInStepError)
    assert files_below(tmp_path / "data") == {}
    assert store.pending() == 1
    assert any(isinstance(problem, NotInStepError) for problem in store.problems())
    before = sql_rows(store)
    store.fill_json_side()
    assert store.step.in_step
    assert sql_rows(store) == before
    assert_everything_is_equal(store)
    store = reopened(store, tmp_path)
    assert store.step.in_step
    assert_everything_is_equal(store)
    store.close()


def test_full_files_are_not_deleted_for_an_empty_database(tmp_path: Path, only_json: Store) -> None:
    files = files_below(tmp_path / "data")
    store = reopened(only_json, tmp_path)
    assert (store.step.in_step, store.step.can_fill_json) == (False, False)
    assert "json" in store.step.hint.lower()
    store.users.create({"email": "new@example.org"})
    with pytest.raises(NotInStepError):
        store.outbox.apply()
    with pytest.raises(NotInStepError, match="holds records"):
        store.fill_json_side()
    assert files_below(tmp_path / "data") == files
    store.close()


def test_two_sides_that_hold_the_same_are_in_step(tmp_path: Path, only_sql: Store, ready_url: str) -> None:
    store = reopened(only_sql, tmp_path)
    store.fill_json_side()
    forget(store)
    store = reopened(store, tmp_path)
    assert store.step.in_step
    make_user(store, name="New")
    assert_everything_is_equal(store)
    store.close()


def forget(store: Store) -> None:
    """As after a backup that was put back: the database does not know the folder any more."""
    store.database.set_state("in_step_with", None)
    store.outbox.bond = None


DAMAGES = {
    "a changed record": lambda data, path: put(data, path, (data / path).read_text().replace("Alice", "Mallory")),
    "a record more": lambda data, path: put(
        data, "characters/more.json", (data / path).read_text().replace(Path(path).stem, "more")
    ),
    "a record less": lambda data, path: (data / path).unlink(),
    "an unreadable record more": lambda data, path: put(data, "characters/more.json", "{"),
    "an unreadable record": lambda data, path: put(data, path, "{"),
    "an unreadable aggregate": lambda data, path: put(data, "tags/tags.json", "{"),
}


@pytest.mark.parametrize("how", DAMAGES)
def test_two_sides_that_differ_are_left_as_they_are(tmp_path: Path, how: str) -> None:
    store = open_test_store(tmp_path)
    alice = make_character(store, name="Alice", tags=[make_tag(store).id])
    forget(store)
    store.close()
    data = tmp_path / "data"
    DAMAGES[how](data, f"characters/{alice.id}.json")
    files = files_below(data)
    store = open_test_store(tmp_path)
    assert not store.step.in_step
    assert "differ" in store.step.sentence
    before = sql_rows(store)
    assert not store.characters.update(alice.id, {"title": "Dr"}).sources.consistent
    assert files_below(data) == files
    assert sql_rows(store) != before
    store.close()


def test_a_moved_data_folder_is_recognised_by_what_it_holds(tmp_path: Path) -> None:
    store = open_test_store(tmp_path)
    alice = make_character(store)
    store.close()
    shutil.move(tmp_path / "data", tmp_path / "elsewhere")
    (tmp_path / "data").symlink_to(tmp_path / "elsewhere")
    store = open_test_store(tmp_path)
    assert store.step.in_step
    store.characters.update(alice.id, {"title": "Dr"})
    assert_everything_is_equal(store)
    store.close()


def test_a_data_folder_that_is_gone_is_not_filled_silently(tmp_path: Path) -> None:
    store = open_test_store(tmp_path)
    make_character(store)
    store.close()
    shutil.rmtree(tmp_path / "data")  # or a disk that was not mounted
    store = open_test_store(tmp_path)
    assert not store.step.in_step
    assert store.step.can_fill_json
    assert files_below(tmp_path / "data") == {}
    store.fill_json_side()
    assert_everything_is_equal(store)
    store.close()


def test_an_emptied_database_does_not_empty_the_files(tmp_path: Path) -> None:
    """Somebody pointed Tandem at another, empty database file."""
    store = open_test_store(tmp_path)
    make_character(store)
    store.close()
    files = files_below(tmp_path / "data")
    store = open_test_store(tmp_path, f"sqlite:///{tmp_path / 'other.sqlite'}")
    assert not store.step.in_step
    make_user(store)
    assert files_below(tmp_path / "data") == files
    store.close()


def test_what_was_deleted_while_nobody_looked_is_caught_up_with(tmp_path: Path) -> None:
    store = open_test_store(tmp_path)
    user = make_character(store).userId
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql(f"DELETE FROM users WHERE id = '{user}'")
    store = reopened(store, tmp_path)
    assert store.step.in_step
    assert store.pending() == 0
    assert_everything_is_equal(store)
    store.close()


class Dying(System):
    """Dies at the n-th rename from ``armed`` on, as a killed process does: nothing after it happens, not even tidying
    up."""

    def __init__(self, at: int) -> None:
        self._left, self.armed = at, False

    def rename(self, source: Path, target: Path) -> None:
        self._left -= self.armed
        if self._left <= 0:
            raise KeyboardInterrupt
        super().rename(source, target)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_killed_fill_goes_on_at_the_next_start(tmp_path: Path, only_sql: Store, at: int) -> None:
    dying = reopened(only_sql, tmp_path, system=(system := Dying(at)))
    system.armed = True
    with pytest.raises(KeyboardInterrupt):
        dying.fill_json_side()
    dying.outbox.bond = None  # who is killed says no good-bye
    assert len([path for path in files_below(tmp_path / "data") if ".tandem-" not in path]) == max(at - 2, 0)
    store = reopened(dying, tmp_path)
    assert store.step.in_step
    assert store.problems() == []
    assert_everything_is_equal(store)
    assert not [path for path in files_below(tmp_path / "data") if ".tandem-" in path]
    store.close()


class Full(System):
    """A disk that is full until it is not."""

    full = False

    def create(self, path: Path):  # type: ignore[no-untyped-def]
        if self.full:
            raise OSError(28, "No space left on device", str(path))
        return super().create(path)


def test_a_full_disk_stops_no_write_and_is_caught_up_with(tmp_path: Path, ready_url: str) -> None:
    disk = Full()
    store = open_test_store(tmp_path, ready_url, system=disk)
    alice = make_character(store, name="Alice")
    disk.full = True
    result = store.characters.update(alice.id, {"name": "Alicia"})
    assert result.value.name == "Alicia"
    assert not result.sources.consistent
    assert "no room left" in result.sources.error.message
    assert result.sources.error.hint
    assert store.compare("character", alice.id).state == "pending"
    assert b"Alice" in (tmp_path / f"data/characters/{alice.id}.json").read_bytes()
    disk.full = False
    store.outbox.apply()
    assert store.problems() == []
    assert_everything_is_equal(store)
    store.close()


def test_in_json_mode_a_full_disk_leaves_files_and_answers_as_they_were(tmp_path: Path) -> None:
    disk = Full()
    store = open_test_store(tmp_path, backend="json", system=disk)
    alice = make_character(store, name="Alice")
    files = files_below(tmp_path / "data")
    disk.full = True
    with pytest.raises(JsonSideError, match="no room left"):
        store.characters.update(alice.id, {"name": "Alicia"})
    assert files_below(tmp_path / "data") == files
    assert store.characters.find_by_id(alice.id) == alice
    disk.full = False
    assert store.characters.update(alice.id, {"name": "Alicia"}).value.name == "Alicia"
    store.close()
