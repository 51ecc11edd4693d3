"""The operating system refuses call N: nothing is torn, nobody is told a lie, and it heals when the fault is gone."""

import contextlib
import errno
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import Store
from store.errors import DuplicateError, OutcomeUnknownError, StoreError
from store.files.side import JsonSide
from store.files.system import Handle
from tests.crash import reader
from tests.crash.families import members
from tests.crash.faults import FAULTS, Fault, FaultySystem
from tests.crash.world import BOB, OPERATIONS, SINGLE_FILE, Seen, World, make_world

NAMES = [name for name in OPERATIONS if name != "character-rename"]
# Whatever fails at a call, the code behind it does the same: one operation of each shape is hit by everything there is:
# one file, several, an append, and a user who changes places; and one with which files go.
SHAPES = ("tag-update", "tag-delete", "message-add", "user-create")
EVERY = [(name, kind) for name in NAMES for kind in FAULTS]
IN_DUAL = members(EVERY, [(name, kind) for name, kind in EVERY if name in SHAPES] + [("chat-delete", "EIO")])
# In `json` mode no other operation makes a call that these do not make: with a journal and without, with a file that
# goes, and with one that grows.
SOME = [("chat-delete", "EIO"), ("message-add", "EIO"), ("message-add", "ENOSPC")]
SOME += [("message-add", "short write"), ("tag-delete", "short write"), ("tag-delete", "EROFS")]
SOME += [("user-create", "ENOSPC"), ("tag-update", "ENOSPC")]
IN_JSON = members([one for one in EVERY if one[0] not in SINGLE_FILE or one[0] == "tag-update"], SOME)
# A file is read in the same way whatever is done; what is then done differs by shape.
UNREAD = members(NAMES, ["tag-delete", "message-add"])
HINDER_NOBODY = {
    "read",
    "read_from",
    "signature",
    "signature_of",
    "resolve",
    "open_below",
    "read_some",
    "link",
    "close",
}
Records = dict[reader.Entity, reader.Row]


