"""A folder that is gone, empty or another one is no reason to delete anything from the database that followed it."""

import shutil
from pathlib import Path

import pytest

from store import Store
from store.errors import NotInStepError
from store.exporting import export, roll_back
from store.validation import validate_all_data
from tests.factories import make_tag, open_test_store


def names(store: Store) -> list[str]:
    with store.database.read() as connection:
        return sorted(connection.exec_driver_sql("SELECT name FROM tags").scalars())


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """Files with a tag, and a database that followed them."""
    store = open_test_store(tmp_path, backend="json")
    make_tag(store, name="Elf")
    store.close()
    return tmp_path


def test_an_empty_folder_in_its_place_at_a_start(full: Path) -> None:
    shutil.move(full / "data", full / "elsewhere")
    (full / "data").mkdir()
    store = open_test_store(full, backend="json")
    assert "holds no record" in store.step.sentence
    with pytest.raises(NotInStepError):
        store.following.apply()
    store.close()
    assert names(store) == ["Elf"]
    (full / "data").rmdir()
    shutil.move(full / "elsewhere", full / "data")
    store = open_test_store(full, backend="json")
    assert store.step.in_step
    assert [tag.name for tag in store.tags.find_all()] == ["Elf"]
    store.close()


@pytest.mark.parametrize("left", ["nothing", "an empty folder"])
def test_a_folder_that_goes_while_it_runs(full: Path, left: str) -> None:
    store = open_test_store(full, backend="json")
    shutil.move(full / "data", full / "elsewhere")
    if left == "an empty folder":
        (full / "data").mkdir()
    with pytest.raises(NotInStepError, match="not the folder"):
        store.catch_up()
    assert names(store) == ["Elf"]
    if left == "an empty folder":
        (full / "data").rmdir()
    shutil.move(full / "elsewhere", full / "data")
    make_tag(store, name="Ent", userId=store.users.find_all()[0].id)
    store.catch_up()
    assert names(store) == ["Elf", "Ent"]
    store.close()


def test_older_files_put_in_use_while_the_database_counts_take_nothing_from_it(full: Path) -> None:
    store = open_test_store(full, backend="sql")
    make_tag(store, name="Ent", userId=store.users.find_all()[0].id)
    assert export(store).switched
    roll_back(store, "gen-000000")
    store.close()
    for backend in ("sql", "dual", "json", "sql"):
        store = open_test_store(full, backend=backend)
        store.close()
        assert names(store) == ["Elf", "Ent"], backend


def test_older_files_put_in_use_while_they_count_are_followed_and_nothing_is_said_too_early(full: Path) -> None:
    store = open_test_store(full, backend="sql")
    make_tag(store, name="Ent", userId=store.users.find_all()[0].id)
    assert export(store).switched
    store.close()
    for backend in ("dual", "json"):
        store = open_test_store(full, backend=backend)
        store.catch_up()
        store.close()
    store = open_test_store(full, backend="json")
    step = roll_back(store, "gen-000000")
    assert "equal" not in step.sentence, "it is not known yet"
    store.catch_up()
    assert names(store) == ["Elf"]
    assert validate_all_data(store).exit_status == 0
    store.close()
