"""In ``json`` mode a process is killed at any step while SQL follows the files: the next one makes SQL equal to them.

The files count, so nothing of this changes them. What a power cut may take from the files and from the index, but not
from SQL, is put back to how it was: then SQL holds what no file says, and has to be set right as well.
"""

import itertools
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection

from store import Store, open_store
from store.errors import StoreError
from store.files import behind
from store.files.shelves import Entity
from store.following import STATE_KEY, Following
from tests.crash import reader
from tests.crash.families import members
from tests.crash.stops import KILLED, SteppedSystem, Steps, changes_in, run_apart
from tests.crash.test_kill_at_every_call import told
from tests.crash.world import HERO, OPERATIONS, World, make_world
from tests.factories import lay_database

pytestmark = pytest.mark.slow
FOLLOWED = ("character-update", "message-add", "tag-delete", "user-delete")
DONE = "done"  # the world after the operation, before SQL follows


@pytest.fixture
def world(memory_path: Path) -> World:
    lay_database(memory_path / "live" / "quilltap.sqlite")
    return make_world(memory_path, "json")


class Moments(Steps):
    """Without the statements: a kill between two leaves what a kill before their commit leaves."""

    def take(self, name: str) -> None:
        if not name.isupper():
            super().take(name)


class Rehearsal:
    """SQL follows one operation: the steps it takes."""

    def __init__(self, world: World, name: str, following: type[Following] = Following) -> None:
        self.world, self.outlines = world, set[str]()
        self.steps = Steps() if name == "character-update" else Moments()
        self.before = world.look().records()
        # Every child dies with a copy of this store. No connection is open when it is copied.
        self.store = Store(world.settings, SteppedSystem(self.steps))
        self.store.following.__class__ = following
        self.store.start(follow=False)
        for database in (self.store.database, self.store.index.database):
            self.steps.listen(database.engine)
            database.close()
        self.after_operation(OPERATIONS[name])

    def after_operation(self, operation: Callable[[Store], Any]) -> None:
        """Keep the world as it is then: the process died before SQL could follow."""
        assert run_apart(lambda: operation(self.store)) == 0
        self.world.keep(DONE)
        seen = self.world.look()
        assert self.before != seen.records()
        assert reader.differences(seen.followed, seen.files) != []
        assert run_apart(self.store.catch_up) == 0
        self.after = self.world.look().records()  # also the lines of chats tell of new messages now

    def stops(self) -> list[int]:
        """The steps before which a kill leaves something else than one step earlier, and how many steps there are.
        Found out by a child that has its way."""
        place = self.world.kept / "stops.json"

        def rehearse() -> None:
            self.steps.begin(looks=False, watch=self.world.left_now)
            self.store.catch_up()
            self.steps.end()
            place.write_text(json.dumps([*changes_in(self.steps.seen), len(self.steps.seen)]))

        self.world.restore(DONE)
        assert run_apart(rehearse) == 0
        found: list[int] = json.loads(place.read_text())
        assert found[-1] >= 15
        return found

    def kill(self, stop: int) -> bool:
        """Kill the process before step ``stop`` of following; False when it was over by then."""

        def follow() -> None:
            self.steps.begin(stop, looks=False)
            self.store.catch_up()

        self.world.restore(DONE)
        code = run_apart(follow)
        assert code in (0, KILLED)
        return code == KILLED

    # ------------------------------------------------------------------ what has to hold after a kill
    def check(self, *, lost: bool) -> bool:
        """The next process makes SQL equal to the files; False when just this state was checked before.

        ``lost``: a power cut has taken the operation from the files and from the index.
        """
        if lost:
            _put_back(self.world)
        if (outline := _outline(self.world)) in self.outlines:
            return False
        self.outlines.add(outline)
        store = self.world.open()
        store.catch_up()
        assert (store.problems(), store.following.pending()) == ([], 0)
        store.close()
        seen = self.world.look()
        assert seen.violations() == []
        assert seen.records() == (self.before if lost else self.after)
        return True

    def check_dual(self) -> None:
        """The same when the next process is one that keeps both sides."""
        store = open_store(replace(self.world.settings, data_backend="dual"), follow=False)
        assert (store.step.in_step, store.pending(), store.problems()) == (True, 0, [])
        store.close()
        seen = self.world.look()
        assert reader.differences(seen.followed, seen.files) == []
        assert seen.records() == self.after


def _put_back(world: World) -> None:
    """Files and index as they were before the operation; SQL as it is."""
    elsewhere = replace(world.settings, database_url=f"sqlite:///{world.kept / 'none.sqlite'}")
    World(elsewhere, world.kept).restore()


