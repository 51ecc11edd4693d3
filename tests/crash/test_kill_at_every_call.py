"""A process killed at any step leaves a store that the next start brings in order: wholly done or not done at all.

The page cache survives a kill, so this proves order and repetition; what a power cut loses is in ``test_power_cut``.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import Store
from store.errors import DuplicateError
from tests.crash import reader
from tests.crash.stops import KILLED, SteppedSystem, Steps, run_apart
from tests.crash.world import OPERATIONS, SINGLE_FILE, Operation, World, make_world
from tests.postgres import PostgresServer

Records = dict[reader.Entity, reader.Row]


@pytest.fixture(params=["dual", "json"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return make_world(tmp_path, request.param)


@pytest.fixture
def postgres_world(tmp_path: Path, postgres_server: PostgresServer) -> Iterator[World]:
    world = make_world(tmp_path, "dual", postgres_server)
    yield world
    world.forget()


def perform(world: World, operation: Operation, steps: Steps) -> None:
    """The operation in a freshly opened store, counted."""
    steps.counting = False  # opening is not what is killed here
    store = world.open(SteppedSystem(steps))
    steps.counting = True
    steps.listen((store.index.database if world.settings.data_backend == "json" else store.database).engine)
    operation(store)
    steps.counting = False
    store.close()


def recover(world: World, steps: Steps | None = None) -> None:
    """What the next start does; ``steps`` counts it."""
    store = Store(world.settings, SteppedSystem(steps) if steps else None)
    if steps:
        steps.listen((store.index.database if world.settings.data_backend == "json" else store.database).engine)
    store.start(follow=False)
    for repository in store.repositories.values():
        assert repository.find_all().problems == []
    assert store.pending() == 0
    assert store.problems() == []
    store.close()


def rehearse(world: World, name: str) -> tuple[Records, Records, list[str]]:
    """How it is before and after, and the steps in between."""
    before = world.records()
    steps = Steps()
    perform(world, OPERATIONS[name], steps)
    after = world.records()
    assert before != after
    assert world.violations() == []
    return before, after, steps.names


def check_dual(world: World, before: Records, after: Records, done: bool) -> None:
    """Both sides are equal, nothing waits or lies about, and SQL's commit alone has decided what holds."""
    recover(world)
    assert world.violations() == []
    assert world.records() == (after if done else before)


def check_json(world: World, name: str, before: Records, after: Records) -> None:
    """Every record is the old or the new one, no link dangles, and the operation can be repeated to its end."""
    assert_whole(world, name, before, after)
    recover(world)
    assert world.violations() == []
    assert_whole(world, name, before, after)
    there = world.records()
    store = world.open()
    with contextlib.suppress(DuplicateError) if there == after else contextlib.nullcontext():
        OPERATIONS[name](store)
    store.close()
    assert world.violations() == []
    assert reader.dangling(world.records(), derived=True) == []
    assert world.records() == after


def assert_whole(world: World, name: str, before: Records, after: Records) -> None:
    there = world.records()
    for entity in before.keys() | after.keys() | there.keys():
        assert there.get(entity) in (before.get(entity), after.get(entity)), entity
    if name in SINGLE_FILE:
        assert there in (before, after)


def kill_everywhere(world: World, name: str) -> int:
    """Kill the operation at each step and check what the next start makes of it; how many steps."""
    before, after, names = rehearse(world, name)
    dual = world.settings.data_backend == "dual"
    for stop in range(len(names)):
        world.restore()
        code = run_apart(lambda stop=stop: perform(world, OPERATIONS[name], Steps(stop)))
        assert code == KILLED, f"step {stop} of {names}"
        try:
            if dual:
                check_dual(world, before, after, done=stop > names.index("commit"))
            else:
                check_json(world, name, before, after)
        except AssertionError as error:
            raise AssertionError(f"killed before step {stop}, {names[stop]}, after {names[:stop]}") from error
    return len(names)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_killed_at_any_step_is_done_or_not_done(world: World, name: str) -> None:
    print(kill_everywhere(world, name))
