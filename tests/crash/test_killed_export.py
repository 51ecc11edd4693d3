"""An export killed at any call: the files in use are the old ones or the new ones, whole; the next one ends well."""

import itertools
import os
import random
import signal
import time
from pathlib import Path

import pytest

from store import Store, generating, hands
from store.exporting import export
from store.files.generations import Generations
from tests.crash.stops import KILLED, SteppedSystem, Steps, changes_in, run_apart
from tests.crash.world import World, make_world
from tests.factories import files_below

pytestmark = pytest.mark.slow
CHANGED = "UPDATE characters SET name = 'Changed', \"updatedAt\" = '2026-01-01 00:00:00.000000'"


@pytest.fixture
def world(memory_path: Path) -> World:
    """Both sides equal, but for one change that the files do not have yet."""
    made = make_world(memory_path)
    store = made.open()
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql(CHANGED)
    store.outbox.bond = None  # nobody brings it over
    store.close()
    made.keep("changed")
    return made


def restore(world: World) -> None:
    """Everything as it was, and no generation."""
    if world.settings.data_dir.is_symlink():
        world.settings.data_dir.unlink()
    world.restore("changed")


def complete(world: World, *wanted: dict[str, bytes]) -> int:
    """Which of these states the files are in; fails when it is none."""
    there = files_below(world.settings.data_dir)
    for place, one in enumerate(wanted):
        if there == one:
            return place
    raise AssertionError(sorted(path for path in there if there[path] != wanted[0].get(path)))


def test_at_every_call_of_a_small_one(world: World) -> None:
    before = files_below(world.settings.data_dir)
    steps = Steps()
    store = Store(world.settings, SteppedSystem(steps))
    store.start(follow=False)
    restore(world)
    steps.begin(looks=False, watch=world.left_now)
    assert export(store).switched
    names = steps.end()
    stops = changes_in(steps.seen)  # a kill at another step leaves what a kill one step earlier leaves
    after = files_below(world.settings.data_dir)
    assert after != before

    def killed(stop: int) -> bool:
        restore(world)

        def work() -> None:
            steps.begin(stop, looks=False)
            export(store)

        return run_apart(work) == KILLED

    seen = set()
    for place, stop in enumerate(itertools.chain(stops, itertools.count(len(names)))):
        if not killed(stop):
            break
        seen.add(complete(world, before, after))
        if place % 5 == 0:
            again = world.open()
            report = export(again)
            assert (report.problems, complete(world, after)) == ([], 0), (stop, names)
            assert again.step.in_step
            again.close()
    assert (seen, stop > 30) == ({0, 1}, True)
    store.close()


MOMENTS, HELPED_MOMENTS = 50, 25  # the latter take twice as long


@pytest.mark.parametrize("helped", [False, True], ids=["alone", "with a helper"])
def test_at_random_moments_of_a_real_process(world: World, helped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if helped:  # which may live a little longer than who started it
        monkeypatch.setattr(hands, "FROM", 1)
        monkeypatch.setattr(hands, "_processors", lambda: 2)
        monkeypatch.setattr(generating, "AT_ONCE", 1)
    before, chance = files_below(world.settings.data_dir), random.Random(7)
    store = world.open()
    restore(world)
    began = time.monotonic()
    assert export(store).switched
    took, after = time.monotonic() - began, files_below(world.settings.data_dir)
    seen = []
    for _ in range(HELPED_MOMENTS if helped else MOMENTS):
        restore(world)
        child = os.fork()  # a process of its own, that need not import everything first
        if not child:
            export(store)
            os._exit(0)
        time.sleep(chance.uniform(0, took))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        seen.append(complete(world, before, after))
        again = world.open()
        assert export(again).problems == []
        assert complete(world, after) == 0
        generations = Generations(again.side)
        assert generations.verify(generations.current() or "") == []
        again.close()
    store.close()
    assert 0 in seen, "none was killed before the switch"
