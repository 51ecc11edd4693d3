"""Who does the background work: a thread of the web process or processes of their own; the queue, the commands."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from dashboard.jobs import PlainSerializer, Workshop, open_queue
from store import Store, work
from store.database import Database
from store.jobs import DONE, FAILED, QUEUED, RUNNING, Outcome
from store.progress import Progress
from tests.dashboard.test_commands import call
from tests.dashboard.test_jobs import until
from tests.dashboard.test_start import ROOT, free_port, serving, settings_below
from tests.factories import lay_database, open_test_store


@pytest.fixture
def idle_work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An export that only notes where it ran, and goes on until it is told to stop where it is asked for that."""
    ran: list[str] = []

    def export(store: Store, arguments: dict[str, Any], progress: Progress) -> Outcome:
        ran.append(threading.current_thread().name)
        progress.phase("Pretending", 10)
        while arguments.get("endless"):
            progress.step(0)
            time.sleep(0.01)
        return Outcome({}, {"files": 1})

    monkeypatch.setitem(work.WORK, "export", export)
    return ran


def a_workshop(tmp_path: Path, mode: str, queue: str = "", database: str = "") -> Workshop:
    store = open_test_store(tmp_path, database, backend="sql")
    settings = {"jobs": mode, "jobs_queue": queue or f"sqlite:///{tmp_path / 'jobs.sqlite'}"}
    for name, value in settings.items():
        object.__setattr__(store.settings, name, value)
    return Workshop(store)


@pytest.fixture
def open_workshop(tmp_path: Path) -> Iterator[Callable[..., Workshop]]:
    made: list[Workshop] = []

    def make(mode: str, queue: str = "") -> Workshop:
        made.append(a_workshop(tmp_path, mode, queue))
        return made[-1]

    yield make
    for one in made:
        one.close()
        one.store.close()


def test_inline_it_is_done_before_the_answer(open_workshop: Callable[..., Workshop], idle_work: list[str]) -> None:
    shop = open_workshop("inline")
    assert shop.start("export", {}, "Ada").state == DONE
    assert idle_work == ["MainThread"]
    assert shop.answers()


def test_embedded_a_thread_of_this_process_does_it(
    open_workshop: Callable[..., Workshop], idle_work: list[str]
) -> None:
    shop = open_workshop("embedded")
    asked = shop.start("export", {}, "Ada")
    until(lambda: shop.store.jobs.get(asked.id).state == DONE)
    assert idle_work == ["Worker-1"]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, "the signals of the process are its own"


def test_the_end_of_the_process_stops_what_is_under_way(
    open_workshop: Callable[..., Workshop], idle_work: list[str]
) -> None:
    shop = open_workshop("embedded")
    asked = shop.start("export", {"endless": True}, "Ada")
    until(lambda: shop.store.jobs.get(asked.id).state == RUNNING)
    shop.close()
    ended = shop.store.jobs.get(asked.id)
    assert (ended.state, ended.error) == (FAILED, "Tandem was stopped before it was done.")
    shop.open()
    assert len(idle_work) == 1, "what was closed stays closed"


def test_two_processes_on_one_queue_do_a_job_once(open_workshop: Callable[..., Workshop], idle_work: list[str]) -> None:
    one, other = open_workshop("embedded"), open_workshop("embedded")
    one.open()
    other.open()
    asked = [one.start("export", {}, "Ada").id for _ in range(6)]
    one._enqueue(asked[0])  # twice in the queue
    until(lambda: all(one.store.jobs.get(job_id).state == DONE for job_id in asked))
    assert len(idle_work) == len(asked)


def test_a_job_that_the_queue_lost_is_done_all_the_same(
    open_workshop: Callable[..., Workshop], idle_work: list[str]
) -> None:
    shop = open_workshop("embedded")
    asked = [shop.store.jobs.start("export", {}, "Ada").id for _ in range(2)]  # noted down, and in no queue
    shop.sweep()
    shop.sweep()
    assert shop.huey.pending_count() == 2, "each once"
    shop.open()
    until(lambda: all(shop.store.jobs.get(job_id).state == DONE for job_id in asked))


