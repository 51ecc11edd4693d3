"""A helper beside this process: what both do together is what one does alone, whatever becomes of the helper."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from store import Store, chat_files, hands, helping, open_store, rows
from store.chat_files import Batch
from store.errors import JsonSideError, LockedError
from store.exporting import export
from store.files import logs
from store.files.generations import Generations
from store.files.system import System
from store.helper import Helper
from store.helping import Helping
from store.mapping import MAPPINGS
from store.progress import Progress
from store.validation import validate_all_data
from tests import nasty
from tests.factories import (
    files_below,
    lay_database,
    make_character,
    make_chat,
    make_message,
    open_test_store,
    settings_for,
)

pytestmark = pytest.mark.slow
WAIT_S = 10.0
CHATS = 12
MAKE = chat_files.make


@dataclass
class Helped:
    """What the helpers of a test answered. ``when``: called with a helper before it is told something."""

    answers: list[Any] = field(default_factory=list)
    started: int = 0
    when: Callable[[Helping, str], None] = lambda helper, what: None


def _is_fed() -> bool:
    return any(thread.name == hands.FEEDER for thread in threading.enumerate())


@pytest.fixture
def helped(monkeypatch: pytest.MonkeyPatch) -> Helped:
    """Even little work has a helper, and this process leaves it time to take some."""
    seen = Helped()
    hear, tell, begin = Helping.hear, Helping.tell, Helping.__init__

    def make(system: System, *rest: Any) -> Any:
        until = time.monotonic() + WAIT_S
        while len(made(seen.answers)) < 2 and time.monotonic() < until and _is_fed():
            time.sleep(0.01)
        return MAKE(system, *rest)

    def heard(helper: Helping) -> Any:
        answer = hear(helper)
        seen.answers.append(answer)
        return answer

    def told(helper: Helping, what: str, data: object) -> None:
        seen.when(helper, what)
        tell(helper, what, data)

    def begun(helper: Helping, *rest: Any) -> None:
        seen.started += 1
        begin(helper, *rest)

    monkeypatch.setattr(hands, "FROM", 1)
    for module in ("store.hands", "store.generating", "store.validation.messages"):
        monkeypatch.setattr(f"{module}.AT_ONCE", 1)
    monkeypatch.setattr(hands, "FILES_AT_ONCE", 1)
    monkeypatch.setattr(hands, "_processors", lambda: 2)
    monkeypatch.setattr(chat_files, "make", make)
    monkeypatch.setattr(Helping, "hear", heard)
    monkeypatch.setattr(Helping, "tell", told)
    monkeypatch.setattr(Helping, "__init__", begun)
    return seen


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Some chats in SQL, and nothing in the files."""
    opened = open_test_store(tmp_path, backend="sql")
    make_character(opened)
    for _ in range(CHATS):
        chat = make_chat(opened)
        for _ in range(3):
            make_message(opened, chat)
    yield opened
    opened.close()


def made(answers: list[Any]) -> list[Any]:
    """The chats that helpers told of."""
    return [one for answer in answers if isinstance(answer, list) for one in answer if isinstance(one, list)]


def write_something(store: Store) -> None:
    """As another program would."""
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql('UPDATE messages SET "tokenCount" = coalesce("tokenCount", 0) + 1')


def told_of(store: Store, report: Any) -> Any:
    told = report.as_json()
    del told["seconds"], told["generation"]
    return told


