"""One bad record hides no neighbour, is told by its id, and stays as it is: in SQL as in files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from store import Store
from store.errors import StoreError, UnreadableError
from store.repositories.contract import Query
from tests.factories import files_below, make_character, make_tag, make_user, open_test_store
from tests.store.repositories.conftest import KINDS

BAD, GOOD = "00000000-0000-4000-8000-00000000000b", "00000000-0000-4000-8000-00000000000a"


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """One of its own for every test, with a good and a bad character."""
    backend, _, database = request.param.partition("-")
    url = request.getfixturevalue("ready_postgres_url" if database == "postgresql" else "ready_sqlite_url")
    opened = open_test_store(tmp_path, url, backend)
    tag = make_tag(opened, name="Elf", userId=make_user(opened).id)
    for record_id, name in ((GOOD, "Good"), (BAD, "Bad")):
        make_character(opened, id=record_id, name=name, tags=[tag.id])
    spoil(opened)
    yield opened
    opened.close()


def spoil(store: Store) -> None:
    """As another program could."""
    if store.settings.data_backend == "json":
        path = store.settings.data_dir / "characters" / f"{BAD}.json"
        path.write_bytes(path.read_bytes().replace(b'"isFavorite": false', b'"isFavorite": "no"'))
        return
    values = {"sqlite": '"sillyTavernData" = \'{"n": NaN}\'', "postgresql": "\"createdAt\" = 'infinity'"}
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE characters SET {values[store.database.dialect]} WHERE id = '{BAD}'")


def test_the_neighbours_are_found_and_the_bad_one_is_told(store: Store) -> None:
    tag = store.tags.find_all()[0]
    owner = store.users.get_current_user().id
    for found in (
        store.characters.find_all(),
        store.characters.find_by_user_id(owner),
        store.characters.find_by_tag(tag.id),
    ):
        assert [one.name for one in found] == ["Good"]
        (problem,) = found.problems
        assert BAD in problem.message
        assert problem.hint
    assert store.characters.find_by_id(GOOD).name == "Good"
    assert "Good" in [row["name"] for row in store.characters.list(Query()).rows]


def test_asking_for_the_bad_one_is_answered_with_the_reason(store: Store) -> None:
    with pytest.raises(StoreError, match=BAD) as refused:
        store.characters.find_by_id(BAD)
    named = {"json": "isFavorite", "sqlite": "sillyTavernData", "postgresql": "createdAt"}
    key = "json" if store.settings.data_backend == "json" else store.database.dialect
    assert named[key] in refused.value.message
    assert refused.value.hint


def test_the_neighbours_can_be_changed(store: Store) -> None:
    result = store.characters.update(GOOD, {"title": "Dr"})
    assert (result.value.title, result.sources.consistent) == ("Dr", True)
    made = make_character(store, name="Third")
    assert store.characters.delete(made.id).value is True


def test_the_bad_one_is_left_exactly_as_it_is(store: Store) -> None:
    files = files_below(store.settings.data_dir)
    with pytest.raises(StoreError, match=BAD):
        store.characters.update(BAD, {"title": "Dr"})
    assert files_below(store.settings.data_dir) == files
    with pytest.raises(StoreError, match=BAD):
        store.characters.find_by_id(BAD)


def test_the_bad_one_becomes_good_again(store: Store) -> None:
    if store.settings.data_backend == "json":
        path = store.settings.data_dir / "characters" / f"{BAD}.json"
        path.write_bytes(path.read_bytes().replace(b'"no"', b"true"))
        assert store.characters.find_by_id(BAD).isFavorite is True
    else:
        field = {"sqlite": {"sillyTavernData": None}, "postgresql": {"createdAt": "2025-01-01T00:00:00.000Z"}}
        store.characters.update(BAD, field[store.database.dialect])
    assert sorted(one.name for one in store.characters.find_all()) == ["Bad", "Good"]
    assert store.characters.find_all().problems == []
    assert store.pending() == 0
    assert store.problems() == []


def test_a_user_goes_with_everything_unless_a_file_may_be_theirs_and_cannot_be_read(store: Store) -> None:
    """SQL deletes the bad row too; a file that cannot be read is never taken away, nor left without its owner."""
    owner, before = store.users.get_current_user().id, files_below(store.settings.data_dir)
    if store.settings.data_backend == "json":
        with pytest.raises(UnreadableError, match=BAD):
            store.users.delete(owner)
        assert files_below(store.settings.data_dir) == before
        return
    assert store.users.delete(owner).value is True
    assert not [path for path in files_below(store.settings.data_dir) if path.startswith("characters/")]


def test_text_that_is_no_utf_8_hides_no_neighbour(tmp_path: Path, ready_sqlite_url: str) -> None:
    """SQLite keeps any bytes in a text column."""
    store = open_test_store(tmp_path / "other", ready_sqlite_url, "dual")
    for record_id, name in ((GOOD, "Good"), (BAD, "Bad")):
        make_character(store, id=record_id, name=name)
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE characters SET title = CAST(X'61ff' AS TEXT) WHERE id = '{BAD}'")
    try:
        found = store.characters.find_all()
        assert [one.name for one in found] == ["Good"]
        assert BAD in found.problems[0].message
        assert store.characters.update(GOOD, {"title": "Dr"}).sources.consistent
        rows = store.characters.list(Query()).rows
        assert [(row["name"], row["title"]) for row in rows] == [("Bad", "a?"), ("Good", "Dr")]
    finally:
        store.close()
