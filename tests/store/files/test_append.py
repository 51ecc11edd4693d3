"""Files that only grow, and second names of files: what was there stays, whatever happens in between."""

import contextlib
import errno
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.files.replace import TEMPORARY, Append, CopyOf, Write, write_all
from store.files.system import Handle, Signature, System
from tests.crash.disk import Disk, PowerCut
from tests.crash.faults import FAULTS, Fault, FaultySystem
from tests.factories import files_below

pytestmark = pytest.mark.slow  # writes many files

OLD, NEW = b"first\nsecond\n", b"third\nfourth\n"
TORN = OLD + b"thi"


class Counting(System):
    """The real system; ``calls`` has the names of those that change something or wait for the disk."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def write(self, handle: Handle, data: bytes) -> int:
        self.calls.append("write")
        return super().write(handle, data)

    def truncate(self, handle: Handle, size: int) -> None:
        self.calls.append("truncate")
        super().truncate(handle, size)

    def sync(self, handle: Handle) -> None:
        self.calls.append("sync")
        super().sync(handle)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "chats" / "a.jsonl"
    path.parent.mkdir()
    path.write_bytes(OLD)
    return path


def write(system: System, path: Path, change: Write) -> None:
    write_all(system, path.parent.parent, [(path, change)])


# ------------------------------------------------------------------ appending
def test_what_is_appended_is_one_write_and_one_sync(log: Path) -> None:
    system = Counting()
    inode = log.stat().st_ino
    write(system, log, Append(len(OLD), NEW))
    assert log.read_bytes() == OLD + NEW
    assert log.stat().st_ino == inode
    assert system.calls == ["write", "sync"]


def test_a_torn_tail_is_cut_off_first(log: Path) -> None:
    log.write_bytes(TORN)
    system = Counting()
    write(system, log, Append(len(OLD), NEW))
    assert log.read_bytes() == OLD + NEW
    assert system.calls == ["truncate", "write", "sync"]


def test_a_line_that_another_program_adds_before_ours_stays(log: Path) -> None:
    log.write_bytes(OLD + b"theirs\n")
    system = Counting()
    write(system, log, Append(len(OLD), NEW))
    assert log.read_bytes() == OLD + b"theirs\n" + NEW
    assert system.calls == ["write", "sync"]
    log.write_bytes(TORN)
    write(system, log, Append(len(OLD), b""))
    assert log.read_bytes() == OLD  # nothing is to follow, and half a line is no line all the same


def test_a_line_that_another_program_adds_behind_half_of_ours_stays(log: Path) -> None:
    class Overtaken(FullAfterHalf):
        def write(self, handle: Handle, data: bytes) -> int:
            if self._writes == 1:
                with log.open("ab") as theirs:
                    theirs.write(b"theirs\n")
            return super().write(handle, data)

    with pytest.raises(OSError, match="space"):
        write(Overtaken(), log, Append(len(OLD), NEW))
    assert log.read_bytes() == OLD + NEW[: len(NEW) // 2] + b"theirs\n"


def test_without_data_a_file_is_only_made_sure_of(log: Path) -> None:
    system = Counting()
    write(system, log, Append(len(OLD), b""))
    assert log.read_bytes() == OLD
    assert system.calls == ["sync"]


def test_a_file_that_is_not_there_is_made_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "b.jsonl"
    write(System(), path, Append(0, NEW))
    assert files_below(tmp_path) == {"new/b.jsonl": NEW}


def test_a_file_that_is_shorter_than_it_was_is_not_appended_to(log: Path) -> None:
    """Somebody has cut it since the plan was made: what would follow its end is not what belongs there."""
    with pytest.raises(OSError, match="shorter"):
        write(System(), log, Append(len(OLD) + 5, NEW))
    assert log.read_bytes() == OLD


def test_what_the_system_takes_in_parts_is_written_whole(log: Path) -> None:
    system = FaultySystem()
    system.arm(FAULTS["short write"])
    write(system, log, Append(len(OLD), NEW))
    assert log.read_bytes() == OLD + NEW


class FullAfterHalf(System):
    """Takes half of the bytes, and then there is no room."""

    def __init__(self) -> None:
        self._writes = 0

    def write(self, handle: Handle, data: bytes) -> int:
        self._writes += 1
        if self._writes == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(handle.path))
        return super().write(handle, data[: len(data) // 2])


@pytest.mark.parametrize("before", [OLD, TORN], ids=["whole", "torn"])
def test_a_disk_that_is_full_in_the_middle_leaves_the_file_as_long_as_it_was(log: Path, before: bytes) -> None:
    log.write_bytes(before)
    with pytest.raises(OSError, match="space"):
        write(FullAfterHalf(), log, Append(len(OLD), NEW))
    assert log.read_bytes() == OLD


@pytest.mark.parametrize("kind", ["ENOSPC", "EIO", "EROFS"])
def test_a_fault_at_any_call_leaves_the_old_bytes_or_all_of_the_new(log: Path, kind: str) -> None:
    met = []
    for at in range(100):
        log.write_bytes(OLD)
        system = FaultySystem()
        system.arm(FAULTS[kind], at)
        with contextlib.suppress(OSError):
            write(system, log, Append(len(OLD), NEW))
        # Once the bytes are on the disk, only closing the file and syncing its folder are left to fail.
        whole = system.failed in ("", "close", "sync_folder")
        assert log.read_bytes() == (OLD + NEW if whole else OLD), system.failed
        met.append(system.failed)
        if not system.failed:
            break
    assert log.read_bytes() == OLD + NEW
    assert "open_to_append" in met
    assert kind == "EROFS" or {"write", "sync"} <= set(met)


def test_a_full_disk_that_cannot_even_cut_is_told_as_full(log: Path) -> None:
    class Stuck(FullAfterHalf):
        def truncate(self, handle: Handle, size: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(handle.path))

    with pytest.raises(OSError, match="space"):
        write(Stuck(), log, Append(len(OLD), NEW))
    assert log.read_bytes().startswith(OLD)  # and the piece behind is a torn tail


# ------------------------------------------------------------------ appending, and then the power is cut
def disk(**files: bytes) -> Disk:
    """A disk with files in /data/chats, all of them synced."""
    numbered = {f"/data/chats/{name}": number for number, name in enumerate(files, start=1)}
    return Disk(numbered, {"/", "/data", "/data/chats"}, dict(enumerate(files.values(), start=1)))


def cuts(before: Disk, changes: list[tuple[Path, Write]], model: str) -> Iterator[tuple[bool, dict[str, bytes]]]:
    """Whether the writing had come to its end, and what is there after the power was cut at each call."""
    for stop in range(100):
        there = Disk(dict(before.files), set(before.folders), dict(before.bytes_of), stop=stop)
        try:
            write_all(there, Path("/data"), changes)
        except PowerCut:
            finished = False
        else:
            finished = True
        for left in there.after_power_cuts(model, random.Random(stop)):
            yield finished, left.below(Path("/data"))
        if finished:
            return
    raise AssertionError("it never ends")


MODELS = pytest.mark.parametrize("model", ["ordered", "weak"])


@MODELS
@pytest.mark.parametrize("before", [OLD, TORN], ids=["whole", "torn"])
def test_a_power_cut_costs_nothing_of_what_was_there(model: str, before: bytes) -> None:
    ends = set()
    for finished, files in cuts(disk(a=before), [(Path("/data/chats/a"), Append(len(OLD), NEW))], model):
        found = files["chats/a"]
        assert found.startswith(OLD)
        assert not finished or found == OLD + NEW
        ends.add(found.removeprefix(OLD))
    half = NEW[: len(NEW) // 2]
    assert {b"", half, bytes(len(NEW)), NEW} <= ends  # the disk tears, or the test proves nothing


@MODELS
def test_a_new_file_has_its_name_on_the_disk_too(model: str) -> None:
    for finished, files in cuts(disk(), [(Path("/data/chats/a"), Append(0, NEW))], model):
        assert not finished or files == {"chats/a": NEW}


@MODELS
def test_what_is_written_after_an_append_is_not_there_without_it(model: str) -> None:
    """The index vouches for the length of a chat's file, so it comes second."""
    steps: list[tuple[Path, Write]] = [
        (Path("/data/chats/a"), Append(len(OLD), NEW)),
        (Path("/data/chats/index"), b"longer"),
    ]
    for finished, files in cuts(disk(a=OLD, index=b"old"), steps, model):
        assert files["chats/index"] in (b"old", b"longer")
        assert files["chats/index"] == b"old" or files["chats/a"] == OLD + NEW
        assert not finished or files["chats/index"] == b"longer"


