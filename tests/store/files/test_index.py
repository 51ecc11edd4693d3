"""The derived index of json mode has nothing of its own: it may be deleted, damaged or old at any time."""

import sqlite3
from pathlib import Path

import pytest

from store import Store, capture, database
from store.errors import DatabaseHeldError
from store.files import logs
from tests.factories import files_below, make_character, make_tag, put
from tests.store.files.conftest import Opener
from tests.store.files.lines_of_chats import FIRST, PATH, SECOND


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "data.tandem" / "index.sqlite"


def remove(index: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        index.with_name(index.name + suffix).unlink(missing_ok=True)


def state(store: Store) -> list[object]:
    return [list(repository.find_all()) for repository in store.repositories.values()]


def test_it_can_be_deleted_between_two_starts(opener: Opener, index: Path, data: Path) -> None:
    first = opener()
    make_character(first, tags=[make_tag(first).id])
    before, files = state(first), files_below(data)
    first.close()
    remove(index)
    assert state(opener()) == before
    assert files_below(data) == files


def test_it_can_be_deleted_while_the_store_is_open(opener: Opener, index: Path) -> None:
    store = opener()
    tag = make_tag(store)
    before = state(store)
    remove(index)
    assert state(store) == before
    remove(index)
    alice = make_character(store, tags=[tag.id])
    remove(index)
    assert store.characters.update(alice.id, {"title": "Dr"}).value.tags == (tag.id,)
    assert index.exists()
    assert len(store.characters.find_all()) == 1


DAMAGE = {
    "no database at all": lambda data: b"garbage" * 1000,
    "cut short": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "zeros in the middle": lambda data: data[:4096] + b"\0" * (len(data) - 4096),
    "a broken header": lambda data: b"SQLite format 3\0" + b"\xff" * 200,
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_one_is_made_anew_at_the_next_start(opener: Opener, index: Path, data: Path, how: str) -> None:
    first = opener()
    for name in ("Alice", "Eve"):
        make_character(first, name=name)
    before, files = state(first), files_below(data)
    first.close()
    index.write_bytes(DAMAGE[how](index.read_bytes()))
    store = opener()
    assert state(store) == before
    assert files_below(data) == files
    assert make_character(store, name="Third") in store.characters.find_all()


def test_one_of_another_version_is_thrown_away(opener: Opener, index: Path) -> None:
    first = opener()
    make_character(first)
    before = state(first)
    first.close()
    with sqlite3.connect(index) as connection:
        connection.execute("UPDATE index_version SET version = 'later'")
        connection.execute("DROP TABLE characters")
    connection.close()
    assert state(opener()) == before


def test_rows_changed_behind_its_back_never_reach_a_file(opener: Opener, index: Path, data: Path) -> None:
    """Only what a repository changes is written."""
    store = opener()
    alice, eve = make_character(store, name="Alice"), make_character(store, name="Eve")
    files = files_below(data)
    connection = sqlite3.connect(index)
    connection.create_function("tandem_casefold", 1, str)
    with connection:
        connection.execute("DELETE FROM characters WHERE id = ?", (eve.id,))
    connection.close()
    store.characters.find_all()
    assert files_below(data) == files
    store.characters.update(alice.id, {"title": "Dr"})
    assert f"characters/{eve.id}.json" in files_below(data)


def test_both_stores_of_a_folder_may_use_one_index(opener: Opener, index: Path) -> None:
    one, two = opener(), opener()
    made = [make_tag(store, name=f"T{number}") for number, store in enumerate((one, two, one, two))]
    assert state(one) == state(two)
    assert len(made) == len(one.tags.find_all())
    remove(index)
    make_tag(two, name="more")
    assert len(one.tags.find_all()) == len(two.tags.find_all()) == 5


def test_one_that_another_process_holds_is_not_taken_for_damaged(
    opener: Opener, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tag(opener())
    held, inode = sqlite3.connect(index, isolation_level=None), index.stat().st_ino
    held.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(database, "BUSY_MS", 50)
    with pytest.raises(DatabaseHeldError):
        opener()
    held.execute("ROLLBACK")
    held.close()
    assert index.stat().st_ino == inode
    assert len(opener().tags.find_all()) == 1


def test_a_look_at_an_empty_folder_writes_nothing(opener: Opener, index: Path) -> None:
    store = opener()
    store.index.refresh(full=True)
    reader = sqlite3.connect(index)
    before = reader.execute("PRAGMA schema_version").fetchall()
    for _ in range(3):
        store.index.refresh(full=True)
    assert reader.execute("PRAGMA schema_version").fetchall() == before
    reader.close()


def test_after_the_first_filling_every_trigger_is_in_place(opener: Opener, index: Path) -> None:
    first = opener()
    make_character(first, tags=[make_tag(first).id])
    first.close()
    remove(index)
    store = opener()
    assert len(store.tags.find_all()) == 1
    with store.index.database.read() as connection:
        assert capture.missing(connection) == []


def test_a_record_that_takes_the_name_of_another_is_told_and_stops_no_neighbour(opener: Opener, data: Path) -> None:
    first = opener()
    kept = [make_character(first, tags=[make_tag(first, name=name).id], name=name) for name in ("Elf", "Fox", "Owl")]
    first.close()
    remove(data.with_name("data.tandem") / "index.sqlite")
    for name in ("name", "nameLower"):
        there = (data / "tags/tags.json").read_text()
        put(data, "tags/tags.json", there.replace(f'"{name}": "Fox"', f'"{name}": "Elf"').replace('"fox"', '"elf"'))
    store = opener()
    assert [tag.name for tag in store.tags.find_all()] == ["Elf", "Owl"]
    (problem,) = store.index.problems()
    assert "tag “Elf”" in problem.reason
    assert "takes an id or a name that another record has" in problem.reason
    assert {one.name: one.tags for one in store.characters.find_all()} == {one.name: one.tags for one in kept}


def test_a_message_that_is_refused_beside_a_bad_line_is_told_once(opener: Opener, data: Path) -> None:
    put(data, PATH, logs.line(FIRST))
    put(data, "chats/00000000-0000-4000-8000-0000000000ff.jsonl", logs.line(FIRST) + b"{\n" + logs.line(SECOND))
    put(data, "chats/00000000-0000-4000-8000-0000000000fe.jsonl", logs.line(FIRST) + b"{\n" + logs.line(SECOND))
    store = opener()
    store.index.refresh(full=True)
    reasons = [(problem.path, problem.reason) for problem in store.index.problems()]
    assert len(reasons) == len(set(reasons))
    assert any("another chat's message" in reason for _, reason in reasons), reasons
