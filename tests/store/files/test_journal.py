"""The redo journal: a change of several files is there wholly or not at all, whatever is killed, and by whom it is
carried out in the end."""

import contextlib
import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.errors import JsonSideError, OutcomeUnknownError
from store.files.journal import JOURNAL, Journal
from store.files.replace import Append, CopyOf, Write
from store.files.system import System
from tests.crash.disk import Disk, PowerCut, disk_of
from tests.crash.faults import FAULTS, FaultySystem
from tests.factories import files_below, put

LOG = "chats/x.jsonl"
FIRST, SECOND, FOREIGN = b'{"n":1}\n', b'{"n":2,"text":"a longer line"}\n', b'{"n":"theirs"}\n'
OLD = {"a/1.json": b"old 1", "b/2.json": b"old 2", "b/gone.json": b"gone", LOG: FIRST}
CHANGE: dict[str, Write] = {
    "a/1.json": b"new 1",
    LOG: Append(len(FIRST), SECOND),
    "c/d/3.json": b"new 3",
    "b/2.json": b"new 2",
    "b/gone.json": None,
}
NEW = {"a/1.json": b"new 1", LOG: FIRST + SECOND, "c/d/3.json": b"new 3", "b/2.json": b"new 2"}


class Killed(BaseException):
    """No code of the process runs any more."""


def die(journal: Journal, steps: object) -> None:
    raise Killed


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for path, content in OLD.items():
        put(tmp_path / "data", path, content)
    (tmp_path / "data.tandem").mkdir()
    return tmp_path / "data"


@pytest.fixture
def own(data: Path) -> Path:
    return data.with_name("data.tandem")


@pytest.fixture
def journal(data: Path, own: Path) -> Journal:
    return Journal(System(), data, own)


