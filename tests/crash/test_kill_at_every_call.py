"""A process killed at any step leaves a store that the next start brings in order: wholly done or not done at all.

The page cache survives a kill, so this proves order and repetition; what a power cut loses is in ``test_power_cut``.
"""

import contextlib
import functools
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from store import Store
from store.audit.spool import Spool
from store.database import Session
from store.errors import DuplicateError, StoreError
from store.files.side import Entity
from store.files.system import Handle
from store.outbox import Outbox
from tests.crash import reader
from tests.crash.families import THOROUGH, members
from tests.crash.stops import KILLED, SteppedSystem, Steps, changes_in, run_apart
from tests.crash.world import OPERATIONS, World, make_world

Records = dict[reader.Entity, reader.Row]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def worlds(lasting_memory_path: Path) -> Callable[[str], World]:
    """One world per backend; each test brings it back to how it was."""
    return functools.cache(lambda backend: make_world(lasting_memory_path / backend, backend))


@pytest.fixture
def world(request: pytest.FixtureRequest, worlds: Callable[[str], World]) -> World:
    return worlds(request.param)


@pytest.fixture
def postgres_world(memory_path: Path, postgres_url: str) -> World:
    return make_world(memory_path, "dual", postgres_url)


class Stops(NamedTuple):
    """Steps by name, and the places of those before which something was written."""

    names: list[str]
    different: list[int]


class Rehearsal:
    """One operation on one world: how it is before and after, and the steps in between."""

    def __init__(self, world: World, name: str, system: type[SteppedSystem] = SteppedSystem) -> None:
        self.world, self.name, self.dual = world, name, world.settings.data_backend == "dual"
        self.outlines: set[str] = set()  # states that were checked before
        self.repeated: set[str] = set()  # states in which it was done again
        world.restore()
        self.steps = Steps()
        # Every child dies with a copy of this store. No connection is open when it is copied.
        self.store = Store(world.settings, system(self.steps))
        self.steps.listen((self.store.database if self.dual else self.store.index.database).engine)
        self.store.start(follow=False)
        before = world.look()
        self.steps.begin()
        OPERATIONS[name](self.store)
        self.names = self.steps.end()
        self.store.close()
        after = world.look()
        assert before.violations() == after.violations() == []
        self.before, self.after = before.records(), after.records()
        self.audit_before, self.audit_after = before.audit, after.audit
        assert len(self.audit_before) < len(self.audit_after)
        assert self.before != self.after

    def perform(self) -> None:
        OPERATIONS[self.name](self.store)

    def start(self) -> None:
        self.store.start(follow=False)
        self.store.users.find_all()

    def stops(self, work: Callable[[], None], kept: str, *, looks: bool) -> Stops:
        """The steps of some work, and those of them before which a kill leaves something else than one step earlier.
        Found out by a child that has its way."""
        told = self.world.kept / "stops.json"

        def rehearse() -> None:
            self.steps.begin(looks=looks, watch=self.world.left_now)
            work()
            told.write_text(json.dumps([self.steps.end(), changes_in(self.steps.seen)]))

        self.world.restore(kept)
        assert run_apart(rehearse) == 0
        return Stops(*json.loads(told.read_text()))

    def kill(self, work: Callable[[], None], kept: str, stop: int, *, looks: bool) -> bool:
        """Kill some work before step ``stop``; False when it was over by then."""

        def die() -> None:
            self.steps.begin(stop, looks=looks)
            work()

        self.world.restore(kept)
        code = run_apart(die)
        assert code in (0, KILLED)
        return code == KILLED

    def kill_everywhere(self, work: Callable[[], None], kept: str = "populated", *, looks: bool) -> list[int]:
        """Kill it at each step, and check; the steps before which that left a state of its own."""
        stops, states = self.stops(work, kept, looks=looks), []
        last = len(stops.names)  # or a few more: a folder that was changed just now is looked at once more
        for stop in itertools.chain(range(last) if looks else stops.different, itertools.count(last)):
            if not self.kill(work, kept, stop, looks=looks):
                assert stop >= stops.different[-1]
                break
            with told(f"{self.name} killed in {kept} before step {stop} of {stops.names}"):
                if self.check():
                    states.append(stop)
        return states

    def open(self) -> Store:
        """The next process."""
        return self.world.open()

    def start_again(self) -> None:
        """What the next process does, and a look at everything."""
        store = self.open()
        problems = [problem for one in store.repositories.values() for problem in one.find_all().problems]
        assert (problems, store.pending(), store.problems()) == ([], 0, [])
        store.close()

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
        # In `json` mode the journal may say more than the files; but no file is anything but the old or the new one.
        for entity in self.before.keys() | self.after.keys() | found.keys():
            assert found.get(entity) in (self.before.get(entity), self.after.get(entity)), entity
        self.start_again()
        seen = self.world.look()
        assert seen.violations() == []
        assert seen.records() in (self.before, self.after)
        # In the audit if, and only if, it counts.
        assert seen.audit == (self.audit_after if seen.records() == self.after else self.audit_before)
        if self.dual:
            assert seen.records() == found  # what SQL had committed
        elif (outline := seen.outline()) not in self.repeated:
            self.repeated.add(outline)
            self.check_repeated(done=seen.records() == self.after)
        return True

    def check_repeated(self, *, done: bool) -> None:
        """In ``json`` mode an operation that was cut short can be repeated, which brings it to its end."""
        store = self.world.open()
        with contextlib.suppress(DuplicateError) if done else contextlib.nullcontext():
            OPERATIONS[self.name](store)
        store.close()
        seen = self.world.look()
        assert seen.violations() == []
        assert seen.records() == self.after
        assert seen.audit == self.audit_after
        assert reader.dangling(seen.records(), derived=True) == []


