"""A process killed at any step leaves a store that the next start brings in order: wholly done or not done at all.

The page cache survives a kill, so this proves order and repetition; what a power cut loses is in ``test_power_cut``.
"""

import contextlib
import gc
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlalchemy import Engine

from store import Store
from store.errors import DuplicateError
from tests.crash import reader
from tests.crash.stops import KILLED, SteppedSystem, Steps, run_apart
from tests.crash.world import OPERATIONS, SINGLE_FILE, World, make_world
from tests.postgres import PostgresServer

Records = dict[reader.Entity, reader.Row]
pytestmark = pytest.mark.slow


@pytest.fixture(params=["dual", "json"])
def world(request: pytest.FixtureRequest, memory_path: Path) -> World:
    return make_world(memory_path, request.param)


@pytest.fixture
def postgres_world(memory_path: Path, postgres_server: PostgresServer) -> Iterator[World]:
    world = make_world(memory_path, "dual", postgres_server)
    yield world
    world.forget()


class Rehearsal:
    """One operation on one world: how it is before and after, and the steps in between."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name, self.dual = world, name, world.settings.data_backend == "dual"
        self.before, world_before = world.records(), world.violations()
        assert world_before == []
        world.restore()
        self.steps = self._perform()
        self.after = world.records()
        assert self.before != self.after
        assert world.violations() == []

    def _perform(self, stop: int | None = None, *, looks: bool = True) -> list[str]:
        """The operation in a freshly opened store; opening it is not counted."""
        steps = Steps(stop, looks=looks)
        steps.counting = False
        store = self.world.open(SteppedSystem(steps))
        steps.listen(self._engine_of(store))
        steps.counting = True
        OPERATIONS[self.name](store)
        steps.counting = False
        store.close()
        return steps.names

    def _engine_of(self, store: Store) -> Engine:
        return (store.database if self.dual else store.index.database).engine

    def kill(self, stop: int, *, looks: bool = True) -> bool:
        """Kill the operation before step ``stop``; False when it was over by then."""
        self.world.restore()
        code = run_apart(lambda: self._perform(stop, looks=looks))
        assert code in (0, KILLED), f"it failed at step {stop}"
        return code == KILLED

    def recover(self, steps: Steps | None = None) -> None:
        """What the next start does, and a look at everything; ``steps`` counts it."""
        store = Store(self.world.settings, SteppedSystem(steps) if steps else None)
        if steps:
            steps.listen(self._engine_of(store))
        store.start(follow=False)
        problems = [repository.find_all().problems for repository in store.repositories.values()]
        assert not any(problems), problems
        assert (store.pending(), store.problems()) == (0, [])
        store.close()

    def kill_recovery(self, stop: int) -> bool:
        """Kill the next start before step ``stop``; False when it was over by then."""
        code = run_apart(lambda: self.recover(Steps(stop, looks=False)))
        assert code in (0, KILLED), f"recovery failed at step {stop}"
        return code == KILLED

    # ------------------------------------------------------------------ what has to hold after a kill
    def check(self) -> None:
        """After the next start both sides are equal, nothing waits or lies about, and it is wholly there or not."""
        self.check_whole()
        committed = self.world.records()
        self.recover()
        assert self.world.violations() == []
        self.check_whole()
        if self.dual:
            assert self.world.records() == committed
        else:
            self.check_repeated()

    def check_whole(self) -> None:
        """``dual``: what SQL has committed, all or nothing. ``json``: each record the old or the new one."""
        there = self.world.records()
        if self.dual or self.name in SINGLE_FILE:
            assert there in (self.before, self.after)
        for entity in self.before.keys() | self.after.keys() | there.keys():
            assert there.get(entity) in (self.before.get(entity), self.after.get(entity)), entity

    def check_repeated(self) -> None:
        """In ``json`` mode an operation that was cut short can be repeated, which brings it to its end."""
        done = self.world.records() == self.after
        store = self.world.open()
        with contextlib.suppress(DuplicateError) if done else contextlib.nullcontext():
            OPERATIONS[self.name](store)
        store.close()
        assert self.world.violations() == []
        assert reader.dangling(self.world.records(), derived=True) == []
        assert self.world.records() == self.after


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


def kill_everywhere(rehearsal: Rehearsal, *, looks: bool) -> int:
    for stop in itertools.count():
        if not rehearsal.kill(stop, looks=looks):
            return stop
        with told(f"{rehearsal.name} killed before step {stop} of {rehearsal.steps}"):
            rehearsal.check()
    raise AssertionError


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_killed_at_any_step_is_done_or_not_done(world: World, name: str) -> None:
    assert kill_everywhere(Rehearsal(world, name), looks=name == "character-rename") >= 20