class Ordeal:
    """One operation on a store whose system can be made to fail; before each try everything is as it was."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name, self.system = world, name, FaultySystem()
        world.restore()
        self.store = Store(world.settings, self.system)
        self.store.start(follow=False)
        before = world.look()
        self.before, self.files = before.records(), before.files
        OPERATIONS[name](self.store)
        self.after = world.look().records()
        assert self.before != self.after
        self._met: set[tuple[str, str]] = set()

    def is_new(self, seen: Seen) -> bool:
        """Whether this call has not left just this before: then what follows is known too."""
        met = (self.system.failed, seen.outline())
        known = met in self._met
        self._met.add(met)
        return not known

    def disconnect(self) -> None:
        """Let go of the databases, without all that a clean stop does."""
        self.store.database.close()
        if self.world.settings.data_backend == "json":
            self.store.index.close()

    @property
    def fails(self) -> bool:
        """Whether what went wrong keeps the operation from its end.

        A lock is free although its close complained, the bond of both sides may be missing for a while, and another
        user's file is of interest only when the oldest goes.
        """
        if self.system.failed_at == f"{BOB}.json" and self.name in ("user-create", "user-update"):
            return self.system.failed != "read"
        system = self.system
        harmless = system.failed == "unlock" or system.failed_at == "bond" or not (system.fault and system.fault.number)
        return bool(system.failed) and not harmless

    def is_told(self, error: object) -> bool:
        """Whether the operation failed where it had to. A look that fails may concern another record's file only, or
        bytes that then count as missing: that hinders nobody."""
        return bool(error) is self.fails or (not error and self.system.failed in HINDER_NOBODY)

    def tries(self, fault: Fault) -> Iterator[int]:
        """Arms the fault for each call in turn, until the operation ends before it comes to it."""
        for at in itertools.count():
            self.disconnect()
            self.world.restore()
            self.system.arm(fault, at)
            yield at
            self.system.disarm()
            if not self.system.failed:
                assert at > 0
                return


def must_be_told(error: StoreError | None) -> None:
    assert isinstance(error, StoreError)
    assert error.message.endswith(".")
    assert error.hint
    assert "Errno" not in error.sentence


def old_or_new(files: dict[str, bytes], old: dict[str, bytes], new: dict[str, bytes]) -> None:
    for path in files.keys() | old.keys() | new.keys():
        assert files.get(path) in (old.get(path), new.get(path)), path


@pytest.fixture(scope="module")
def dual(lasting_memory_path: Path) -> World:
    return make_world(lasting_memory_path / "dual")


@pytest.fixture(scope="module")
def json_world(lasting_memory_path: Path) -> World:
    return make_world(lasting_memory_path / "json", "json")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), IN_DUAL)
def test_in_dual_the_write_to_sql_stands_and_what_waits_is_told_and_heals(dual: World, name: str, kind: str) -> None:
    endure(Ordeal(dual, name), kind)


def endure(ordeal: Ordeal, kind: str) -> None:
    store, system, world = ordeal.store, ordeal.system, ordeal.world
    for _ in ordeal.tries(FAULTS[kind]):
        sources = OPERATIONS[ordeal.name](store).sources
        system.disarm()
        seen = world.look()
        assert seen.records() == ordeal.after
        assert (sources.sql, sources.json, sources.consistent) == (True, not sources.error, not sources.error)
        assert reader.unannounced(seen.sql, seen.files) == []
        assert not any(map(reader.is_temporary, seen.files))
        old_or_new(seen.files, ordeal.files, reader.expected_files(seen.sql))
        assert ordeal.is_told(sources.error), system.failed
        if sources.error:
            must_be_told(sources.error)
            assert store.pending() > 0
            assert [error.message for error in store.problems()] == [sources.error.message]
        is_new = ordeal.is_new(seen)
        store.outbox.apply()  # also what the lines of chats say about their messages
        assert not is_new or world.look().violations() == []
        assert (store.pending(), store.problems()) == (0, [])


class Careless(JsonSide):
    """Takes a file that was not written for written."""

    def write(self, files: dict[str, bytes | None]) -> None:
        with contextlib.suppress(StoreError):
            super().write(files)


class Trusting(FaultySystem):
    """Believes that a write took everything."""

    def write(self, handle: Handle, data: bytes) -> int:
        super().write(handle, data)
        return len(data)


@pytest.mark.parametrize("mutant", [Careless, Trusting], ids=lambda mutant: mutant.__name__)
def test_without_this_guard_the_check_fails(dual: World, mutant: type) -> None:
    ordeal = Ordeal(dual, "character-update")
    (ordeal.system if mutant is Trusting else ordeal.store.side).__class__ = mutant
    with pytest.raises(AssertionError):
        endure(ordeal, "EIO" if mutant is Careless else "short write")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), IN_JSON)
def test_in_json_mode_a_refusal_changes_nothing_and_can_be_repeated(json_world: World, name: str, kind: str) -> None:
    ordeal = Ordeal(json_world, name)
    store, system = ordeal.store, ordeal.system
    for _ in ordeal.tries(FAULTS[kind]):
        error = attempt(store, name)
        system.disarm()
        assert not (error and not system.failed)
        store.index.refresh(full=True)  # a look at the files carries out what was begun
        seen = json_world.look()
        there = seen.records()
        assert not any(map(reader.is_temporary, seen.files))
        assert reader.dangling(there) == []
        if error is None:
            assert there == ordeal.after, f"after {system.failed} of {system.failed_at} (call {system.at})"
            continue
        must_be_told(error)
        assert there == ordeal.before or (there == ordeal.after and isinstance(error, OutcomeUnknownError))
        assert reads(store) == without_mirrors(there)
        if not ordeal.is_new(seen):
            continue
        error = attempt(store, name)
        assert error is None or (isinstance(error, DuplicateError) and there == ordeal.after)
        assert json_world.look().records() == ordeal.after
        assert reads(store) == without_mirrors(ordeal.after)


@pytest.mark.slow
@pytest.mark.parametrize("name", UNREAD)
def test_in_json_mode_a_file_that_cannot_be_read_for_a_moment_is_not_taken_for_missing(
    json_world: World, name: str
) -> None:
    ordeal = Ordeal(json_world, name)
    before, after = without_mirrors(ordeal.before), without_mirrors(ordeal.after)
    for at in range(len(ordeal.files)):  # the index is gone, so each file is read, and one of them cannot be
        ordeal.disconnect()
        json_world.restore()
        for path in json_world.settings.own_dir.glob("index.sqlite*"):
            path.unlink()
        store = Store(json_world.settings, ordeal.system)
        store.start(follow=False)
        ordeal.system.arm(Fault(errno.EIO, frozenset({"open_to_read"})), at)
        error = attempt(store, name)
        ordeal.system.disarm()
        there = without_mirrors(json_world.look().records())
        assert reader.dangling(there) == []
        assert there == (before if error else after)
        if error:
            must_be_told(error)
            assert attempt(store, name) is None
            assert without_mirrors(json_world.look().records()) == after
        store.index.refresh(full=True)
        assert reads(store) == after
        assert store.problems() == []
        store.close()


def attempt(store: Store, name: str) -> StoreError | None:
    try:
        OPERATIONS[name](store)
    except StoreError as error:
        return error
    return None


def reads(store: Store) -> Records:
    """What the store says there is, in the reader's form."""
    store.characters.find_all()  # a look at the files
    return without_mirrors(reader.records(reader.expected_files(reader.read_sql(str(store.index.database.engine.url)))))


def without_mirrors(records: Records) -> Records:
    """Without what the store does not read, because it follows from other records: the links of personas, and what the
    lines of chats say about messages."""
    derived = {"characterLinks", "messageCount", "lastMessageAt"}
    return {
        entity: {key: value for key, value in record.items() if key not in derived}
        for entity, record in records.items()
    }