def test_a_queue_that_does_not_answer_loses_no_job(tmp_path: Path, open_workshop: Callable[..., Workshop]) -> None:
    (tmp_path / "folder").mkdir()
    shop = open_workshop("worker", f"sqlite:///{tmp_path / 'folder'}")
    assert shop.start("export", {}, "Ada").state == QUEUED
    assert not shop.answers()


def test_a_queue_that_can_be_opened_later_is(
    tmp_path: Path, open_workshop: Callable[..., Workshop], idle_work: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.jobs.SWEEP_S", 0.05)
    (tmp_path / "queue").mkdir()
    shop = open_workshop("embedded", f"sqlite:///{tmp_path / 'queue'}")
    asked = shop.start("export", {}, "Ada")
    assert asked.state == QUEUED
    (tmp_path / "queue").rmdir()
    until(lambda: shop.store.jobs.get(asked.id).state == DONE)


def test_a_queue_lies_in_a_folder_that_is_made(tmp_path: Path) -> None:
    with closing(open_queue(f"sqlite:///{tmp_path / 'a' / 'folder' / 'jobs.sqlite'}").storage) as storage:
        assert storage.queue_size() == 0


def test_jobs_queue_on_postgresql(
    postgres_url: str, open_workshop: Callable[..., Workshop], idle_work: list[str]
) -> None:
    shop, other = open_workshop("embedded", postgres_url), open_workshop("worker", postgres_url)
    shop.open()
    asked = other.start("export", {}, "Ada")
    until(lambda: other.store.jobs.get(asked.id).state == DONE)
    assert other.answers()


def test_jobs_queue_on_redis_speaks_json() -> None:
    """Without a server: nothing is sent before the first job."""
    queue = open_queue("redis://127.0.0.1:1/0")
    assert type(queue.storage).__name__ == "RedisStorage"
    assert isinstance(queue.serializer, PlainSerializer)


def test_a_message_of_the_queue_can_run_nothing(tmp_path: Path) -> None:
    queue = open_queue(f"sqlite:///{tmp_path / 'queue'}")
    task = queue.task(name="job")(print)
    with closing(queue.storage):
        queue.enqueue(task.s(12))
        [data] = queue.storage.enqueued_items()
        assert json.loads(data)[6] == [12]


# ---------------------------------------------------------------------- commands


def test_jobs_are_listed_and_cancelled(tandem: Flask, store: Store) -> None:
    assert call(tandem, "jobs", "list").stdout == "There is no job.\n"
    asked = store.jobs.start("export", {}, "Ada")
    told = call(tandem, "jobs", "list").stdout
    assert f"{asked.id}  export" in told
    assert "queued" in told
    assert "Ada" in told
    assert call(tandem, "jobs", "cancel", str(asked.id)).stdout == f"Job {asked.id} is cancelled.\n"
    assert call(tandem, "jobs", "list", "--active").stdout == "There is no job.\n"
    [listed] = json.loads(call(tandem, "jobs", "list", "--kind", "export", "--json").stdout)["jobs"]
    assert (listed["id"], listed["state"], listed["requestedBy"]) == (asked.id, "cancelled", "Ada")
    gone = call(tandem, "jobs", "cancel", "999")
    assert (gone.exit_code, gone.stderr) == (1, "There is no job 999 (any more). Look at the list of jobs.\n")
    refused = call(tandem, "jobs", "worker")
    assert refused.exit_code == 1
    assert "Set JOBS=worker" in refused.stderr


# ---------------------------------------------------------------------- processes of their own


@pytest.fixture(params=["postgresql", "redis"])
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The addresses of a database and of a queue."""
    if request.param == "postgresql":  # as on several machines
        url = request.getfixturevalue("postgres_url")
        yield url, url
        return
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed (apt install redis-server)")
    lay_database(tmp_path / "tandem.sqlite")
    port, server = free_port(), ["redis-server", "--save", "", "--dir", str(tmp_path), "--bind", "127.0.0.1", "--port"]
    with subprocess.Popen([*server, str(port)], stdout=subprocess.DEVNULL) as redis:
        url = f"redis://127.0.0.1:{port}/0"
        until(lambda: is_answered(url))
        yield f"sqlite:///{tmp_path / 'tandem.sqlite'}", url
        redis.terminate()


def is_answered(url: str) -> bool:
    with suppress(Exception), closing(open_queue(url).storage) as storage:
        return bool(storage.queue_size() == 0)
    return False


def is_old(database: Database, job_id: int) -> None:
    """As if its worker had been silent for longer than a lease."""
    table = database.own.jobs
    with database.write() as connection:
        connection.execute(sa.update(table).where(table.c.id == job_id).values(beat_at="2020-01-01T00:00:00.000Z"))


# ``flask jobs worker``, which looks for jobs of the dead ten times as often.
WORKER = """
import sys, dashboard.jobs
from flask.cli import main

dashboard.jobs.SWEEP_S = 0.5
sys.argv = ["flask", "--app", "app", "jobs", "worker"]
main()
"""


@pytest.mark.slow
def test_two_workers_share_a_queue_and_one_takes_over_when_the_other_is_killed(
    tmp_path: Path, queue: tuple[str, str]
) -> None:
    environ = settings_below(tmp_path, JOBS="worker", DATABASE_URL=queue[0], JOBS_QUEUE=queue[1], DATA_BACKEND="sql")
    command = [sys.executable, "-c", WORKER]
    workers = [
        subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    shop = a_workshop(tmp_path, "worker", queue[1], queue[0])
    jobs = shop.store.jobs
    try:
        ready = [worker.stdout and worker.stdout.readline() for worker in workers]
        assert ready == ["Waiting for jobs. Stop with Ctrl-C.\n"] * 2
        with shop.store.side.lock.hold(10):  # so that an export waits, and the other worker takes the next one
            asked = [shop.start("export", {}, "Ada").id for _ in range(2)]
            running = until(lambda: all(jobs.get(one).state == RUNNING for one in asked) and [*map(jobs.get, asked)])
            owners = {int(str(job.owner).split(":")[1]): job for job in running}
            assert owners.keys() == {worker.pid for worker in workers}
            os.kill(workers[0].pid, signal.SIGKILL)
            workers[0].wait(30)
            lost, kept = owners[workers[0].pid], owners[workers[1].pid]
            is_old(shop.store.database, lost.id)
        ended = until(lambda: all(not jobs.get(one).is_active for one in asked) and [*map(jobs.get, asked)])
        assert [job.state for job in ended] == [DONE] * 2, [job.error for job in ended]
        assert {job.id: job.attempts for job in ended} == {lost.id: 2, kept.id: 1}
        assert {str(job.owner).split(":")[1] for job in ended} == {str(workers[1].pid)}
        workers[1].send_signal(signal.SIGTERM)
        assert workers[1].wait(30) == 0
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
            worker.communicate()
        shop.close()
        shop.store.close()


@pytest.mark.slow
def test_an_export_in_a_web_process_that_was_killed_is_made_by_the_next_one(tmp_path: Path) -> None:
    lay_database(tmp_path / "tandem.sqlite")
    given = {"JOBS": "embedded", "JOBS_QUEUE": f"sqlite:///{tmp_path / 'queue.sqlite'}", "DATA_BACKEND": "sql"}
    shop = a_workshop(tmp_path, "worker", given["JOBS_QUEUE"], f"sqlite:///{tmp_path / 'tandem.sqlite'}")
    jobs = shop.store.jobs
    with serving(tmp_path, **given) as (process, _), shop.store.side.lock.hold(10):
        asked = shop.start("export", {}, "Ada")
        until(lambda: jobs.get(asked.id).state == RUNNING)
        process.kill()
        process.wait(30)
        is_old(shop.store.database, asked.id)
    with serving(tmp_path, **given):
        done = until(lambda: not (job := jobs.get(asked.id)).is_active and job)
        assert (done.state, done.attempts, done.summary["switched"]) == (DONE, 2, True)
    shop.close()
    shop.store.close()