@pytest.fixture
def committed(data: Path, own: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder as a process left it that was killed once the change counted and before it was carried out."""
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_carry_out", die)
        with pytest.raises(Killed):
            Journal(System(), data, own).write(CHANGE)
    assert {path: content for path, content in files_below(data).items() if ".tandem-" not in path} == OLD
    assert (own / JOURNAL).exists()
    return data


def is_done(journal: Journal, data: Path, own: Path, wanted: dict[str, bytes] = NEW) -> bool:
    """Whether the next one brings it to its end, and nothing is left behind."""
    redone = journal.recover(changing=False) and not journal.recover(changing=True) and not journal.is_there()
    return redone and files_below(data) == wanted and files_below(own) == {}


# ------------------------------------------------------------------ writing
@pytest.mark.parametrize("path", CHANGE)
def test_a_single_file_needs_no_journal(
    journal: Journal, data: Path, own: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Journal, "_commit", None)
    written = journal.write({path: CHANGE[path]})
    assert written.finished
    wanted = {**OLD, path: NEW.get(path)}
    assert files_below(data) == {name: content for name, content in wanted.items() if content is not None}
    assert files_below(own) == {}


def test_several_files_and_what_they_are_known_by(journal: Journal, data: Path, own: Path) -> None:
    written = journal.write(CHANGE)
    assert written.finished
    assert files_below(data) == NEW
    assert files_below(own) == {}
    assert written.signatures.keys() == CHANGE.keys()
    for path, signature in written.signatures.items():
        assert signature == (System().signature(data / path) if path in NEW else None)


def test_nothing_to_write_writes_nothing(journal: Journal, data: Path, own: Path) -> None:
    assert journal.write({}).signatures == {}
    assert (files_below(data), files_below(own)) == (OLD, {})


def test_more_files_than_are_synced_one_by_one(journal: Journal, data: Path, own: Path) -> None:
    many: dict[str, Write] = {f"many/{number}.json": b"new" for number in range(40)}
    assert journal.write(many).finished
    assert files_below(data) == {**OLD, **many}


def test_copies_come_first(data: Path, own: Path, tmp_path: Path) -> None:
    """Who names one finds it, and one that nobody names does no harm."""
    picture = put(tmp_path, "picture.png", b"bytes")
    system = FaultySystem()
    change: dict[str, Write] = {"a/1.json": b"new 1", "b/2.json": b"new 2", "binaries/ab/abcd": CopyOf(picture)}
    system.arm(FAULTS["ENOSPC"], at=None)
    with pytest.raises(JsonSideError):
        Journal(system, data, own).write(change)
    assert files_below(data) == OLD
    journal = Journal(System(), data, own)
    copied: list[bool] = []
    real = journal._prepare

    def prepare(files: dict[str, Write]) -> object:
        copied.append((data / "binaries/ab/abcd").read_bytes() == b"bytes")
        return real(files)

    journal._prepare = prepare  # type: ignore[method-assign, assignment]
    assert journal.write(change).finished
    assert copied == [True]
    assert files_below(data) == {**OLD, "a/1.json": b"new 1", "b/2.json": b"new 2", "binaries/ab/abcd": b"bytes"}


# ------------------------------------------------------------------ carried out by the next one
def test_what_counted_is_carried_out(committed: Path, journal: Journal, own: Path) -> None:
    assert journal.is_there()
    assert is_done(journal, committed, own)


@pytest.mark.parametrize("path", ["a/1.json", "b/2.json", "c/d/3.json"])
def test_a_temporary_file_that_is_gone_took_its_place(committed: Path, journal: Journal, own: Path, path: str) -> None:
    (temporary,) = (one for one in (committed / path).parent.glob(".tandem-*") if one.read_bytes() == NEW[path])
    temporary.replace(committed / path)
    assert is_done(journal, committed, own)


def test_what_another_program_put_in_the_place_of_a_file_since_then_stays(
    committed: Path, journal: Journal, own: Path
) -> None:
    (temporary,) = (committed / "a").glob(".tandem-*")
    temporary.replace(committed / "a/1.json")
    put(committed, "a/1.json", b"theirs")
    put(committed, "a/other.json", b"theirs")
    assert is_done(journal, committed, own, {**NEW, "a/1.json": b"theirs", "a/other.json": b"theirs"})


def test_a_file_that_is_removed_already(committed: Path, journal: Journal, own: Path) -> None:
    (committed / "b/gone.json").unlink()
    assert is_done(journal, committed, own)


@pytest.mark.parametrize(
    ("left", "wanted"),
    [
        (FIRST, FIRST + SECOND),
        (FIRST + SECOND[:9], FIRST + SECOND),
        (FIRST + bytes(len(SECOND)), FIRST + SECOND),
        (FIRST + SECOND[:9] + bytes(len(SECOND) - 9), FIRST + SECOND),
        (FIRST + SECOND, FIRST + SECOND),
        (FIRST + SECOND + FOREIGN, FIRST + SECOND + FOREIGN),
        (FIRST + FOREIGN, FIRST + FOREIGN + SECOND),
        (FIRST + FOREIGN + SECOND, FIRST + FOREIGN + SECOND),
        (FIRST + FOREIGN + FOREIGN[:5], FIRST + FOREIGN + SECOND),
        (FIRST + SECOND[:9] + FOREIGN, FIRST + SECOND[:9] + FOREIGN + SECOND),
        (FOREIGN, FOREIGN + SECOND),
        (b"", SECOND),
        (None, SECOND),
    ],
    ids=[
        "not begun",
        "half",
        "zeros",
        "half and zeros",
        "done",
        "done, and another after it",
        "another instead",
        "another, then done",
        "another, and half of one",
        "half, and another glued to it",
        "another file",
        "emptied",
        "removed",
    ],
)
def test_an_append_is_there_once(
    committed: Path, journal: Journal, own: Path, left: bytes | None, wanted: bytes
) -> None:
    """Whatever the killed process or another one left of the file."""
    if left is None:
        (committed / LOG).unlink()
    else:
        put(committed, LOG, left)
    assert is_done(journal, committed, own, {**NEW, LOG: wanted})


def test_it_can_be_cut_short_again(committed: Path, own: Path) -> None:
    """However often: each time the next one goes on."""
    system = FaultySystem()
    for number in range(100):
        system.arm(FAULTS["EIO"], at=number)
        try:
            Journal(system, committed, own).recover(changing=True)
        except JsonSideError:
            continue
        break
    assert number > 10
    assert files_below(committed) == NEW
    assert files_below(own) == {}


# ------------------------------------------------------------------ a journal that is not carried out
@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data.replace(b"chats", b"CHATS"), bytes])
def test_a_journal_that_is_damaged_is_refused(committed: Path, journal: Journal, own: Path, damage: object) -> None:
    put(own, JOURNAL, damage((own / JOURNAL).read_bytes()) if damage is not bytes else b"")  # type: ignore[operator]
    before = files_below(committed)
    with pytest.raises(JsonSideError, match="checksum") as raised:
        journal.recover(changing=True)
    assert JOURNAL in raised.value.message
    assert raised.value.hint
    assert files_below(committed) == before
    assert journal.is_there()


def test_the_journal_of_another_folder_is_set_aside(committed: Path, journal: Journal, own: Path) -> None:
    committed.rename(committed.with_name("elsewhere"))
    for path, content in OLD.items():
        put(committed, path, content)
    journal.recover(changing=True)
    assert files_below(committed) == OLD
    assert not journal.is_there()
    (kept,) = files_below(own)
    assert kept.startswith(JOURNAL)
    (own / kept).rename(own / JOURNAL)  # and the folder comes back
    for path in OLD:
        (committed / path).unlink()
    for folder in sorted(committed.rglob("*"), reverse=True):
        folder.rmdir()
    committed.rmdir()
    committed.with_name("elsewhere").rename(committed)
    assert is_done(journal, committed, own)


# ------------------------------------------------------------------ refusals of the disk
@pytest.mark.parametrize("files", [CHANGE, {"a/1.json": b"new 1"}, {LOG: CHANGE[LOG]}, {"b/gone.json": None}])
@pytest.mark.parametrize("fault", ["EIO", "ENOSPC", "short write"])
def test_an_error_says_whether_it_may_be_there(data: Path, own: Path, files: dict[str, Write], fault: str) -> None:
    """Refused: nothing has changed and nothing will. Not known: only once a name changed. Else it counts."""
    wanted = {**OLD, **{path: NEW.get(path) for path in files}}
    done = {path: content for path, content in wanted.items() if content is not None}
    told = set()
    for number in range(200):
        system = FaultySystem()
        system.arm(FAULTS[fault], at=number)
        try:
            told.add(f"finished: {Journal(system, data, own).write(files).finished}")
            later = done
        except OutcomeUnknownError:
            told.add("not known")
            later = done
        except JsonSideError:
            told.add("refused")
            later = OLD
        Journal(System(), data, own).recover(changing=True)
        assert files_below(data) == later, (number, system.failed, system.failed_at)
        assert files_below(own) == {}
        if not system.failed:
            break
        for path in [path for path in files_below(data) if path not in OLD]:
            (data / path).unlink()
        for path, content in OLD.items():
            put(data, path, content)
    if fault == "short write":  # it is simply written in two pieces
        assert told == {"finished: True"}
    else:
        assert "finished: True" in told
        assert ("refused" in told) == ((fault, files) != ("ENOSPC", {"b/gone.json": None}))
        assert ("finished: False" in told) == (len(files) > 1)
    if fault == "EIO":
        assert ("not known" in told) == (files != {LOG: CHANGE[LOG]})


# ------------------------------------------------------------------ a kill or a power cut at every call
def stopped(data: Path, own: Path, number: int) -> tuple[Disk, bool]:
    """The disk when it stopped at this call of the change, and whether that was answered."""
    disk, answered = disk_of(data, own), True
    disk.stop = number
    journal = Journal(disk, data, own)
    try:
        journal.recover(changing=True)
        journal.write(CHANGE)
    except PowerCut:
        answered = False
    disk.stop = None
    return disk, answered


def disks(data: Path, own: Path) -> Iterator[tuple[int, Disk, bool]]:
    """The disks of all calls."""
    for number in range(1000):
        disk, answered = stopped(data, own, number)
        yield number, disk, answered
        if answered:
            return


def after(disk: Disk, data: Path, own: Path) -> dict[str, bytes]:
    """The files once the next one has looked, without what it cleans at its start."""
    Journal(disk, data, own).recover(changing=True)
    assert JOURNAL not in disk.below(own)
    return {path: content for path, content in disk.below(data).items() if ".tandem-" not in path}


def test_a_kill_at_any_call_leaves_all_or_nothing(data: Path, own: Path) -> None:
    found = [after(disk, data, own) for _, disk, _ in disks(data, own)]
    turn = found.index(NEW)
    assert found == [OLD] * turn + [NEW] * (len(found) - turn)
    assert 10 < turn < len(found) - 5


@pytest.mark.parametrize("model", ["ordered", "weak"])
def test_a_power_cut_at_any_call_leaves_all_or_nothing(data: Path, own: Path, model: str) -> None:
    chance = random.Random(model)
    for number, disk, answered in disks(data, own):
        for left in disk.after_power_cuts(model, chance):
            found = after(left, data, own)
            assert found in ([NEW] if answered else [OLD, NEW]), number


def test_a_power_cut_while_the_next_one_carries_it_out(data: Path, own: Path) -> None:
    """At first the journal may only be seen, and not be on the disk."""
    chance = random.Random(1)
    seen = next(number for number, disk, _ in disks(data, own) if JOURNAL in disk.below(own))
    for killed, number in itertools.product((seen, seen + 1, seen + 3), range(20)):
        disk, _ = stopped(data, own, killed)
        disk.stop = disk.calls + number
        with contextlib.suppress(PowerCut):
            Journal(disk, data, own).recover(changing=False)
        disk.stop = None
        wanted = [OLD, NEW] if (killed, number) == (seen, 0) else [NEW]
        found = [after(left, data, own) for left in disk.after_power_cuts("ordered", chance)]
        assert [one for one in found if one not in wanted] == [], (killed, number)


def test_a_journal_that_comes_back_undoes_nothing_that_came_after_it(data: Path, own: Path) -> None:
    """Its removal was not on the disk when its writer was killed, and then somebody else wrote."""
    chance, last = random.Random(1), [disk for _, disk, answered in disks(data, own) if not answered][-1]
    assert JOURNAL not in last.below(own)
    journal = Journal(last, data, own)
    journal.recover(changing=True)
    assert journal.write({"b/gone.json": b"later"}).finished
    for left in last.after_power_cuts("weak", chance):
        assert after(left, data, own) == {**NEW, "b/gone.json": b"later"}
