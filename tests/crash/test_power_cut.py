"""The power is cut at every call: whatever was not synced may be gone, torn or zeroed. And why each guard is needed."""

import random
from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path

import pytest

from store import Store
from store.database import Session
from store.errors import StoreError
from store.files.side import Entity
from store.files.system import Handle
from store.outbox import Outbox
from tests.crash import reader
from tests.crash.disk import Disk, PowerCut, disk_of
from tests.crash.families import members
from tests.crash.world import OPERATIONS, World, make_world

CUT = (
    *("character-create", "character-update", "character-delete"),
    *("tag-update", "tag-delete", "user-create", "message-add"),
)
EACH = [(operation, model) for operation in CUT for model in ("ordered", "weak")]
WEAK = [(operation, "weak") for operation in ("character-delete", "tag-delete", "user-create", "message-add")]
KILLED = ("character-update", "tag-delete", "user-create", "message-add", "message-delete")
Furnish = Callable[[Store], None]


@pytest.fixture(scope="module")
def world(lasting_memory_path: Path) -> World:
    return make_world(lasting_memory_path)


def nothing(store: Store) -> None:
    """The store is as it is."""


class Moments:
    """What a power cut meets at each call of an operation, of one run: the disk, and SQL as it was committed then."""

    def __init__(self, world: World, disk: Disk) -> None:
        self._world, self._disk = world, disk
        self._all: list[tuple[Disk, dict[Path, bytes | None], bool]] = []
        self.answered = False
        disk.watch = self.keep

    def keep(self) -> None:
        self._all.append((self._disk.as_now(), self._world.sqlite_files(), self.answered))

    def __iter__(self) -> Iterator[tuple[int, Disk, bool]]:
        """Number and disk of each moment, and whether the operation was answered; SQL is laid as it was."""
        for number, (disk, files, answered) in enumerate(self._all):
            self._world.lay_sqlite(files)
            yield number, disk, answered


class Different:
    """Tells disks apart by what they hold. ``more``: what else makes two of them different."""

    def __init__(self, world: World) -> None:
        self._folders = (world.settings.data_dir, world.settings.own_dir)
        self._known: set[Hashable] = set()

    def of(self, disks: Iterable[Disk], more: Hashable = None) -> Iterator[Disk]:
        """The disks, without those that hold what one before them held."""
        for disk in disks:
            state = (more, *(frozenset(disk.below(folder).items()) for folder in self._folders))
            if state not in self._known:
                self._known.add(state)
                yield disk


def recover(world: World, disk: Disk) -> list[str]:
    """What is not the same on both sides after the next start. SQL is as it was for the next disk."""
    before = world.sqlite_files()
    world.open(disk).close()
    files = disk.below(world.settings.data_dir)
    left = [f"{path} was left behind" for path in files if reader.is_temporary(path)]
    told = left + reader.differences(reader.read_sql(world.settings.database_url), files)
    world.lay_sqlite(before)
    return told


def run(world: World, disk: Disk, operation: str, furnish: Furnish, answered: Furnish = nothing) -> bool:
    """Open a store on the disk and do the operation; whether it came to its end."""
    try:
        store = world.open(disk)
        try:
            furnish(store)
            OPERATIONS[operation](store)
            answered(store)
        finally:
            store.close()
    except PowerCut:
        return False
    return True


def fresh_disk(world: World, kind: type[Disk]) -> Disk:
    world.restore()
    disk = disk_of(world.settings.data_dir, world.settings.own_dir)
    return kind(disk.files, disk.folders, disk.bytes_of)


def at_every_call(
    world: World, operation: str, kind: type[Disk] = Disk, furnish: Furnish = nothing
) -> Iterator[tuple[int, Disk, bool]]:
    """The disks that a power cut meets at every call of an operation, and whether it was answered by then."""
    disk = fresh_disk(world, kind)
    moments = Moments(world, disk)
    assert run(world, disk, operation, furnish, lambda store: setattr(moments, "answered", True))
    moments.keep()
    yield from moments


