"""In ``json`` mode the files are all there is: after a power cut a change is there wholly or not at all, and what was
answered stays."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.errors import DuplicateError, StoreError
from tests.crash import reader
from tests.crash.disk import Disk, PowerCut, disk_of
from tests.crash.test_power_cut import WithoutFileSync, WithoutFolderSync, WrittenInPlace, different
from tests.crash.world import OPERATIONS, World, make_world

Records = dict[reader.Entity, reader.Row]


@pytest.fixture(scope="module")
def world(lasting_memory_path: Path) -> World:
    return make_world(lasting_memory_path, "json")


def forget_index(world: World) -> None:
    """The index is not synced: in the worst case nothing is left of it."""
    for path in world.settings.own_dir.glob("index.sqlite*"):
        path.unlink()


def perform(world: World, disk: Disk, name: str) -> bool:
    """The operation on the disk; whether it was answered."""
    try:
        store = world.open(disk)
        try:
            OPERATIONS[name](store)
        except DuplicateError:
            return False
        finally:
            store.close()
    except PowerCut:
        return False
    return True


def records(world: World, disk: Disk) -> Records:
    return reader.records(disk.below(world.settings.data_dir))


def fresh_disk(world: World, kind: type[Disk]) -> Disk:
    world.restore()
    disk = disk_of(world.settings.data_dir, world.settings.own_dir)
    return kind(disk.files, disk.folders, disk.bytes_of)


def violations(world: World, name: str, kind: type[Disk] = Disk) -> Iterator[str]:
    """Cut the power at every call of an operation, and tell what is then wrong."""
    disk, chance = fresh_disk(world, kind), random.Random(name)
    before = records(world, disk)
    assert perform(world, disk, name)
    after, number, answered = records(world, disk), 0, False
    while not answered:
        number += 1
        disk = fresh_disk(world, kind)
        disk.stop = disk.calls + number
        answered = perform(world, disk, name)
        for place, left in enumerate(different(world, disk.after_power_cuts("weak", chance))):
            told = list(wrong(world, left, (before, after), answered))
            yield from (f"call {number}: {one}" for one in told)
            if not told and place % 12 == 0:
                yield from (f"call {number}, repeated: {one}" for one in repeated(world, left, name, after))


def wrong(world: World, disk: Disk, wanted: tuple[Records, Records], answered: bool) -> Iterator[str]:
    """What is wrong once the next process has started."""
    forget_index(world)
    try:
        world.open(disk).close()
        there = records(world, disk)
    except (ValueError, AssertionError, StoreError) as error:  # torn, or in two versions
        yield repr(error)
        return
    if there not in wanted:
        yield "it is neither done nor not done"
    if answered and there != wanted[1]:
        yield "what was answered is lost"
    yield from reader.dangling(there)


def repeated(world: World, disk: Disk, name: str, after: Records) -> Iterator[str]:
    """What is wrong when the next process does it again."""
    forget_index(world)
    perform(world, disk, name)
    if records(world, disk) != after:
        yield "it cannot be repeated to its end"
    yield from (path for path in disk.below(world.settings.data_dir) if reader.is_temporary(path))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["character-update", "tag-delete", "user-create", "user-delete"])
def test_after_a_power_cut_it_is_done_or_not_done(world: World, name: str) -> None:
    assert list(violations(world, name)) == []


@pytest.mark.parametrize("kind", [WithoutFileSync, WithoutFolderSync, WrittenInPlace], ids=lambda kind: kind.__name__)
def test_without_this_guard_something_is_lost(world: World, kind: type[Disk]) -> None:
    assert next(violations(world, "character-update", kind), None) is not None
