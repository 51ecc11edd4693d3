"""A process killed at any step leaves a store that the next start brings in order: wholly done or not done at all.

The page cache survives a kill, so this proves order and repetition; what a power cut loses is in ``test_power_cut``.
"""

import contextlib
import gc
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import Store
from store.errors import DuplicateError
from tests.crash import reader
from tests.crash.stops import KILLED, SteppedSystem, Steps, run_apart
from tests.crash.world import OPERATIONS, SINGLE_FILE, World, make_world

Records = dict[reader.Entity, reader.Row]
pytestmark = pytest.mark.slow


@pytest.fixture(params=["dual", "json"])
def world(request: pytest.FixtureRequest, memory_path: Path) -> World:
    return make_world(memory_path, request.param)


@pytest.fixture
def postgres_world(memory_path: Path, postgres_url: str) -> World:
    return make_world(memory_path, "dual", postgres_url)


class Rehearsal:
    """One operation on one world: how it is before and after, and the steps in between."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name, self.dual = world, name, world.settings.data_backend == "dual"
        self.outlines: set[str] = set()  # states that were checked before
        world.restore()
        seen = world.look()
        self.before = seen.records()
        assert seen.violations() == []
        self.steps = self._perform(None, looks=True)
        seen = world.look()
        self.after = seen.records()
        assert seen.violations() == []
        assert self.before != self.after

    def _perform(self, stop: int | None, *, looks: bool) -> list[str]:
        """The operation in a store that was started before; starting is not counted."""
        steps = Steps(stop, looks=looks)
        store = self._store(steps)
        OPERATIONS[self.name](store)
        steps.counting = False
        store.close()
        return steps.names

    def _store(self, steps: Steps | None) -> Store:
        if steps is None:
            return Store(self.world.settings)
        steps.counting = False
        store = Store(self.world.settings, SteppedSystem(steps))
        steps.listen((store.database if self.dual else store.index.database).engine)
        steps.counting = True
        return store

    def kill(self, stop: int, *, looks: bool) -> bool:
        """Kill the operation before step ``stop``; False when it was over by then."""
        self.world.restore()
        code = run_apart(lambda: self._perform(stop, looks=looks))
        assert code in (0, KILLED), f"it failed at step {stop}"
        return code == KILLED

    def recover(self, steps: Steps | None = None) -> None:
        """What the next start does, and a look at everything; ``steps`` counts it."""
        store = self._store(steps)
        store.start(follow=False)
        problems = [problem for one in store.repositories.values() for problem in one.find_all().problems]
        assert (problems, store.pending(), store.problems()) == ([], 0, [])
        if steps:
            steps.counting = False
        store.close()

    def kill_recovery(self, stop: int) -> bool:
        """Kill the next start before step ``stop``; False when it was over by then."""
        code = run_apart(lambda: self.recover(Steps(stop, looks=False)))
        assert code in (0, KILLED), f"recovery failed at step {stop}"
        return code == KILLED

    # ------------------------------------------------------------------ what has to hold after a kill
    def check(self) -> bool:
        """After the next start both sides are equal, nothing waits or lies about, and it is wholly there or not.

        False when just this state was checked before.
        """
        seen = self.world.look()
        if (outline := seen.outline()) in self.outlines:
            return False
        self.outlines.add(outline)
        found = seen.records()
        self.check_whole(found)
        self.recover()
        seen = self.world.look()
        assert seen.violations() == []
        if self.dual:
            assert seen.records() == found  # what SQL had committed
        else:
            self.check_whole(seen.records())
            self.check_repeated(done=seen.records() == self.after)
        return True

    def check_whole(self, there: Records) -> None:
        """``dual``: what SQL has committed, all or nothing. ``json``: each record the old or the new one."""
        if self.dual or self.name in SINGLE_FILE:
            assert there in (self.before, self.after)
        for entity in self.before.keys() | self.after.keys() | there.keys():
            assert there.get(entity) in (self.before.get(entity), self.after.get(entity)), entity

    def check_repeated(self, *, done: bool) -> None:
        """In ``json`` mode an operation that was cut short can be repeated, which brings it to its end."""
        store = self._store(None)
        with contextlib.suppress(DuplicateError) if done else contextlib.nullcontext():
            OPERATIONS[self.name](store)
        store.close()
        seen = self.world.look()
        assert seen.violations() == []
        assert seen.records() == self.after
        assert reader.dangling(seen.records(), derived=True) == []


@contextlib.contextmanager
def told(where: str) -> Iterator[None]:
    """Add to a failure where the process was killed."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{where}: {error}") from error


@pytest.fixture(autouse=True)
def cheap_forks() -> Iterator[None]:
    """Leave what is there now out of the collector, so that a child does not copy all of it."""
    gc.freeze()
    yield
    gc.unfreeze()


def kill_everywhere(rehearsal: Rehearsal, *, looks: bool) -> list[int]:
    """The steps before which a kill left a state of its own."""
    states = []
    for stop in itertools.count():
        if not rehearsal.kill(stop, looks=looks):
            break
        with told(f"{rehearsal.name} killed before step {stop} of {rehearsal.steps}"):
            if rehearsal.check():
                states.append(stop)
    assert stop >= 15
    return states


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_killed_at_any_step_is_done_or_not_done(world: World, name: str) -> None:
    # Once with every call; then without those that only look, which leave what the next one leaves.
    assert len(kill_everywhere(Rehearsal(world, name), looks=name == "character-rename")) >= 3


@pytest.mark.parametrize("name", ["character-update", "user-delete"])
def test_a_start_that_is_killed_while_it_brings_things_in_order_can_be_repeated(world: World, name: str) -> None:
    rehearsal = Rehearsal(world, name)
    states = kill_everywhere(rehearsal, looks=False)
    for state in states[:: len(states) // 4 + 1]:  # four of them, from the first to the last
        rehearsal.kill(state, looks=False)
        world.keep("killed")
        for stop in itertools.count():
            world.restore("killed")
            if not rehearsal.kill_recovery(stop):
                break
            with told(f"{name} killed before step {state}, then the next start before step {stop}"):
                rehearsal.check()
        assert stop >= 5


@pytest.mark.parametrize("name", OPERATIONS)
def test_on_postgresql_a_killed_client_leaves_it_done_or_not_done(postgres_world: World, name: str) -> None:
    assert len(kill_everywhere(Rehearsal(postgres_world, name), looks=False)) >= 3
