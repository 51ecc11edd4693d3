"""A repair from the files deletes what is not in them, and nothing that they hold, nor what its plan does not name."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from store import Store
from store.errors import NotInStepError
from store.repair_plan import RepairPlan, plan_repair
from store.repairing import repair
from store.validation import validate_all_data
from tests.factories import (
    assert_everything_is_equal,
    files_below,
    make_character,
    make_chat,
    make_message,
    make_persona,
    make_tag,
    open_test_store,
    put,
)

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    opened = open_test_store(tmp_path, url)
    alice = make_character(opened, name="Alice", tags=[make_tag(opened, name="Elf").id])
    make_message(opened, make_chat(opened, characterId=alice.id))
    make_persona(opened)
    opened.catch_up()
    yield opened
    opened.close()


@pytest.fixture
def data(store: Store) -> Path:
    return store.settings.data_dir


def planned(store: Store) -> RepairPlan:
    return plan_repair(validate_all_data(store).affected, "json", store)


def everything(store: Store) -> list[object]:
    messages = [list(store.chats.get_messages(chat.id)) for chat in store.chats.find_all()]
    return [messages, *(list(repository.find_all()) for repository in store.repositories.values())]


LOST = {
    "the user's file": "settings/general.json",
    "a character's file": "characters/{character}.json",
    "the line of a chat": "chats/index.jsonl",
}


@pytest.mark.parametrize("what", LOST)
def test_what_the_files_still_tie_to_it_keeps_a_record(store: Store, data: Path, what: str) -> None:
    before = everything(store)
    path = data / LOST[what].format(character=store.characters.find_all()[0].id)
    kept = path.read_bytes()
    path.unlink()
    there = files_below(data)
    plan = planned(store)
    assert plan.steps == []
    assert any("with it would go: " in one and "Put it back into the files" in one for one in plan.left), plan.left
    repair(store, plan)
    assert (everything(store), files_below(data)) == (before, there)
    put(data, str(path.relative_to(data)), kept)
    assert validate_all_data(store).exit_status == 0


def test_who_loses_a_link_is_named_in_the_plan(store: Store, data: Path) -> None:
    alice = store.characters.find_all()[0]
    tags = data / "tags/tags.json"
    start, end = tags.read_text().index("[") + 1, tags.read_text().rindex("]")
    put(data, "tags/tags.json", tags.read_text()[:start] + tags.read_text()[end:])
    plan = planned(store)
    (step,) = (one for one in plan.steps if one.action == "delete")
    assert f"character {alice.id}" in step.why
    assert repair(store, plan).exit_status == 0
    assert store.characters.find_by_id(alice.id).tags == ()
    assert_everything_is_equal(store)


def test_what_nothing_hangs_on_goes_and_so_does_a_whole_family(store: Store, data: Path) -> None:
    (data / f"personas/{store.personas.find_all()[0].id}.json").unlink()
    alice, chat = store.characters.find_all()[0], store.chats.find_all()[0]
    for path in (f"characters/{alice.id}.json", f"chats/{chat.id}.jsonl"):
        (data / path).unlink()
    put(data, "chats/index.jsonl", "")
    plan = planned(store)
    assert plan.left == []
    assert repair(store, plan).exit_status == 0
    left = {kind: len(store.repositories[kind].find_all()) for kind in ("persona", "character", "chat", "tag")}
    assert left == {"persona": 0, "character": 0, "chat": 0, "tag": 1}


@pytest.mark.parametrize("how", ["empty", "gone", "a link that leads nowhere"])
def test_an_empty_side_repairs_nothing(store: Store, data: Path, how: str) -> None:
    before, aside = everything(store), data.with_name("aside")
    data.rename(aside)
    if how == "empty":
        data.mkdir()
    elif how != "gone":
        data.symlink_to(data.with_name("nowhere"))
    with pytest.raises(NotInStepError, match="holds no record"):
        planned(store)
    assert everything(store) == before
    if how == "empty":
        data.rmdir()
    elif how != "gone":
        data.unlink()
    aside.rename(data)
    assert validate_all_data(store).exit_status == 0


def test_of_a_family_that_is_gone_no_part_goes_alone(store: Store, data: Path) -> None:
    alice, chat = store.characters.find_all()[0], store.chats.find_all()[0]
    for path in (f"characters/{alice.id}.json", f"chats/{chat.id}.jsonl"):
        (data / path).unlink()
    put(data, "chats/index.jsonl", "")
    plan = plan_repair(validate_all_data(store, only=["Character"]).affected, "json", store)
    assert plan.steps == []
    assert f"chat {chat.id}" in plan.left[0]