def test_without_a_sync_the_disk_loses_it() -> None:
    class WithoutSync(Disk):
        def sync(self, handle: Handle) -> None:
            self._step()

    careless = WithoutSync({"/data/a": 1}, {"/", "/data"}, {1: TORN})
    write_all(careless, Path("/data"), [(Path("/data/a"), Append(len(OLD), NEW))])
    left = [one.below(Path("/data"))["a"] for one in careless.after_power_cuts("weak", random.Random(1))]
    assert OLD + NEW in left
    assert any(one != OLD + NEW for one in left)
    assert TORN in left  # neither cut nor written


# ------------------------------------------------------------------ second names
def test_a_copy_is_a_second_name_of_the_same_file(tmp_path: Path) -> None:
    source = tmp_path / "public" / "a.png"
    source.parent.mkdir()
    source.write_bytes(b"\x89PNG")
    target = tmp_path / "data" / "binaries" / "raw"
    write_all(System(), tmp_path, [(target, CopyOf(source))])
    assert target.read_bytes() == b"\x89PNG"
    assert target.samefile(source)


class OtherDisk(System):
    """Where source and target lie on two disks."""

    def link(self, source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(source))


def test_on_another_disk_the_bytes_are_copied(tmp_path: Path) -> None:
    source, target = tmp_path / "a.png", tmp_path / "raw"
    source.write_bytes(b"\x89PNG")
    write_all(OtherDisk(), tmp_path, [(target, CopyOf(source))])
    assert target.read_bytes() == b"\x89PNG"
    assert not target.samefile(source)


