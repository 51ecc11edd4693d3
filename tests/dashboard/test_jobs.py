"""Background work: the table is the truth, a job runs once, what dies is noticed."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from store.errors import DatabaseError, NotFoundError
from store.jobs import CANCELLED, DONE, FAILED, KEPT_JOBS, KEPT_RESULTS, QUEUED, RUNNING, Advance, Job, Jobs, Outcome
from store.progress import Moment, Progress
from tests.dashboard.entering import a_database
from tests.dashboard.test_start import ROOT

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(database_url: str, clock: Clock) -> Iterator[Jobs]:
    with a_database(database_url) as database:
        yield Jobs(database, clock)


def nothing(job: Job, progress: Progress) -> Outcome:
    return Outcome({"told": "all"}, {"checked": 1})


def until(happened: Callable[[], Any]) -> Any:
    """Wait for what another thread or process does."""
    deadline = time.monotonic() + 60
    while not (found := happened()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


# ---------------------------------------------------------------------- the record


def test_a_job_is_noted_down_done_and_kept_with_its_result(jobs: Jobs) -> None:
    asked = jobs.start("export", {"only": ["Tag"], "keep": 5}, "Ada")
    assert (asked.state, asked.requested_by, asked.arguments) == (QUEUED, "Ada", {"only": ["Tag"], "keep": 5})
    assert jobs.result(asked.id) is None
    done = jobs.carry_out(asked.id, nothing)
    assert done is not None
    assert (done.state, done.summary, done.attempts) == (DONE, {"checked": 1}, 1)
    assert jobs.result(asked.id) == {"told": "all"}
    assert [job.id for job in jobs.list()] == [asked.id]
    assert jobs.list(("validate",)) == []
    assert jobs.last(("export",), (DONE,)) == done


def test_what_a_command_did_belongs_to_the_history_too(jobs: Jobs) -> None:
    noted = jobs.note("export", {}, "the command line", Outcome({"told": "all"}, {"files": 3}), NOW)
    assert (noted.state, noted.summary, noted.created_at) == (DONE, {"files": 3}, "2026-05-01T12:00:00.000Z")
    assert jobs.result(noted.id) == {"told": "all"}
    failed = jobs.note("export", {}, "the command line", Outcome(error=DatabaseError("The disk is full.")), NOW)
    assert (failed.state, failed.error) == (FAILED, "The disk is full.")


def test_work_that_is_not_known_is_refused(jobs: Jobs) -> None:
    with pytest.raises(NotFoundError, match="cleaning"):
        jobs.start("cleaning", {}, "Ada")
    with pytest.raises(NotFoundError, match="no job 7"):
        jobs.cancel(7)


def test_a_job_runs_once_however_many_try(jobs: Jobs) -> None:
    asked, ran, gate = jobs.start("export", {}, "Ada"), [], threading.Barrier(4)

    def work_(job: Job, progress: Progress) -> Outcome:
        ran.append(job.owner)
        return Outcome()

    def try_it() -> None:
        gate.wait()
        jobs.carry_out(asked.id, work_)

    threads = [threading.Thread(target=try_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ran) == 1
    assert jobs.get(asked.id).attempts == 1


def test_a_refusal_of_the_store_is_told_with_its_next_step(jobs: Jobs) -> None:
    def refused(job: Job, progress: Progress) -> Outcome:
        raise DatabaseError("The database is read-only.", hint="Make it writable.")

    failed = jobs.carry_out(jobs.start("export", {}, "Ada").id, refused)
    assert failed is not None
    assert (failed.state, failed.error, failed.hint) == (FAILED, "The database is read-only.", "Make it writable.")


def test_work_that_says_itself_that_it_failed_keeps_its_result(jobs: Jobs) -> None:
    error = DatabaseError("Two records stand in the way.")
    failed = jobs.carry_out(jobs.start("export", {}, "Ada").id, lambda *_: Outcome({"a": 1}, {"b": 2}, error))
    assert failed is not None
    assert (failed.state, failed.summary, failed.error) == (FAILED, {"b": 2}, "Two records stand in the way.")
    assert jobs.result(failed.id) == {"a": 1}


def test_a_fault_of_ours_is_in_the_log_and_not_on_the_page(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    def broken(job: Job, progress: Progress) -> Outcome:
        raise KeyError("hunter2")

    failed = jobs.carry_out(jobs.start("export", {}, "Ada").id, broken)
    assert failed is not None
    assert (failed.state, failed.error) == (FAILED, "Something unexpected went wrong.")
    assert "hunter2" in caplog.text


def test_the_process_that_ends_says_so(jobs: Jobs) -> None:
    def interrupted(job: Job, progress: Progress) -> Outcome:
        raise KeyboardInterrupt

    asked = jobs.start("export", {}, "Ada")
    with pytest.raises(KeyboardInterrupt):
        jobs.carry_out(asked.id, interrupted)
    assert jobs.get(asked.id).error == "Tandem was stopped before it was done."
    again = jobs.start("export", {}, "Ada")
    stopped = jobs.carry_out(again.id, lambda job, progress: progress.step() or Outcome(), stopping=lambda: True)
    assert stopped is not None
    assert (stopped.state, stopped.error) == (FAILED, "Tandem was stopped before it was done.")


# ---------------------------------------------------------------------- how far it is, and stopping it


def test_progress_is_written_at_most_four_times_a_second_and_the_last_of_it_stays(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats: list[Advance] = []
    beat = Jobs._beat

    def counted(self: Jobs, job_id: int, owner: str, moment: Advance) -> bool:
        beats.append(moment)
        return beat(self, job_id, owner, moment)

    monkeypatch.setattr(Jobs, "_beat", counted)
    began = time.monotonic()

    def busy(job: Job, progress: Progress) -> Outcome:
        progress.phase("Counting", 100_000)
        for _ in range(100_000):
            progress.step()
        until(lambda: len(beats) > 1 or (progress.step(0), False)[1])
        return Outcome()

    done = jobs.carry_out(jobs.start("export", {}, "Ada").id, busy)
    assert done is not None
    assert len(beats) <= (time.monotonic() - began) * 4 + 1
    assert (done.progress.phase, done.progress.done, done.progress.total) == ("Counting", 100_000, 100_000)


def test_the_time_left_is_told_when_it_can_be_known() -> None:
    assert Advance("A", 1, 100, overall=0.01, seconds=5).seconds_left is None
    assert Advance("A", 50, 100, overall=0.5, seconds=10).seconds_left == 10


def test_a_job_that_waits_is_cancelled_at_once(jobs: Jobs) -> None:
    asked = jobs.start("export", {}, "Ada")
    assert jobs.cancel(asked.id).state == CANCELLED
    assert jobs.carry_out(asked.id, nothing) is None
    assert jobs.cancel(asked.id).state == CANCELLED


def test_a_job_that_runs_is_asked_to_stop(jobs: Jobs) -> None:
    asked = jobs.start("export", {}, "Ada")

    def endless(job: Job, progress: Progress) -> Outcome:
        progress.phase("Counting", 1000)
        jobs.cancel(job.id)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            progress.step()
            time.sleep(0.005)
        raise AssertionError

    ended = jobs.carry_out(asked.id, endless)
    assert ended is not None
    assert (ended.state, ended.error) == (CANCELLED, "The work was cancelled.")
    assert jobs.cancel(asked.id).state == CANCELLED


def test_what_was_done_before_the_cancel_arrived_is_done(jobs: Jobs) -> None:
    def quick(job: Job, progress: Progress) -> Outcome:
        jobs.cancel(job.id)
        return Outcome()

    done = jobs.carry_out(jobs.start("export", {}, "Ada").id, quick)
    assert done is not None
    assert done.state == DONE


def test_the_work_does_not_wait_for_a_table_that_it_holds_itself(sqlite_url: str) -> None:
    """An import is one long transaction, and SQLite has one writer."""
    with a_database(sqlite_url) as database:
        jobs = Jobs(database)

        def holding(job: Job, progress: Progress) -> Outcome:
            with database.write() as connection:
                connection.execute(sa.select(1))
                for _ in range(50):
                    progress.step()
                    time.sleep(0.01)
            return Outcome()

        began = time.monotonic()
        done = jobs.carry_out(jobs.start("import", {}, "Ada").id, holding)
        assert done is not None
        assert done.state == DONE
        assert time.monotonic() - began < 14, "it waited until SQLite gave up"


# ---------------------------------------------------------------------- who has died


def dies(jobs: Jobs, clock: Clock, job_id: int) -> Job:
    """What becomes of a job whose worker is killed now."""
    assert jobs._claim(job_id, "a process that is killed now")
    assert jobs.recover() == []
    clock.now += timedelta(seconds=31)
    [lost] = jobs.recover()
    assert jobs.recover() == []
    return lost


def test_a_job_whose_worker_died_begins_anew_once(jobs: Jobs, clock: Clock) -> None:
    asked = jobs.start("export", {}, "Ada")
    lost = dies(jobs, clock, asked.id)
    assert (lost.state, lost.attempts, lost.progress, lost.error) == (QUEUED, 1, Advance(), None)
    again = dies(jobs, clock, asked.id)
    assert (again.state, again.attempts) == (FAILED, 2)
    assert again.error == "The process that worked on it has died."


@pytest.mark.parametrize("kind", ["repair", "import", "rollback"])
def test_what_may_be_out_of_date_by_now_is_not_begun_anew(jobs: Jobs, clock: Clock, kind: str) -> None:
    lost = dies(jobs, clock, jobs.start(kind, {}, "Ada").id)
    assert (lost.state, lost.error) == (FAILED, "The process that worked on it has died.")


def test_what_was_to_be_cancelled_is_not_begun_anew(jobs: Jobs, clock: Clock) -> None:
    asked = jobs.start("export", {}, "Ada")
    assert jobs._claim(asked.id, "a process that is killed now")
    jobs.cancel(asked.id)
    clock.now += timedelta(seconds=31)
    assert [job.state for job in jobs.recover()] == [CANCELLED]


def test_a_worker_whose_job_another_has_by_now_stops(jobs: Jobs, clock: Clock) -> None:
    asked = jobs.start("export", {}, "Ada")

    def slow(job: Job, progress: Progress) -> Outcome:
        clock.now += timedelta(seconds=31)
        assert [lost.state for lost in jobs.recover()] == [QUEUED]
        assert jobs._claim(job.id, "another")
        until(lambda: progress.step(0))
        return Outcome()

    ended = jobs.carry_out(asked.id, slow)
    assert ended is not None
    assert (ended.state, ended.owner, ended.attempts) == (RUNNING, "another", 2)


KILLED = """
import sys, time
from store.database import Database
from store.jobs import Jobs

