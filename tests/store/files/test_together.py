"""Many at once: no update is lost, whoever writes; a lock that was left behind blocks nobody."""

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from store.errors import LockedError
from store.files.system import System
from tests.factories import assert_everything_is_equal, make_character, make_tag, make_user, put
from tests.store.files.conftest import Opener

ROOT = Path(__file__).resolve().parents[3]


def all_at_once(work: Callable[[int], object], number: int = 20) -> list[BaseException]:
    failed: list[BaseException] = []
    start = threading.Barrier(number)

    def run(place: int) -> None:
        start.wait()
        try:
            work(place)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


@pytest.mark.parametrize("backend", ["sql", "json", "dual"])
def test_twenty_tags_made_at_once_are_all_kept(opener: Opener, backend: str) -> None:
    """Quilltap kept one of twenty."""
    store = opener(backend)
    owner = make_user(store).id
    assert all_at_once(lambda n: make_tag(store, name=f"T{n}", userId=owner)) == []
    assert {tag.name for tag in store.tags.find_all()} == {f"T{n}" for n in range(20)}
    if backend == "dual":  # a request leaves the files to others when the lock is busy
        store.outbox.apply(timeout=15)
        assert_everything_is_equal(store)


@pytest.mark.parametrize("backend", ["json", "dual"])
def test_one_is_changed_while_others_are_made(opener: Opener, backend: str) -> None:
    store = opener(backend)
    elf = make_tag(store, name="Elf")

    def work(number: int) -> None:
        if number % 2:
            make_tag(store, name=f"T{number}", userId=elf.userId)
        else:
            store.tags.update(elf.id, {"name": f"Elf {number}"})

    assert all_at_once(work, 10) == []
    assert len(store.tags.find_all()) == 6
    assert store.tags.find_by_id(elf.id).name != "Elf"


@pytest.mark.parametrize("backend", ["sql", "json", "dual"])
def test_of_many_who_find_or_create_a_tag_one_creates_it(opener: Opener, backend: str) -> None:
    store = opener(backend)
    owner = make_user(store).id
    assert all_at_once(lambda _: store.tags.find_or_create(owner, "Elf"), 8) == []
    assert len(store.tags.find_all()) == 1


@pytest.mark.parametrize("backend", ["sql", "json", "dual"])
def test_of_many_with_one_version_one_wins(opener: Opener, backend: str) -> None:
    store = opener(backend)
    alice = make_character(store)
    seen = store.characters.version(alice)
    failed = all_at_once(lambda n: store.characters.update(alice.id, {"name": f"N{n}"}, expected=seen), 6)
    assert [type(error).__name__ for error in failed] == ["ConflictError"] * 5


MAKES_TAGS = """
import sys, pathlib
from tests.factories import make_tag, open_test_store
folder, owner, name, backend = sys.argv[1:]
store = open_test_store(pathlib.Path(folder), backend=backend)
for number in range(10):
    make_tag(store, name=f"{name} {number}", userId=owner)
    assert any(tag.name == f"{name} {number}" for tag in store.tags.find_all())
store.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["json", "dual"])
def test_three_processes_lose_nothing_of_each_other(opener: Opener, tmp_path: Path, backend: str) -> None:
    store = opener(backend)
    owner = make_user(store).id
    command = [sys.executable, "-W", "error", "-c", MAKES_TAGS, str(tmp_path), owner]
    others = [subprocess.Popen([*command, f"P{n}", backend], cwd=ROOT, env={}) for n in range(3)]
    for number in range(5):
        make_tag(store, name=f"mine {number}", userId=owner)
    assert [other.wait(60) for other in others] == [0, 0, 0]
    assert len(store.tags.find_all()) == 35
    if backend == "dual":
        store.outbox.apply(timeout=15)
        assert_everything_is_equal(store)


HOLDS_LOCK = """
import sys, pathlib, time
from tests.factories import settings_for
from store.files.side import JsonSide
settings = settings_for(pathlib.Path(sys.argv[1]))
with JsonSide(settings.data_dir, settings.own_dir).lock.hold():
    print("held", flush=True)
    time.sleep(60)
"""

pytestmark = pytest.mark.slow  # several processes and threads


def another_holder(folder: Path) -> subprocess.Popen[bytes]:
    """Another process that holds the store lock."""
    command = [sys.executable, "-c", HOLDS_LOCK, str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, env={}, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_while_another_process_writes_a_dual_write_leaves_the_file_for_later(opener: Opener, tmp_path: Path) -> None:
    store = opener("dual")
    make_user(store)
    process = another_holder(tmp_path)
    try:
        written = store.users.create({"email": "b@example.org"})
        assert (written.sources.sql, written.sources.json, written.sources.consistent) == (True, False, False)
        assert isinstance(written.sources.error, LockedError)
        assert str(process.pid) in written.sources.error.message
        assert store.users.find_by_id(written.value.id) == written.value
        assert store.pending() == 1
    finally:
        end(process)
    store.outbox.apply()
    assert_everything_is_equal(store)


def test_a_lock_whose_holder_was_killed_blocks_nobody(opener: Opener, tmp_path: Path) -> None:
    """Quilltap's writes failed for up to thirty seconds."""
    end(another_holder(tmp_path))
    started = time.monotonic()
    store = opener("dual")
    assert store.users.create({"email": "a@example.org"}).sources.consistent
    assert time.monotonic() - started < 5


def test_a_left_over_lock_file_blocks_nobody(opener: Opener, tmp_path: Path, data: Path) -> None:
    put(tmp_path, "data.tandem/store.lock", "4711\n")
    put(data, "tags/tags.json.lock", "")
    store = opener("json")
    make_tag(store)
    assert len(store.tags.find_all()) == 1


def test_what_a_killed_write_left_is_taken_away_at_the_next_start(opener: Opener, data: Path) -> None:
    for path in ("characters/x.json.tandem-0123abcd", "extras/tags.jsonl.tandem-0", "settings/users/u.json.tandem-1"):
        put(data, path, "half")
    quilltaps = put(data, "characters/x.json.tmp.0123abcd", "Quilltap's own, perhaps at work")
    store = opener("json")
    assert [path.name for path in data.rglob("*") if ".tandem-" in path.name] == []
    assert quilltaps.exists()
    assert list(store.characters.find_all()) == []


def test_a_listing_is_complete_while_files_come_and_go(tmp_path: Path) -> None:
    """A file that vanishes between its name and its size is another writer's; the names after it still count."""
    for number in range(200):
        (tmp_path / f"{number}.json").write_text("{}")
    stop = threading.Event()

    def come_and_go(name: str) -> None:
        for number in itertools.takewhile(lambda _: not stop.is_set(), itertools.count()):
            path = tmp_path / f"{name}-{number % 50}"
            path.write_text("")
            path.unlink()

    writers = [threading.Thread(target=come_and_go, args=(name,)) for name in "abc"]
    for writer in writers:
        writer.start()
    try:
        for _ in range(60):
            names = {name for name, _ in System().list(tmp_path) if name.endswith(".json")}
            assert len(names) == 200
    finally:
        stop.set()
        for writer in writers:
            writer.join()
