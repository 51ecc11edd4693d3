"""What a file may leave out, and what lies around its lists: the validation goes on, and tells what is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from store.repair_plan import plan_repair
from store.repairing import repair
from store.validation import validate_all_data
from tests import nasty
from tests.nasty import uid
from tests.store.validation.damaging import CHARACTER, KEYS, PERSONA, TAGS, Named, edit, records
from tests.store.validation.test_damages import told
from tests.store.validation.world import World

LEFT_OUT = {
    "personaLinks": (CHARACTER, "CharacterPersona"),
    "avatarOverrides": (CHARACTER, "ChatAvatarOverride"),
    "tags": (CHARACTER, "CharacterTag"),
    "characterLinks": (PERSONA, "Persona"),
}


@pytest.mark.parametrize("key", LEFT_OUT)
def test_a_list_that_a_file_leaves_out_is_an_empty_one(world: World, tmp_path: Path, key: str) -> None:
    path, model = LEFT_OUT[key]
    store = world.opened(tmp_path)
    sound = (store.settings.data_dir / path).read_bytes()
    records(path, lambda record: record.pop(key))(store.settings.data_dir)
    report = validate_all_data(store)
    assert report.exit_status & 2, report.as_text()
    assert {one.model for one in report.differences} == {model}
    assert report.models["Character"].equal == 3
    assert repair(store, plan_repair(report.affected, "sql", store)).exit_status == 0
    assert (store.settings.data_dir / path).read_bytes() == sound
    store.close()


# ---------------------------------------------------------------------- around the lists
def put_in(**members: Any) -> Any:
    return lambda whole: whole.update(members)


@pytest.mark.parametrize(("path", "name"), [(TAGS, "Tag 1"), (KEYS, "Key 1")])
@pytest.mark.parametrize("value", [["a"], [{"createdAt": "2001-01-01T00:00:00.000Z"}], [None]], ids=str)
def test_a_list_of_somebody_elses_in_a_file_says_nothing_of_its_dates(
    world: World, data: Path, path: str, name: str, value: Any
) -> None:
    records(path, put_in(pinned=value))(data)
    report = world.validated(data)
    assert report.exit_status == 0, report.as_text()
    edit(path, "", name, "Another")(data)
    report = world.validated(data)
    assert (report.exit_status, len(report.differences)) == (2, 1), report.as_text()


@pytest.mark.parametrize("name", ["version", "createdAt", "updatedAt"])
def test_what_is_no_version_and_no_date_of_a_file_is_told_and_repaired(world: World, tmp_path: Path, name: str) -> None:
    store = world.opened(tmp_path)
    data = store.settings.data_dir
    sound = (data / TAGS).read_bytes()
    records(TAGS, put_in(**{name: ["a"]}))(data)
    report = validate_all_data(store)
    wrong: Named = ("Tag", TAGS, name)
    assert (report.exit_status, told(report)) == (2, {wrong}), report.as_text()
    assert report.models["Tag"].equal == 3
    before = nasty.raw_rows(store.settings.database_url)
    assert repair(store, plan_repair(report.affected, "sql", store)).exit_status == 0
    assert (data / TAGS).read_bytes() == sound
    assert nasty.raw_rows(store.settings.database_url) == before
    store.close()


def test_a_list_of_somebody_elses_stays_when_its_file_is_written(world: World, tmp_path: Path) -> None:
    store = world.opened(tmp_path)
    data = store.settings.data_dir
    records(TAGS, put_in(pinned=["a"], version="x"))(data)
    assert store.tags.update(uid("tags", 1), {"name": "Other", "nameLower": "other"}).sources.consistent
    whole = json.loads((data / TAGS).read_text())
    assert (whole["pinned"], whole["version"], whole["tags"][1]["name"]) == (["a"], 1, "Other")
    assert validate_all_data(store).exit_status == 0
    store.close()


# ---------------------------------------------------------------------- the quick look
def test_the_quick_look_says_what_it_looked_at(world: World, data: Path) -> None:
    assert world.validated(data, quick=True).verdict == "Both sides hold the same records and as many messages."
    only = world.validated(data, quick=True, only=("Tag",))
    assert only.verdict == "Both sides hold the same records."
    assert world.validated(data).verdict == "Both sides hold the same."