def with_an_heir(
    world: World, operation: str, kind: type[Disk] = Disk, furnish: Furnish = nothing
) -> Iterator[tuple[int, Disk, bool]]:
    """At every call the process is only killed; another one that is running finishes what it left, and only then the
    power is cut."""
    number, finished = 0, False
    while not finished:
        number += 1
        disk = fresh_disk(world, kind)
        heir = world.open(disk)
        disk.stop = disk.calls + number
        finished = run(world, disk, operation, furnish)
        disk.stop = None
        furnish(heir)
        heir.outbox.apply()
        heir.close()
        yield number, disk, finished


def violations(
    world: World,
    operation: str,
    model: str,
    *,
    kind_of_disk: type[Disk] = Disk,
    furnish: Furnish = nothing,
    with_heir: bool = False,
) -> Iterator[str]:
    """Cut the power at every call of an operation, and tell what is then wrong, before and after the next start."""
    chance, different = random.Random(operation), Different(world)
    cuts = (with_an_heir if with_heir else at_every_call)(world, operation, kind_of_disk, furnish)
    for number, disk, _ in cuts:
        sql = reader.read_sql(world.settings.database_url)
        # The same disk beside the same rows was looked at before.
        for place, left in enumerate(different.of(disk.after_power_cuts(model, chance), sql.outline())):
            files = left.below(world.settings.data_dir)
            yield from (f"call {number}: {one}" for one in reader.unannounced(sql, files))
            if place % 12 == 0:
                yield from (f"call {number}, after the next start: {one}" for one in recover(world, left))


@pytest.mark.slow
@pytest.mark.parametrize(("operation", "model"), members(EACH, [*WEAK, ("tag-delete", "ordered")]))
def test_what_has_no_entry_is_on_the_disk_and_the_next_start_makes_both_sides_equal(
    world: World, operation: str, model: str
) -> None:
    assert list(violations(world, operation, model)) == []


@pytest.mark.slow
@pytest.mark.parametrize("operation", members(KILLED, ["character-update", "message-add"]))
def test_a_power_cut_after_a_kill_loses_nothing_either(world: World, operation: str) -> None:
    assert list(violations(world, operation, "weak", with_heir=True)) == []


# ------------------------------------------------------------------ without the guard the check fails
class WithoutFileSync(Disk):
    def sync(self, handle: Handle) -> None:
        self._step()

    def sync_all(self, folder: Path) -> None:
        self._step()


class WithoutFolderSync(Disk):
    def sync_folder(self, folder: Path) -> None:
        self._step()


class WrittenInPlace(Disk):
    """Renaming is writing over the old file."""

    def rename(self, source: Path, target: Path) -> None:
        if str(target) not in self.files:
            return super().rename(source, target)
        data, inode = self.read(source), self.files[str(target)]
        self.remove(source)
        self.bytes_of[inode] = b""
        # What it held is gone as soon as the file is opened to be written over.
        self._base[2][inode] = b""
        self.write(Handle(inode, target), data)
        return None


class AcknowledgedFirst(Outbox):
    def _bring_over(self, session: Session, entities: set[Entity]) -> dict[Entity, StoreError]:
        self._acknowledge(session, list(self._entries(session, 0, totals=True)))
        return super()._bring_over(session, entities)


def acknowledge_first(store: Store) -> None:
    store.outbox.__class__ = AcknowledgedFirst


def trust_what_is_there(store: Store) -> None:
    store.side.settle = lambda kinds, written: None  # type: ignore[method-assign]


MUTANTS: dict[str, dict[str, object]] = {
    "files are not synced": {"kind_of_disk": WithoutFileSync},
    "folders are not synced": {"kind_of_disk": WithoutFolderSync},
    "files are written in place": {"kind_of_disk": WrittenInPlace},
    "what a killed process renamed is taken as done": {"furnish": trust_what_is_there, "with_heir": True},
    "entries go before the files are written": {"furnish": acknowledge_first},
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_without_this_guard_something_is_lost(world: World, mutant: dict[str, object]) -> None:
    assert next(violations(world, "character-rename", "weak", **mutant), None) is not None  # type: ignore[arg-type]
