"""What may become of a helper: the work is done all the same, and nobody waits for it in vain."""

import hashlib
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from store import Store, chat_files, hands, helping, open_store
from store.errors import JsonSideError, LockedError
from store.exporting import export
from store.files.system import System
from store.helping import Helping
from store.progress import Progress
from store.validation import validate_all_data
from tests.factories import (
    files_below,
    lay_database,
    make_chat,
    make_message,
    open_test_store,
    settings_for,
)
from tests.store.helped import CHATS, MAKE, WAIT_S, Helped, made

pytestmark = pytest.mark.slow


@pytest.fixture
def store(store_with_chats: Store) -> Store:
    return store_with_chats


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
