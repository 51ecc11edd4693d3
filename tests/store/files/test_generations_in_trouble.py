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