def _outline(world: World) -> str:
    """The same text for states that differ only by what chance made."""
    seen = world.look()
    with closing(sqlite3.connect(world.settings.own_dir / "index.sqlite")) as index:
        waiting = index.execute("SELECT kind, entity_id FROM index_behind").fetchall()
        known = index.execute("SELECT * FROM index_marks").fetchone() or ()
    with closing(sqlite3.connect(world.settings.database_url.removeprefix("sqlite:///"))) as sql:
        (mark,) = sql.execute("SELECT value FROM tandem_state WHERE key = ?", [STATE_KEY]).fetchone()
    marked = [mark.partition(" ")[0] == one for one in known]
    sides = (seen.followed.tables, sorted(seen.followed.waiting.values()), seen.sql.tables, seen.left)
    return repr([*sides, sorted(seen.files), waiting, marked])


def kill_everywhere(rehearsal: Rehearsal, *, lost: bool = False) -> list[int]:
    """The steps before which a kill left a state of its own."""
    states, stops = [], rehearsal.stops()
    for stop in itertools.chain(stops, itertools.count(stops[-1] + 1)):
        going = rehearsal.kill(stop)
        with told(f"killed before step {stop} of {rehearsal.steps.names}"):
            if rehearsal.check(lost=lost):
                states.append(stop)
        if not going:  # all of it was done
            break
    return states


@pytest.mark.parametrize("name", members(FOLLOWED, ["character-update", "message-add"]))
def test_whoever_comes_next_makes_sql_equal_to_the_files(world: World, name: str) -> None:
    rehearsal = Rehearsal(world, name)
    states = kill_everywhere(rehearsal)
    assert states[0] == 0  # between the operation and what follows
    assert len(states) >= 3
    for state in states[:: len(states) // 3 + 1]:  # three of them, from the first to the last
        with told(f"killed before step {state}, then started in dual mode"):
            rehearsal.kill(state)
            rehearsal.check_dual()


@pytest.mark.parametrize("name", ["character-rename", "message-delete"])
def test_what_sql_took_and_the_files_lost_is_taken_back(world: World, name: str) -> None:
    assert len(kill_everywhere(Rehearsal(world, name), lost=True)) >= 2


# ------------------------------------------------------------------ without the guard the check fails
class AcknowledgedFirst(Following):
    """SQL is given what it has been given."""

    def _give(self, wanted: Any, batch: behind.Batch) -> tuple[dict[Entity, StoreError], list[Entity]]:
        with self.index.database.write() as connection:
            behind.done(connection, batch.entries)
        return super()._give(wanted, batch)


def test_an_acknowledgement_before_sql_has_it_loses_it(world: World) -> None:
    with pytest.raises(AssertionError, match="is not what SQL says"):
        kill_everywhere(Rehearsal(world, "character-rename", AcknowledgedFirst))


def test_with_one_mark_for_all_it_is_not_noticed(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "secrets", SimpleNamespace(token_hex=lambda size: "mark"))
    lay_database(memory_path / "live" / "quilltap.sqlite")
    rehearsal = Rehearsal(make_world(memory_path, "json"), "character-rename")
    with pytest.raises(AssertionError, match="is not what SQL says"):
        kill_everywhere(rehearsal, lost=True)


class Met(Following):
    """Somebody changes a record again, after it was read and before SQL has it."""

    meeting: Callable[[], None] | None = None

    def _give(self, wanted: Any, batch: behind.Batch) -> tuple[dict[Entity, StoreError], list[Entity]]:
        if self.meeting:
            meeting, self.meeting = self.meeting, None
            meeting()
        return super()._give(wanted, batch)


def _done_with_the_record(connection: Connection, entries: Any) -> None:
    """Acknowledges whatever there is of the records."""
    for seq in entries:
        of = "SELECT kind, entity_id FROM index_behind WHERE seq = ?"
        connection.exec_driver_sql(f"DELETE FROM index_behind WHERE (kind, entity_id) IN ({of})", (seq,))


@pytest.mark.parametrize("exactly", [True, False], ids=["exactly what was read", "all of the record"])
def test_a_change_while_sql_is_given_an_older_one_is_not_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch, exactly: bool
) -> None:
    store = world.open()
    store.following.__class__ = Met
    store.following.meeting = lambda: store.characters.update(HERO, {"name": "Second"})  # type: ignore[attr-defined]
    if not exactly:
        monkeypatch.setattr(behind, "done", _done_with_the_record)
    store.characters.update(HERO, {"name": "First"})
    store.catch_up()
    seen = world.look()
    assert (reader.differences(seen.followed, seen.files) == []) is exactly
    store.close()