@contextlib.contextmanager
def told(where: str) -> Iterator[None]:
    """Add to a failure where the process was killed."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{where}: {error}") from error


# One of each shape on both backends: one file, several with one that goes, an append, and a user who changes places; of
# the large ones, who takes most with him in `dual`, and a chat's file in `json` mode.
SHAPES = ("character-rename", "tag-delete", "message-add", "user-create")
KILLED_IN = members(
    [(backend, name) for backend in ("dual", "json") for name in OPERATIONS],
    [
        *((backend, name) for backend in ("dual", "json") for name in SHAPES),
        ("dual", "user-delete"),
        ("json", "chat-delete"),
    ],
)


@pytest.mark.parametrize(("world", "name"), KILLED_IN, indirect=["world"])
def test_an_operation_killed_at_any_step_is_done_or_not_done(world: World, name: str) -> None:
    rehearsal = Rehearsal(world, name)
    assert len(rehearsal.names) >= 15
    # One of them at every call there is; else a kill is left out when nothing was written since the one before.
    looks = name == "character-rename" and (rehearsal.dual or THOROUGH)
    assert len(rehearsal.kill_everywhere(rehearsal.perform, looks=looks)) >= 3


STARTS = [("dual", "character-update"), ("dual", "user-delete"), ("json", "character-update")]


@pytest.mark.parametrize(("world", "name"), members(STARTS, [STARTS[0], STARTS[2]]), indirect=["world"])
def test_a_start_that_is_killed_while_it_brings_things_in_order_can_be_repeated(world: World, name: str) -> None:
    rehearsal = Rehearsal(world, name)
    states = rehearsal.kill_everywhere(rehearsal.perform, looks=False)
    for state in states[:: len(states) // (3 if THOROUGH else 2) + 1]:  # so many of them, from the first to the last
        rehearsal.kill(rehearsal.perform, "populated", state, looks=False)
        world.keep("killed")
        assert len(rehearsal.stops(rehearsal.start, "killed", looks=True).names) >= 5
        rehearsal.kill_everywhere(rehearsal.start, "killed", looks=False)


def test_on_postgresql_a_killed_client_leaves_it_done_or_not_done(postgres_world: World) -> None:
    rehearsal = Rehearsal(postgres_world, "character-update")
    assert len(rehearsal.kill_everywhere(rehearsal.perform, looks=False)) >= 3


# ------------------------------------------------------------------ without the guard the check fails
class WrittenInPlace(SteppedSystem):
    """Renaming is writing over the old file."""

    def rename(self, source: Path, target: Path) -> None:
        data = self.read(source)
        self.remove(source)
        handle = Handle(os.open(target, os.O_WRONLY | os.O_CREAT), target)
        os.truncate(target, 0)
        while data:
            data = data[self.write(handle, data) :]
        self.close(handle)


class AcknowledgedFirst(Outbox):
    def _bring_over(self, session: Session, entities: set[Entity]) -> dict[Entity, StoreError]:
        self._acknowledge(session, list(self._entries(session, 0, totals=True)))
        return super()._bring_over(session, entities)


@pytest.mark.parametrize("mutant", [WrittenInPlace, AcknowledgedFirst], ids=lambda mutant: mutant.__name__)
def test_without_this_guard_a_kill_does_harm(memory_path: Path, mutant: type) -> None:
    world = make_world(memory_path)
    if mutant is WrittenInPlace:
        rehearsal = Rehearsal(world, "character-rename", WrittenInPlace)
    else:
        rehearsal = Rehearsal(world, "character-rename")
        rehearsal.store.outbox.__class__ = AcknowledgedFirst
    with pytest.raises((AssertionError, ValueError)):
        rehearsal.kill_everywhere(rehearsal.perform, looks=False)


class AnnouncedAfterwards(Spool):
    """The entries are written down when the change is done."""

    def announce(self, *told: Any) -> str | None:
        self.told = told
        return "later"

    def confirm(self, name: str | None) -> None:
        super().confirm(super().announce(*self.told))


class TakenAtItsWord(Spool):
    """What was announced is taken to have been done."""

    def _verdict(self, files: Mapping[str, Any]) -> str:
        return "counts"


class NeverSettled(Spool):
    """Nobody finds out what became of an announcement before the next change."""

    def settle(self) -> None:
        pass


@pytest.mark.parametrize(
    "mutant", [AnnouncedAfterwards, TakenAtItsWord, NeverSettled], ids=lambda mutant: mutant.__name__
)
def test_without_this_guard_the_audit_says_what_was_not_done_or_lacks_what_was(
    memory_path: Path, mutant: type[Spool]
) -> None:
    class WithMutant(Rehearsal):
        def open(self) -> Store:
            store = Store(self.world.settings)
            store.spool.__class__ = mutant
            store.start(follow=False)
            return store

    rehearsal = WithMutant(make_world(memory_path, "json"), "character-rename")
    rehearsal.store.spool.__class__ = mutant
    with pytest.raises(AssertionError):
        rehearsal.kill_everywhere(rehearsal.perform, looks=False)
