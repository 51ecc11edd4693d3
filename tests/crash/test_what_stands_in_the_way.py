"""Real obstacles: a read-only folder, a lock somebody holds, a full disk. And the background loop, which heals."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from store import Store, open_store
from store.errors import DatabaseError, LockedError, ReadOnlyError, StorageFullError
from tests.crash import reader
from tests.crash.faults import FAULTS, FaultySystem
from tests.crash.world import ADA, HERO, NEW_TAG, World, make_world, populate
from tests.factories import files_below, settings_for

BIG = "x" * 100_000


@pytest.fixture
def world(memory_path: Path) -> World:
    return make_world(memory_path)


@pytest.fixture
def store(world: World) -> Iterator[Store]:
    opened = world.open()
    yield opened
    opened.close()


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return met


# ------------------------------------------------------------------ a read-only folder
def test_on_a_read_only_folder_dual_starts_reads_and_keeps_what_waits(world: World) -> None:
    system = FaultySystem()
    system.arm(FAULTS["EROFS"])
    store = world.open(system)
    sources = store.tags.create({"id": NEW_TAG, "userId": ADA, "name": "New"}).sources
    assert isinstance(sources.error, ReadOnlyError)
    assert "Make the folder writable" in sources.error.sentence
    assert store.tags.find_by_id(NEW_TAG) is not None
    assert store.pending("tag", NEW_TAG) == 1
    system.disarm()
    store.catch_up()
    assert (world.look().violations(), store.problems()) == ([], [])
    store.close()


def test_on_a_read_only_folder_json_mode_reads_and_refuses_to_write(memory_path: Path) -> None:
    world, system = make_world(memory_path, "json"), FaultySystem()
    store = world.open(system)
    system.arm(FAULTS["EROFS"])
    before = world.look()
    with pytest.raises(ReadOnlyError):
        store.tags.create({"id": NEW_TAG, "userId": ADA, "name": "New"})
    assert world.look().files == before.files
    assert len(store.characters.find_all()) == 3
    assert store.tags.find_by_id(NEW_TAG) is None
    store.close()


# ------------------------------------------------------------------ a lock somebody holds
@contextlib.contextmanager
def another_process_holds(path: Path) -> Iterator[int]:
    """The lock is held by a process of its own until the block ends; its number."""
    ready, done = os.pipe(), os.pipe()
    holder = os.fork()
    if not holder:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.truncate(path, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        os.write(ready[1], b"!")
        os.read(done[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    yield holder
    os.write(done[1], b"!")
    os.waitpid(holder, 0)
    for descriptor in (*ready, *done):
        os.close(descriptor)


def test_while_another_process_holds_the_lock_a_write_is_kept_and_told_and_then_applied(
    world: World, store: Store
) -> None:
    with another_process_holds(world.settings.own_dir / "store.lock") as holder:
        sources = store.characters.update(HERO, {"name": "Waits"}).sources
        assert isinstance(sources.error, LockedError)
        assert str(holder) in sources.error.message
        assert store.pending("character", HERO) == 1
        found = store.characters.find_by_id(HERO)
        assert found is not None
        assert found.name == "Waits"
        assert b"Waits" not in world.look().files[f"characters/{HERO}.json"]
    store.outbox.apply()
    assert (world.look().violations(), store.problems()) == ([], [])


def test_a_lock_whose_holder_died_is_free(world: World, store: Store) -> None:
    with another_process_holds(world.settings.own_dir / "store.lock"):
        pass
    assert store.characters.update(HERO, {"name": "At once"}).sources.consistent


# ------------------------------------------------------------------ the background loop
def test_the_background_loop_heals_by_itself(world: World) -> None:
    system = FaultySystem()
    store = open_store(world.settings, system=system)
    system.arm(FAULTS["EIO"])
    assert not store.characters.update(HERO, {"name": "Later"}).sources.consistent
    time.sleep(0.3)  # it tries in vain meanwhile
    assert store.problems()
    system.disarm()
    assert eventually(lambda: not store.pending() and not store.problems())
    assert world.look().violations() == []
    store.close()


def test_what_another_process_applied_meanwhile_is_no_problem_any_more(world: World, store: Store) -> None:
    follower = open_store(world.settings)
    with another_process_holds(world.settings.own_dir / "store.lock"):
        assert not follower.characters.update(HERO, {"name": "Waits"}).sources.consistent
        assert follower.problems()
    with contextlib.suppress(LockedError):  # the loop was first
        store.outbox.apply()
    assert eventually(lambda: not follower.pending() and not follower.problems())
    follower.close()


# ------------------------------------------------------------------ a disk that is full
@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that holds 8 MB."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if (
        os.geteuid()
        or not shutil.which("mount")
        or subprocess.run(command, capture_output=True, check=False).returncode
    ):
        pytest.skip("only root may mount a small file system")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    """Take all the room there is."""
    ballast = place / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return ballast


def test_a_full_disk_leaves_the_old_file_and_the_lock_free(tmp_path: Path, small_disk: Path) -> None:
    settings = replace(settings_for(tmp_path), data_dir=small_disk / "data")
    store = open_store(settings, follow=False)
    populate(store)
    before = files_below(settings.data_dir)
    (settings.own_dir / "store.lock").write_bytes(b"")  # a new process writes its number there, if there is room
    ballast = fill(small_disk)
    for name in ("first", "second"):
        sources = store.characters.update(HERO, {"name": name, "description": BIG}).sources
        assert isinstance(sources.error, StorageFullError)
        assert "Free some space" in sources.error.sentence
    assert files_below(settings.data_dir) == before
    ballast.unlink()
    store.outbox.apply()
    sql = reader.read_sql(settings.database_url)
    assert reader.differences(sql, files_below(settings.data_dir)) == []
    assert store.problems() == []
    store.close()


def test_in_json_mode_a_full_disk_changes_nothing(tmp_path: Path, small_disk: Path) -> None:
    settings = replace(settings_for(tmp_path, backend="json"), data_dir=small_disk / "data")
    settings.own_dir.mkdir()
    store = open_store(settings, follow=False)
    populate(store)
    before = files_below(settings.data_dir)
    ballast = fill(small_disk)
    with pytest.raises((StorageFullError, DatabaseError)) as told:
        store.characters.update(HERO, {"name": "No room", "description": BIG})
    assert "Free some space" in told.value.sentence
    assert files_below(settings.data_dir) == before
    ballast.unlink()
    assert store.characters.update(HERO, {"name": "Room", "description": BIG}).sources.consistent
    store.close()