# ------------------------------------------------------------------ the same as one alone
@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_of_a_database_with_every_nasty_case(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, dialect: str
) -> None:
    if dialect == "sqlite":
        lay_database(tmp_path / "quilltap.sqlite")
        url = f"sqlite:///{tmp_path / 'quilltap.sqlite'}"
    else:
        url = request.getfixturevalue("postgres_url")
        open_test_store(tmp_path, url, "sql").close()
    nasty.fill(url, tmp_path / "public")
    public = {"public_dir": tmp_path / "public", "encryption_master_pepper": nasty.PEPPER}

    def both(name: str) -> tuple[Any, dict[str, bytes], Any, Any]:
        one = open_store(settings_for(tmp_path / name, url, "sql", **public), follow=False)
        rehearsed = told_of(one, export(one, dry_run=True))
        exported, files = told_of(one, export(one)), files_below(tmp_path / name / "data")
        assert export(one).unchanged
        for path in sorted((tmp_path / name / "data").glob("chats/*-*.jsonl"))[::2]:  # some are not as they were
            path.write_bytes(path.read_bytes().replace(b'"role":"', b'"role":"X', 1))
        report = validate_all_data(one).as_json()
        one.close()
        del report["seconds"], report["started_at"]
        return (
            rehearsed,
            files,
            exported,
            {key: sorted(map(repr, value)) if isinstance(value, list) else value for key, value in report.items()},
        )

    alone = both("alone")
    seen: Helped = request.getfixturevalue("helped")
    together = both("together")
    for one, other in zip(together, alone, strict=True):
        assert {key: value for key, value in one.items() if other.get(key, ...) != value} == {}
        assert one.keys() == other.keys()
    assert alone[3]["inconsistent"] + alone[3]["errors"] > 0
    assert (seen.started, len(made(seen.answers)) >= 4) == (4, True)


def test_it_takes_part_and_what_it_wrote_is_read_back(store: Store, helped: Helped, tmp_path: Path) -> None:
    report = export(store)
    assert (report.problems, report.switched) == ([], True)
    assert len(made(helped.answers)) > 1
    assert any(isinstance(one, str) for answer in helped.answers if isinstance(answer, list) for one in answer)
    assert len(list((tmp_path / "data/chats").glob("*-*.jsonl"))) == CHATS
    generations = Generations(store.side)
    assert generations.verify(generations.current() or "") == []
    helped.answers.clear()
    assert validate_all_data(store).exit_status == 0
    assert len(made(helped.answers)) > 1


def test_little_work_has_none(store: Store, helped: Helped, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hands, "FROM", CHATS * 3 + 1)
    assert export(store).switched
    monkeypatch.setattr(hands, "FROM", 1)
    monkeypatch.setattr(hands, "_processors", lambda: 1)
    assert validate_all_data(store).exit_status == 0
    assert helped.started == 0
    monkeypatch.setattr(hands, "_processors", lambda: 2)
    assert validate_all_data(store, only=["Character"]).exit_status == 0, "of messages nothing is asked"
    assert helped.started == 0


# ------------------------------------------------------------------ what may become of it
@pytest.mark.parametrize("what", ["open", "begin", "make", "holding"])
def test_killed_before_it_is_told_anything(store: Store, helped: Helped, tmp_path: Path, what: str) -> None:
    def kill(helper: Helping, told: str) -> None:
        if told == what:
            helper._process.kill()
            helper._process.wait()

    helped.when = kill
    report = export(store)
    assert (report.problems, report.switched) == ([], True)
    assert validate_all_data(store).exit_status == 0
    assert len(list((tmp_path / "data/chats").glob("*-*.jsonl"))) == CHATS