def test_a_link_is_followed_to_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "real.png").write_bytes(b"\x89PNG")
    (tmp_path / "data").mkdir()
    source, target = tmp_path / "link.png", tmp_path / "data" / "raw"
    source.symlink_to("real.png")
    write_all(System(), tmp_path, [(target, CopyOf(source))])
    assert not target.is_symlink()
    assert target.read_bytes() == b"\x89PNG"


@pytest.mark.parametrize("system", [System(), OtherDisk()], ids=["linked", "copied"])
def test_a_second_name_that_is_there_already_leaves_nothing_behind(tmp_path: Path, system: System) -> None:
    """To rename one name of a file to another name of it does nothing at all."""
    source, target = tmp_path / "a.png", tmp_path / "raw"
    source.write_bytes(b"\x89PNG")
    os.link(source, target)
    write_all(system, tmp_path, [(target, CopyOf(source))])
    assert files_below(tmp_path) == {"a.png": b"\x89PNG", "raw": b"\x89PNG"}


def test_a_source_that_is_gone_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"old")
    changes: list[tuple[Path, Write]] = [(tmp_path / "kept", b"new"), (tmp_path / "raw", CopyOf(tmp_path / "gone"))]
    with pytest.raises(FileNotFoundError):
        write_all(System(), tmp_path, changes)
    assert files_below(tmp_path) == {"kept": b"old"}


@MODELS
@pytest.mark.parametrize("system", [Disk, type("Apart", (OtherDisk, Disk), {})], ids=["linked", "copied"])
def test_bytes_that_another_program_has_not_synced_are_on_the_disk_once_they_are_copied(
    model: str, system: type[Disk]
) -> None:
    """Quilltap syncs nothing."""
    there = system({}, {"/", "/data", "/data/public"}, {})
    source = Path("/data/public/a.png")
    write_all(there, Path("/data"), [])
    handle = there.create(source)
    there.write(handle, b"\x89PNG")
    there.sync_folder(source.parent)
    write_all(there, Path("/data"), [(Path("/data/raw"), CopyOf(source))])
    for left in there.after_power_cuts(model, random.Random(1)):
        assert left.below(Path("/data"))["raw"] == b"\x89PNG"


def test_a_fault_at_any_call_leaves_no_half_of_a_copy(tmp_path: Path) -> None:
    source, target = tmp_path / "a.png", tmp_path / "data" / "raw"
    source.write_bytes(b"\x89PNG")
    target.parent.mkdir()
    for at in range(100):
        target.unlink(missing_ok=True)
        system = FaultySystem()
        system.arm(Fault(errno.EIO, FAULTS["EIO"].calls), at)
        try:
            write_all(system, tmp_path, [(target, CopyOf(source))])
        except OSError:
            assert not target.exists() or system.failed in ("sync_folder", "is_folder", "remove")
        else:
            assert target.read_bytes() == b"\x89PNG"  # where no second name can be made it is copied
        assert [name for name in os.listdir(target.parent) if TEMPORARY in name] == []
        if not system.failed:
            return
    raise AssertionError("it never ends")


# ------------------------------------------------------------------ the calls themselves
def test_a_piece_of_a_file_is_read_without_the_rest(log: Path) -> None:
    system = System()
    assert system.read_from(log, 6, 6) == b"second"
    assert system.read_from(log, len(OLD) - 1, 100) == b"\n"
    assert system.read_from(log, len(OLD), 100) == b""
    with pytest.raises(FileNotFoundError):
        system.read_from(log.with_name("none"), 0, 1)


def test_the_disk_in_memory_reads_as_the_real_one_does(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(OLD)
    there = Disk({str(tmp_path / "a"): 1}, {str(tmp_path)}, {1: OLD})
    for system in (System(), there):
        handle = system.open_below(tmp_path, Path("a"))
        assert [system.read_some(handle, 6), system.read_some(handle, 99), system.read_some(handle, 9)] == [
            b"first\n",
            b"second\n",
            b"",
        ]
        assert isinstance(system.signature_of(handle), Signature)
        assert system.signature_of(handle).size == len(OLD)
        system.close(handle)
        assert system.read_from(tmp_path / "a", 6, 3) == b"sec"
        assert system.resolve(tmp_path / "x" / ".." / "a") == tmp_path / "a"
        with pytest.raises(FileNotFoundError):
            system.open_below(tmp_path, Path("none"))