def endless(job, progress):
    progress.phase("Counting", 100)
    print("begun", flush=True)
    while True:
        progress.step(0)
        time.sleep(0.01)

Jobs(Database(sys.argv[1])).carry_out(int(sys.argv[2]), endless)
"""


def test_a_process_killed_in_the_middle_leaves_a_job_for_another(ready_sqlite_url: str, clock: Clock) -> None:
    with a_database(ready_sqlite_url) as database:
        jobs = Jobs(database, clock)
        asked = jobs.start("export", {}, "Ada")
        command = [sys.executable, "-c", KILLED, ready_sqlite_url, str(asked.id)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert process.stdout.readline() == "begun\n"
            until(lambda: jobs.get(asked.id).progress.phase == "Counting")
            assert jobs.get(asked.id).state == RUNNING
            process.kill()
        clock.now = datetime.now(UTC) + timedelta(seconds=20)
        assert jobs.recover() == [], "it may only be slow"
        clock.now = datetime.now(UTC) + timedelta(seconds=31)
        [lost] = jobs.recover()
        assert lost.state == QUEUED
        again = jobs.carry_out(asked.id, nothing)
        assert again is not None
        assert (again.state, again.attempts) == (DONE, 2)
        assert jobs.carry_out(asked.id, nothing) is None, "it is not done once more"


def test_one_that_was_only_thought_dead_comes_back(jobs: Jobs, clock: Clock) -> None:
    asked = jobs.start("export", {}, "Ada")

    def slow(job: Job, progress: Progress) -> Outcome:
        clock.now += timedelta(seconds=31)
        assert [lost.id for lost in jobs.recover()] == [job.id]
        assert jobs._beat(job.id, str(job.owner), Advance("Still there")) is False
        again = jobs.get(job.id)
        assert (again.state, again.error, again.ended_at) == (RUNNING, None, None)
        return Outcome()

    done = jobs.carry_out(asked.id, slow)
    assert done is not None
    assert (done.state, done.error) == (DONE, None)


def test_old_results_and_older_jobs_are_forgotten(jobs: Jobs) -> None:
    row = {"kind": "export", "state": DONE, "arguments": "{}", "requested_by": "", "cancel_requested": False}
    row |= {"attempts": 1, "created_at": "2026-01-01T00:00:00.000Z", "result": "{}"}
    with jobs._database.write() as connection:
        connection.execute(sa.insert(jobs._table), [row] * (KEPT_JOBS + 50))
    other = jobs.start("validate", {}, "Ada")
    last = jobs.carry_out(jobs.start("export", {}, "Ada").id, nothing)
    assert last is not None
    jobs.start("export", {}, "Ada")
    kept = jobs.list(("export",), 1000, (DONE,))
    assert len(kept) == KEPT_JOBS
    assert sum(jobs.result(job.id) is not None for job in kept) == KEPT_RESULTS
    assert jobs.result(last.id) is not None
    assert jobs.get(other.id).state == QUEUED


def test_a_moment_of_a_new_phase_counts_its_own_rate(jobs: Jobs) -> None:
    def two_phases(job: Job, progress: Progress) -> Outcome:
        tell = progress._tell
        tell(Moment("First", 10, 10, 0.5, 10.0))
        tell(Moment("Second", 0, 100, 0.5, 10.0))
        tell(Moment("Second", 50, 100, 0.75, 15.0))
        return Outcome()

    done = jobs.carry_out(jobs.start("export", {}, "Ada").id, two_phases)
    assert done is not None
    assert done.progress == Advance("Second", 50, 100, 0.75, 15.0, rate=10.0)
    assert done.progress.seconds_left == 5.0