def test_killed_while_it_writes(store: Store, helped: Helped, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What it had in hands may be there in part: it is made anew."""
    half: list[Path] = []

    def kill(helper: Helping, told: str) -> None:
        if told == "make" and len(made(helped.answers)) >= 2:
            helper._process.kill()
            helper._process.wait()
            for batch in list(work._in_its_hands):
                for path in batch.fresh.values():
                    half.append(Path(batch.staged, path))
                    half[-1].write_bytes(b"half of a li")

    begin = hands.Work.__init__

    def begun(self: hands.Work[Any, Any], *rest: Any) -> None:
        nonlocal work
        if rest[4] == "make":
            work = self
        begin(self, *rest)

    work: Any = None
    monkeypatch.setattr(hands.Work, "__init__", begun)
    helped.when = kill
    report = export(store)
    assert (report.problems, report.switched) == ([], True)
    assert half
    assert validate_all_data(store).exit_status == 0


def test_one_that_cannot_be_started(
    store: Store, helped: Helped, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", "/usr/bin/some-server")  # with Python in it
    assert export(store).switched
    assert helped.started == 0
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert export(store).unchanged
    (tmp_path / "python").symlink_to(shutil.which("false") or "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert validate_all_data(store).exit_status == 0
    assert (helped.started, made(helped.answers)) == (2, [])


def test_one_that_does_not_answer(store: Store, helped: Helped, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(helper: Helping, told: str) -> None:
        if told == "begin":
            os.kill(helper._process.pid, signal.SIGSTOP)

    helped.when = stop
    monkeypatch.setattr(helping, "ANSWER_S", 0.2)
    assert export(store).switched
    assert helped.answers == []


def test_one_that_stops_while_it_works(store: Store, helped: Helped, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(helper: Helping, told: str) -> None:
        if told == "make" and len(made(helped.answers)) >= 2:
            os.kill(helper._process.pid, signal.SIGSTOP)

    helped.when = stop
    monkeypatch.setattr(hands, "PATIENCE_S", 0.3)
    report = export(store)
    assert (report.problems, report.switched) == ([], True)
    assert validate_all_data(store).exit_status == 0


def test_one_that_says_something_else(
    store: Store, helped: Helped, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text("print('Welcome!')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    report = export(store)
    assert (report.problems, report.switched, made(helped.answers)) == ([], True, [])


def test_much_can_be_told_before_anything_is_heard(store: Store, helped: Helped, tmp_path: Path) -> None:
    target = store.database.for_others()
    assert target
    helper = Helping(target, None)
    (tmp_path / "there").write_bytes(b"")
    there = ["there", [0, hashlib.sha256(b"").hexdigest()]]

    def tell() -> None:
        for _ in range(4):
            helper.tell("holding", [str(tmp_path), [there] * 5_000])

    telling = threading.Thread(target=tell, daemon=True)
    telling.start()
    telling.join(WAIT_S)
    assert not telling.is_alive()
    assert [helper.hear() for _ in range(4)] == [["there"] * 5_000] * 4
    helper.close()


def test_where_no_more_threads_can_be_started(store: Store, helped: Helped, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    report = export(store)
    assert (report.problems, report.switched, made(helped.answers)) == ([], True, [])


@pytest.mark.parametrize("where", ["database", "files"])
def test_below_a_path_that_is_no_utf_8(tmp_path: Path, helped: Helped, where: str) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    odd.mkdir()
    database = (odd if where == "database" else tmp_path) / "quilltap.sqlite"
    lay_database(database)
    store = open_store(
        settings_for(odd if where == "files" else tmp_path, f"sqlite:///{database}", "sql"), follow=False
    )
    for _ in range(3):
        make_message(store, make_chat(store))
    assert export(store).switched
    assert validate_all_data(store).exit_status == 0
    assert made(helped.answers) == []
    store.close()


def test_who_alters_a_table_meanwhile_stops_nobody(
    tmp_path: Path, postgres_url: str, helped: Helped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our snapshot is in the way of the alteration, and that in the way of the helper: so we must not wait for it."""
    store = open_test_store(tmp_path, postgres_url, "sql")
    for _ in range(CHATS):
        make_message(store, make_chat(store))
    altering = threading.Thread(target=lambda: change("ALTER TABLE messages ADD COLUMN more TEXT"), daemon=True)

    def change(statement: str) -> None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(statement)

    def stop(helper: Helping, told: str) -> None:
        if told == "begin":
            os.kill(helper._process.pid, signal.SIGSTOP)

    def make_sure(helper: Helping) -> None:
        altering.start()
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            while not connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
                time.sleep(0.01)
        os.kill(helper._process.pid, signal.SIGCONT)
        queued.set()
        sure(helper)

    def make(*rest: Any) -> Any:
        assert queued.wait(WAIT_S)
        return MAKE(*rest)

    sure, queued = Helping.make_sure, threading.Event()
    monkeypatch.setattr(chat_files, "make", make)
    helped.when = stop
    monkeypatch.setattr(Helping, "make_sure", make_sure)
    report = export(store)
    assert (report.problems, report.switched, made(helped.answers)) == ([], True, [])
    altering.join(WAIT_S)
    assert not altering.is_alive()
    store.close()


def test_cancelled_it_is_gone(store: Store, helped: Helped, tmp_path: Path) -> None:
    started: list[Helping] = []
    helped.when = lambda helper, told: started.append(helper)
    progress = Progress(cancelled=lambda: len(made(helped.answers)) > 1)
    with pytest.raises(Exception, match="cancelled"):
        export(store, progress=progress)
    assert started[0]._process.returncode is not None
    assert not (tmp_path / "data").exists() or files_below(tmp_path / "data") == {}
    assert export(store).switched


# ------------------------------------------------------------------ one snapshot
def test_when_others_write_it_sees_the_same_all_the_same(store: Store, helped: Helped, tmp_path: Path) -> None:
    begun = 0

    def write(helper: Helping, told: str) -> None:
        nonlocal begun
        if told == "begin":
            begun += 1
            if begun < 3:
                write_something(store)

    helped.when = write
    report = export(store)
    assert (report.problems, report.switched, begun) == ([], True, 3)
    assert len(made(helped.answers)) > 1
    assert validate_all_data(store).exit_status == 0, "what was written last is in the files"


def test_when_others_never_stop_writing_it_is_done_without(store: Store, helped: Helped) -> None:
    begun = 0

    def write(helper: Helping, told: str) -> None:
        nonlocal begun
        if told == "begin":
            begun += 1
            write_something(store)

    helped.when = write
    report = export(store)
    assert (report.problems, report.switched, begun, made(helped.answers)) == ([], True, hands.TRIES, [])


# ------------------------------------------------------------------ the lock, and the disk
def test_as_long_as_it_lives_nobody_else_writes(store: Store, helped: Helped) -> None:
    """Killed, this process leaves a helper that may still write a file: the lock is its as well."""
    with store.side.lock.hold() as lock:
        target = store.database.for_others()
        assert target
        helper = Helping(target, lock)
    with pytest.raises(LockedError), store.side.lock.hold():
        pass
    helper.close()
    with store.side.lock.hold():
        pass


def test_the_lock_is_handed_on_whatever_its_number_is(store: Store) -> None:
    """In a process that was started without standard input, a file that is opened may be number 0."""
    with store.side.lock.hold() as lock, helping._passed_on(lock) as (descriptor,):
        assert descriptor > 2
        assert os.path.samestat(os.fstat(descriptor), os.fstat(lock.descriptor))


def test_it_ends_when_nobody_tells_it_anything_any_more(store: Store, helped: Helped) -> None:
    target = store.database.for_others()
    assert target
    helper = Helping(target, None)
    assert helper._process.stdin
    helper._process.stdin.close()
    assert helper._process.wait(WAIT_S) == 0
    helper.close()


def test_a_sync_that_failed_beside_is_told(store: Store, helped: Helped, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = False

    def fail(self: System, folder: Path) -> None:
        nonlocal failed
        if not failed:
            failed = True
            raise OSError(5, "Input/output error", str(folder))

    monkeypatch.setattr(System, "sync_all", fail)
    with pytest.raises(JsonSideError, match="Input/output error"):
        export(store)
    assert not store.side.data_dir.is_symlink()


# ------------------------------------------------------------------ the other process, from within
def test_what_it_does(store: Store, tmp_path: Path) -> None:
    helper = Helper()
    target = store.database.for_others()
    assert target
    helper.open(*target)
    assert helper.begin(None)
    with store.database.read() as connection:
        ids = rows.all_ids(connection, MAPPINGS["chat"])
    (tmp_path / "staged/chats").mkdir(parents=True)
    paths = {one: logs.log_path(one) for one in ids}
    batch = Batch(str(store.side.data_dir), str(tmp_path / "staged"), {}, paths, True)
    told = helper.make(list(batch))
    assert {one[0] for one in told} == set(ids)
    assert all(good and count == 3 for _, good, count, *_ in told)
    entries = [[paths[one], entry] for one, *_, entry in told]
    root = str(tmp_path / "staged")
    assert sorted(helper.holding([root, entries])) == sorted(paths.values())
    (tmp_path / "staged" / paths[ids[0]]).unlink()
    (tmp_path / "staged" / paths[ids[1]]).write_bytes(b"else")
    assert sorted(helper.holding([root, entries])) == sorted(list(paths.values())[2:])
    again = helper.make([root, None, paths, {}, False])
    assert {one for one, good, *_ in again if not good} == set(ids[:2])
    assert helper.begin(None)


def test_it_loads_only_what_it_needs() -> None:
    path = Path(hands.__file__).with_name("helper.py")
    heavy = "{'sqlalchemy', 'flask', 'pydantic', 'psycopg', 'cryptography'}"
    script = f"import runpy, sys; runpy.run_path({str(path)!r}); print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
