"""In ``json`` mode the files are all there is: after a power cut a change is there wholly or not at all, and what was
answered stays."""

import contextlib
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store.audit.spool import Spool
from store.errors import DuplicateError, StoreError
from store.files.index import JsonIndex
from store.files.side import JsonSide
from store.files.system import Handle
from tests.crash import reader, reader_of_audit
from tests.crash.disk import Disk
from tests.crash.families import members
from tests.crash.test_power_cut import (
    Different,
    WithoutFileSync,
    WithoutFolderSync,
    WrittenInPlace,
    at_every_call,
    fresh_disk,
    nothing,
    run,
)
from tests.crash.world import World, make_world

Records = dict[reader.Entity, reader.Row]
# Two of them make the same calls as the others, for many more files.
CUT = ("character-update", "tag-delete", "user-create", "user-delete")


@pytest.fixture(scope="module")
def world(lasting_memory_path: Path) -> World:
    made = make_world(lasting_memory_path, "json")
    JsonIndex(JsonSide(made.settings.data_dir, made.kept / "empty")).close()
    return made


def forget_index(world: World) -> None:
    """The index is not synced: in the worst case nothing is left in it. (Of it: as a test that is slow.)"""
    for suffix in ("", "-wal", "-shm"):
        path = world.settings.own_dir / f"index.sqlite{suffix}"
        path.unlink(missing_ok=True)
        if not suffix:
            shutil.copy(world.kept / "empty" / path.name, path)


def records(world: World, disk: Disk) -> Records:
    return reader.records(disk.below(world.settings.data_dir))


def violations(world: World, name: str, kind: type[Disk] = Disk) -> Iterator[str]:
    """Cut the power at every call of an operation, and tell what is then wrong."""
    disk, chance, different = fresh_disk(world, kind), random.Random(name), Different(world)
    before, known = records(world, disk), in_audit(world, disk)
    assert run(world, disk, name, nothing)
    after = records(world, disk)
    for number, cut, answered in at_every_call(world, name, kind):
        # The same disk at another call comes to the same end: no index is left, and SQL has no say in it.
        for place, left in enumerate(different.of(cut.after_power_cuts("weak", chance), answered)):
            begin = start if place % 12 == 0 else carry_out
            told = list(wrong(world, left, begin, (before, after), answered))
            if not told and begin is carry_out:
                told = list(wrongly_told(world, left, known, done=records(world, left) == after))
            yield from (f"call {number}: {one}" for one in told)
            if not told and place % 12 == 0:
                yield from (f"call {number}, repeated: {one}" for one in repeated(world, left, name, after))


def start(world: World, disk: Disk) -> None:
    """All that the next start does."""
    forget_index(world)
    with sql_as_it_is(world):  # the next disk meets the same database
        world.open(disk).close()


def carry_out(world: World, disk: Disk) -> None:
    """What the next start does with what a write left: the rest of it only looks at the files."""
    side = JsonSide(world.settings.data_dir, world.settings.own_dir, disk)
    with side.lock.hold():
        side.clean()
        Spool(side).settle()


def in_audit(world: World, disk: Disk) -> set[str]:
    """What the audit has, in the database or waiting for it."""
    waiting = disk.below(world.settings.own_dir).get("audit", b"")
    database = Path(world.settings.database_url.removeprefix("sqlite:///"))
    return reader_of_audit.names(database) | reader_of_audit.counting(waiting)


def wrong(
    world: World, disk: Disk, begin: Callable[[World, Disk], None], wanted: tuple[Records, Records], answered: bool
) -> Iterator[str]:
    """What is wrong once the next process has begun."""
    try:
        begin(world, disk)
        there = records(world, disk)
    except (ValueError, AssertionError, StoreError) as error:  # torn, or in two versions
        yield repr(error)
        return
    if there not in wanted:
        yield "it is neither done nor not done"
    if answered and there != wanted[1]:
        yield "what was answered is lost"
    yield from reader.dangling(there)


def wrongly_told(world: World, disk: Disk, known: set[str], *, done: bool) -> Iterator[str]:
    """A change is in the audit if, and only if, it counts."""
    if (new := len(in_audit(world, disk) - known)) != done:
        yield f"the audit has {new} entries of a change that was {'' if done else 'not '}done"


def repeated(world: World, disk: Disk, name: str, after: Records) -> Iterator[str]:
    """What is wrong when the next process does it again."""
    forget_index(world)
    with sql_as_it_is(world), contextlib.suppress(DuplicateError):
        run(world, disk, name, nothing)
    if records(world, disk) != after:
        yield "it cannot be repeated to its end"
    yield from (path for path in disk.below(world.settings.data_dir) if reader.is_temporary(path))


@contextlib.contextmanager
def sql_as_it_is(world: World) -> Iterator[None]:
    before = world.sqlite_files()
    yield
    world.lay_sqlite(before)


@pytest.mark.slow
@pytest.mark.parametrize("name", members(CUT, ["character-update", "user-create"]))
def test_after_a_power_cut_it_is_done_or_not_done(world: World, name: str) -> None:
    assert list(violations(world, name)) == []


class WithoutSyncOfTheAudit(Disk):
    def sync(self, handle: Handle) -> None:
        if handle.path.name != "audit":
            super().sync(handle)


def test_without_its_sync_the_audit_lacks_what_was_done(world: World) -> None:
    told = next(violations(world, "character-rename", WithoutSyncOfTheAudit), "")
    assert "the audit has 0 entries of a change that was done" in told


@pytest.mark.parametrize(
    ("kind", "name"),  # the cheapest operation that shows it
    [(WithoutFileSync, "character-rename"), (WithoutFolderSync, "user-create"), (WrittenInPlace, "character-rename")],
)
def test_without_this_guard_something_is_lost(world: World, kind: type[Disk], name: str) -> None:
    assert next(violations(world, name, kind), None) is not None
