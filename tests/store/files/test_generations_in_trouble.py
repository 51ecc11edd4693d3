"""Generations that people copied, or that lost their manifest: an export takes away only what Tandem left unfinished,
and ends well; nobody's folder goes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import Store
from store.errors import JsonSideError, NotFoundError
from store.exporting import export, roll_back
from store.files.generations import Generations
from tests.factories import files_below, make_tag, open_test_store, put


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A tag in SQL, and a generation with it in use."""
    opened = open_test_store(tmp_path, backend="sql")
    make_tag(opened)
    assert export(opened).switched
    yield opened
    opened.close()


@pytest.fixture
def generations(store: Store) -> Generations:
    return Generations(store.side)


def change(store: Store, name: str) -> None:
    store.tags.update(store.tags.find_all()[0].id, {"name": name})


# ------------------------------------------------------------------ what a person put there
@pytest.mark.parametrize("name", ["before-upgrade", "gen-000001.before", "gen-000007", "gen-000002.begun.d"])
def test_a_copy_that_a_person_made_stays(store: Store, generations: Generations, name: str) -> None:
    shutil.copytree(generations.folder / "gen-000001", generations.folder / name)
    before = files_below(generations.folder / name)
    for changed in ("One", "Two"):
        change(store, changed)
        assert export(store).switched
    assert files_below(generations.folder / name) == before
    assert generations.verify(generations.current() or "") == []


def test_a_number_is_not_taken_again_while_any_folder_has_it(store: Store, generations: Generations) -> None:
    (generations.folder / "gen-000007").mkdir()
    change(store, "One")
    assert export(store).generation == "gen-000008"


# ------------------------------------------------------------------ what Tandem left unfinished
def test_what_was_begun_and_not_finished_is_taken_away_and_its_marker(store: Store, generations: Generations) -> None:
    put(generations.begin(), "tags/tags.json", "half")
    (generations.folder / "gen-000003.begun").touch()  # killed before there was a folder
    change(store, "One")
    assert export(store).generation == "gen-000002"
    assert generations.verify("gen-000002") == []
    assert [path.name for path in generations.folder.iterdir() if "begun" in path.name] == []


def test_a_marker_beside_a_manifest_means_nothing(store: Store, generations: Generations) -> None:
    (generations.folder / "gen-000001.begun").touch()  # killed before it could be taken away
    change(store, "One")
    assert export(store).generation == "gen-000002"
    assert {one.name for one in generations.all()} >= {"gen-000001", "gen-000002"}
    assert not (generations.folder / "gen-000001.begun").exists()


# ------------------------------------------------------------------ manifests
@pytest.mark.parametrize("changed", [True, False])
def test_a_generation_in_use_whose_manifest_was_lost_stays_and_another_takes_its_place(
    store: Store, generations: Generations, changed: bool
) -> None:
    before = files_below(generations.folder / "gen-000001")
    (generations.folder / "gen-000001.manifest.json").unlink()
    if changed:
        change(store, "One")
    report = export(store)
    assert (report.switched, report.generation) == (True, "gen-000002"), report.as_text()
    assert files_below(generations.folder / "gen-000001") == before
    change(store, "Two")
    assert export(store).generation == "gen-000003"
    assert files_below(generations.folder / "gen-000001") == before


@pytest.mark.parametrize("torn", ["{", "[]", "{}", '{"files": 1}', "\udcff"])
def test_a_manifest_that_cannot_be_read_stops_nothing_and_is_named(
    store: Store, generations: Generations, torn: str
) -> None:
    change(store, "One")
    export(store)
    manifest = generations.folder / "gen-000001.manifest.json"
    manifest.write_bytes(torn.encode("utf-8", "surrogateescape"))
    assert [one.name for one in generations.all()] == ["gen-000002", "gen-000000"]
    change(store, "Two")
    assert export(store).generation == "gen-000003"
    assert generations.prune(keep=1) == ["gen-000002"]
    with pytest.raises(JsonSideError, match="cannot be read") as refused:
        roll_back(store, "gen-000001")
    assert str(manifest) in refused.value.message
    assert generations.current() == "gen-000003"
    assert (generations.folder / "gen-000001").is_dir()


@pytest.mark.parametrize("name", ["", "..", "../generations", "gen-000009", "gen-000001.manifest.json"])
def test_what_is_no_generation_is_not_put_in_use(store: Store, generations: Generations, name: str) -> None:
    with pytest.raises(NotFoundError):
        roll_back(store, name)
    assert generations.current() == "gen-000001"


# ------------------------------------------------------------------ a data folder that is a person's own link
@pytest.fixture(params=["absolute", "relative", "into other generations"])
def linked(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Store, Path]]:
    """A store whose data folder is a link to a folder elsewhere, with a file of nobody's in it."""
    elsewhere = tmp_path / "disk" / ("generations/gen-000001" if "into" in request.param else "files")
    put(elsewhere, "notes.txt", "mine")
    (tmp_path / "data").symlink_to(elsewhere if request.param == "absolute" else elsewhere.relative_to(tmp_path))
    opened = open_test_store(tmp_path, backend="sql")
    make_tag(opened, name="Old")
    yield opened, elsewhere
    opened.close()


def test_a_folder_behind_a_persons_own_link_becomes_the_first_generation(
    linked: tuple[Store, Path], tmp_path: Path
) -> None:
    store, elsewhere = linked
    assert export(store).generation == "gen-000001"
    generations = Generations(store.side)
    made, found = generations.all()
    assert (made.current, found.name, found.adopted) == (True, "gen-000000", True)
    assert files_below(elsewhere) == {"notes.txt": b"mine"}
    assert files_below(tmp_path / "data")["notes.txt"] == b"mine"
    assert b"".join(generations.zipped("gen-000000")).startswith(b"PK")
    roll_back(store, "gen-000000")
    assert generations.current() == "gen-000000"
    assert files_below(tmp_path / "data") == {"notes.txt": b"mine"}
    for name in "abc":
        change(store, name)
        assert export(store).switched
    assert generations.prune(keep=1) == ["gen-000003", "gen-000002", "gen-000001"]
    assert files_below(elsewhere) == {"notes.txt": b"mine"}
    assert [one.name for one in generations.all()] == ["gen-000004", "gen-000000"]


def test_a_try_killed_before_the_switch_is_no_second_generation(linked: tuple[Store, Path], tmp_path: Path) -> None:
    store, _ = linked
    link = (tmp_path / "data").readlink()
    assert export(store).switched
    (tmp_path / "data").unlink()
    (tmp_path / "data").symlink_to(link)  # as it was
    change(store, "New")
    assert export(store).switched
    assert [one.name for one in Generations(store.side).all()] == ["gen-000002", "gen-000001", "gen-000000"]


def test_another_folder_that_takes_its_place_is_a_generation_of_its_own(
    linked: tuple[Store, Path], tmp_path: Path
) -> None:
    store, elsewhere = linked
    assert export(store).switched
    (tmp_path / "data").unlink()
    put(tmp_path, "data/others.txt", "yours")
    assert export(store).switched
    adopted = [one.name for one in Generations(store.side).all() if one.adopted]
    assert len(adopted) == 2
    kept = {name: files_below(Generations(store.side).folder / name) for name in adopted}
    assert sorted(map(tuple, kept.values())) == [("notes.txt",), ("others.txt",)]
    shutil.rmtree(elsewhere)  # or its disk is not there now
    assert export(store).unchanged
    assert (Generations(store.side).folder / "gen-000000").is_symlink()
