"""What a file may leave out: the validation goes on, and tells what is wrong."""

from pathlib import Path

import pytest

from store.repair_plan import plan_repair
from store.repairing import repair
from store.validation import validate_all_data
from tests.store.validation.damaging import CHARACTER, PERSONA, records
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
