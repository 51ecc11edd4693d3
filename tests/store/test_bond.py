"""A side that was put back from a backup, deleted or swapped is noticed, and nothing is written over the other."""

import shutil
from pathlib import Path

import sqlalchemy as sa

from store import Store
from store.errors import NotInStepError
from tests.factories import (
    assert_everything_is_equal,
    files_below,
    make_character,
    make_tag,
    make_user,
    open_test_store,
)


def name_in_files(store: Store, record_id: str) -> bytes:
    return files_below(store.settings.data_dir)[f"characters/{record_id}.json"]


def test_an_older_database_that_was_put_back_does_not_overwrite_newer_files(tmp_path: Path) -> None:
    store = open_test_store(tmp_path)
    alice = make_character(store, name="Alice")
    store.close()
    shutil.copy(tmp_path / "quilltap.sqlite", tmp_path / "backup.sqlite")
    store = open_test_store(tmp_path)
    store.characters.update(alice.id, {"description": "newer"})
    bob = make_character(store, name="Bob")
    store.close()
    shutil.copy(tmp_path / "backup.sqlite", tmp_path / "quilltap.sqlite")
    store = open_test_store(tmp_path)
    assert not store.step.in_step
    result = store.characters.update(alice.id, {"title": "Dr"})
    assert isinstance(result.sources.error, NotInStepError)
    assert b"newer" in name_in_files(store, alice.id)
    assert b"Bob" in name_in_files(store, bob.id)
    store.close()


def test_a_data_folder_that_was_deleted_while_tandem_runs_is_noticed_at_the_next_write(tmp_path: Path) -> None:
    store = open_test_store(tmp_path)
    alice, bob = make_character(store, name="Alice"), make_character(store, name="Bob")
    store.settings.data_dir.rename(tmp_path / "gone")
    store.settings.data_dir.mkdir()
    result = store.characters.update(alice.id, {"title": "Dr"})
    assert not result.sources.consistent
    assert isinstance(result.sources.error, NotInStepError)
    assert files_below(store.settings.data_dir) == {}
    assert store.step.can_fill_json
    store.fill_json_side()
    assert b"Dr" in name_in_files(store, alice.id)
    assert b"Bob" in name_in_files(store, bob.id)
    store.close()


def test_entries_are_not_used_up_for_another_folder(tmp_path: Path) -> None:
    one = open_test_store(tmp_path)
    alice = make_character(one)
    (tmp_path / "second").mkdir()
    shutil.copytree(tmp_path / "data", tmp_path / "second" / "data")
    other = open_test_store(tmp_path / "second", str(one.database.engine.url))
    assert other.step.in_step
    result = one.characters.update(alice.id, {"title": "Dr"})
    assert isinstance(result.sources.error, NotInStepError)
    other.outbox.apply()
    assert b"Dr" in name_in_files(other, alice.id)
    one.close()
    other.close()


def test_what_waits_does_not_count_as_a_difference(tmp_path: Path) -> None:
    store = open_test_store(tmp_path)
    alice = make_character(store)
    with store.database.write() as connection:
        connection.execute(sa.text("UPDATE characters SET name = 'Foreign'"))
    (store.settings.own_dir / "bond").unlink()
    store.outbox.bond = None
    store.close()
    store = open_test_store(tmp_path)
    assert store.step.in_step
    assert b"Foreign" in name_in_files(store, alice.id)
    store.close()


def test_after_json_mode_the_database_has_what_the_files_have(tmp_path: Path) -> None:
    store = open_test_store(tmp_path)
    alice = make_character(store)
    store.close()
    store = open_test_store(tmp_path, backend="json")
    store.characters.update(alice.id, {"title": "Dr"})
    store.close()
    store = open_test_store(tmp_path)
    assert store.step.in_step
    assert store.characters.find_by_id(alice.id).title == "Dr"
    assert_everything_is_equal(store)
    store.close()


# ------------------------------------------------------------------ ids that only another program can write
def put(store: Store, statement: str) -> None:
    with store.database.write() as connection:
        connection.exec_driver_sql(statement)


COLUMNS = "id, userId, name, nameLower, updatedAt"
INSERT = f"INSERT INTO tags ({COLUMNS}) VALUES ({{}}, '{{}}', '{{}}', '{{}}', '2025-01-01 00:00:00.000000')"


def test_an_id_no_file_can_be_named_by_hinders_nobody(tmp_path: Path) -> None:
    store = open_test_store(tmp_path)
    user = make_user(store)
    odd = {"blob": "X'ff00'", "text": "CAST(X'61ff' AS TEXT)", "nul": "CAST(X'610062' AS TEXT)", "star": "'*'"}
    for name, value in odd.items():
        put(store, INSERT.format(value, user.id, name, name))
    tag = make_tag(store, "Elf", userId=user.id)
    assert b"Elf" in files_below(store.settings.data_dir)["tags/tags.json"]
    assert sorted(one.name for one in store.tags.find_all()) == ["Elf", "star"]
    assert len(store.tags.find_all().problems) == 3
    assert store.tags.update(tag.id, {"name": "Elves"}).sources.consistent
    assert store.pending() == 4  # the star waits with them: its entry reads as "every tag"
    assert len(store.problems()) == 3
    store.close()
    store = open_test_store(tmp_path)
    put(store, "DELETE FROM tags WHERE name IN ('blob', 'text', 'nul')")
    store.outbox.apply()
    assert (store.pending(), store.problems()) == (0, [])
    store.close()


def test_an_id_too_long_for_a_file_name_hinders_nobody(tmp_path: Path) -> None:
    store = open_test_store(tmp_path)
    user = make_user(store)
    long = make_character(store, userId=user.id, id="x" * 240)
    assert store.compare("character", long.id).state == "equal"
    empty = dict.fromkeys(("description", "personality", "scenario", "firstMessage"), "")
    result = store.characters.create({**empty, "id": "y" * 300, "userId": user.id, "name": "Long"})
    assert not result.sources.consistent
    assert "too long" in result.sources.error.message  # type: ignore[union-attr]
    assert make_character(store, name="Fine")
    assert store.pending() == 1
    assert store.characters.delete("y" * 300).sources.consistent
    assert store.pending() == 0
    store.close()


def test_something_unexpected_is_told_and_not_a_crash(tmp_path: Path) -> None:
    store = open_test_store(tmp_path)

    class Broken(type(store.side)):  # type: ignore[misc]
        """A bug."""

        def plan(self, changes: object) -> object:
            raise RuntimeError("a bug")

    store.side.__class__ = Broken
    result = store.users.create({"email": "a@example.org"})
    assert result.value.user.email == "a@example.org"
    assert "unexpected" in result.sources.error.message  # type: ignore[union-attr]
    assert store.pending() == 1
    store.close()
