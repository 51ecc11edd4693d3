"""Background work: what was asked for, how far it is, and what came of it. The table is the truth; a queue only carries
the ids of jobs to whoever works.

A worker claims a job with one guarded UPDATE, so that no two run it. While it works it says again and again that it is
alive; when it no longer does, the job waits anew, once, where doing it again does no harm, and has failed otherwise.
One that was only thought dead tells so with its next beat; when another has its job by then, it stops.
"""

import contextlib
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Self

import sqlalchemy as sa
from sqlalchemy import Connection

from store import codec
from store.audit import CANCELLED as CANCELLED_ENTRY
from store.audit import STARTED, TANDEM, Actor, Audit, Change, acting_as, actor
from store.database import Database
from store.documents.base import spell_moment
from store.errors import CancelledError, NotFoundError, StoreError
from store.progress import Moment, Progress

log = logging.getLogger("tandem.jobs")

KINDS: Final = ("export", "dry-run", "validate", "quick-validate", "repair", "import", "rollback", "prune")
QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
ACTIVE: Final = (QUEUED, RUNNING)
# What begins anew by itself when its worker died: it does the same, and takes nothing back that was done meanwhile.
AGAIN: Final = ("export", "dry-run", "validate", "quick-validate", "prune")
MOST_ATTEMPTS = 2  # it may be the job itself that its worker died of

LEASE = timedelta(seconds=30)  # who was silent for so long is dead
BEAT_S = 2.0  # how often a worker says that it is alive
TELL_S = 0.25  # how often at most it says how far it is
KEPT_JOBS, KEPT_RESULTS = 200, 20  # of each kind; a result may be long
_LAST_TRIES, _TRY_AGAIN_S = 4, 0.5
_DIED = ("The process that worked on it has died.", "Start it again; what it had not put in place does not count.")
_STOPPED = ("Tandem was stopped before it was done.", "Start it again.")
_UNEXPECTED = ("Something unexpected went wrong.", "Look at the log for the reason; then start it again.")


@dataclass(frozen=True)
class Advance:
    """How far a job is: ``done`` of ``total`` units of this phase, ``overall`` from 0 to 1, ``rate`` units a second."""

    phase: str = ""
    done: int = 0
    total: int = 0
    overall: float = 0.0
    seconds: float = 0.0
    rate: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """As it went so far it takes so long still; None as long as nobody can know."""
        if self.overall < 0.02 or self.seconds < 1:
            return None
        return self.seconds * (1 - self.overall) / self.overall


@dataclass(frozen=True)
class Job:
    """One piece of background work, but for its result. ``summary``: the few numbers that a list shows."""

    id: int
    kind: str
    state: str
    arguments: dict[str, Any]
    requested_by: str
    cancel_requested: bool
    attempts: int
    owner: str | None
    created_at: str
    started_at: str | None
    ended_at: str | None
    progress: Advance
    summary: dict[str, Any]
    error: str | None
    hint: str | None

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @classmethod
    def of(cls, row: sa.Row[Any]) -> Self:
        values = dict(row._mapping)
        values["progress"] = Advance(**_read(values["progress"]))
        return cls(**values | {name: _read(values[name]) for name in ("arguments", "summary")})


@dataclass(frozen=True)
class Outcome:
    """What work brought forth. With ``error`` it did not do what it was for; its result is kept all the same."""

    result: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    error: StoreError | None = None


Work = Callable[[Job, Progress], Outcome]


def _read(text: str | None) -> dict[str, Any]:
    found: dict[str, Any] = codec.loads(text) if text else {}
    # The codec keeps every digit; here plain numbers do.
    return {key: float(value) if isinstance(value, Decimal) else value for key, value in found.items()}


def _spell(value: Mapping[str, Any]) -> str:
    return codec.dumps(dict(value)).decode()


def _clock() -> datetime:
    return datetime.now(UTC)


class Jobs:
    """The jobs in a database."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = _clock) -> None:
        self._database, self._clock = database, clock
        self._table, self._audit = database.own.jobs, Audit(database)
        self._columns = [self._table.c[name] for name in Job.__dataclass_fields__]

    # ------------------------------------------------------------------ asking for work, and about it
    def start(self, kind: str, arguments: Mapping[str, Any], by: str) -> Job:
        """Note down what is to be done, for whoever works."""
        return self.get(self._insert(kind, arguments, by, {}))

    def _insert(self, kind: str, arguments: Mapping[str, Any], by: str, besides: Mapping[str, Any]) -> int:
        if kind not in KINDS:
            raise NotFoundError(f"There is no work of the kind “{kind}”.", hint=f"There are {', '.join(KINDS)}.")
        row = {
            "kind": kind,
            "state": QUEUED,
            "arguments": _spell(arguments),
            "requested_by": by,
            "cancel_requested": False,
            "attempts": 0,
            "created_at": self._now(),
        }
        with self._database.write() as connection:
            made = connection.execute(sa.insert(self._table).values({**row, **besides})).inserted_primary_key
            assert made
            self._tidy(connection, kind)
            outcome = besides.get("state", STARTED)  # words of the audit as well
            told = besides.get("error") or _in_words(arguments)
            self._audit.write(connection, [_entry(kind, made[0], outcome, told)])
        return int(made[0])

    def note(self, kind: str, arguments: Mapping[str, Any], by: str, outcome: Outcome, began: datetime) -> Job:
        """Note down what was done elsewhere, by a command: it belongs to the history too."""
        ended: dict[str, Any] = {"state": FAILED if outcome.error else DONE, **_told(outcome.error), "attempts": 1}
        ended |= {"created_at": spell_moment(began), "started_at": spell_moment(began), "ended_at": self._now()}
        ended |= {"summary": _spell(outcome.summary), "result": _spell(outcome.result)}
        return self.get(self._insert(kind, arguments, by, ended))

    def find(self, job_id: int) -> Job | None:
        with self._database.read() as connection:
            row = connection.execute(sa.select(*self._columns).where(self._table.c.id == job_id)).one_or_none()
        return Job.of(row) if row else None

    def get(self, job_id: int) -> Job:
        """The job of this number. Raises NotFoundError."""
        if (job := self.find(job_id)) is None:
            raise NotFoundError(f"There is no job {job_id} (any more).", hint="Look at the list of jobs.")
        return job

    def result(self, job_id: int) -> dict[str, Any] | None:
        """What a job brought forth, whole; None as long as it did not, and when that is long ago."""
        with self._database.read() as connection:
            text = connection.scalar(sa.select(self._table.c.result).where(self._table.c.id == job_id))
        return codec.loads(text) if text else None

    def list(
        self, kinds: Collection[str] = KINDS, limit: int = 50, states: Collection[str] | None = None
    ) -> Sequence[Job]:
        """The jobs of these kinds, the newest first."""
        asked = sa.select(*self._columns).where(self._table.c.kind.in_(kinds))
        if states is not None:
            asked = asked.where(self._table.c.state.in_(states))
        with self._database.read() as connection:
            found = connection.execute(asked.order_by(self._table.c.id.desc()).limit(limit)).all()
        return [Job.of(row) for row in found]

    def last(self, kinds: Collection[str], states: Collection[str] | None = None) -> Job | None:
        """The newest job of these kinds."""
        return next(iter(self.list(kinds, 1, states)), None)

    def cancel(self, job_id: int) -> Job:
        """Ask a job to stop. One that has not begun never does; one that has ended stays as it is."""
        table, here = self._table.c, self._table.c.id == job_id
        with self._database.write() as connection:
            kind = connection.scalar(sa.select(table.kind).where(here, table.state.in_(ACTIVE)))
            if kind is not None:
                self._audit.write(connection, [_entry(kind, job_id, CANCELLED_ENTRY, "It was asked to stop.")])
            waiting = sa.update(self._table).where(here, table.state == QUEUED)
            connection.execute(waiting.values(state=CANCELLED, cancel_requested=True, ended_at=self._now()))
            running = sa.update(self._table).where(here, table.state == RUNNING)
            connection.execute(running.values(cancel_requested=True))
        return self.get(job_id)

    def recover(self) -> Sequence[Job]:
        """See to jobs whose worker has died, and give them back: those that can be done again wait anew, the others
        have failed."""
        dead = (self._table.c.state == RUNNING) & (self._table.c.beat_at < spell_moment(self._clock() - LEASE))
        with self._database.read() as connection:
            found = [Job.of(row) for row in connection.execute(sa.select(*self._columns).where(dead))]
        seen_to = []
        for job in found:
            here = sa.update(self._table).where(self._table.c.id == job.id, self._table.c.owner == job.owner, dead)
            after = self._after_death(job)
            with self._database.write() as connection:
                changed = connection.execute(here.values(after)).rowcount
                if changed:
                    again = "It begins anew: the process that worked on it has died."
                    told = (STARTED, again) if after["state"] == QUEUED else (after["state"], _DIED[0])
                    self._audit.write(connection, [_entry(job.kind, job.id, *told)])
            if changed:
                seen_to.append(self.get(job.id))
        return seen_to

    def _after_death(self, job: Job) -> dict[str, Any]:
        if job.cancel_requested:
            return {"state": CANCELLED, "ended_at": self._now()}
        if job.kind in AGAIN and job.attempts < MOST_ATTEMPTS:
            return {"state": QUEUED, "progress": None}
        return {"state": FAILED, "error": _DIED[0], "hint": _DIED[1], "ended_at": self._now()}

    # ------------------------------------------------------------------ doing it
    def carry_out(self, job_id: int, work: Work, stopping: Callable[[], bool] = lambda: False) -> Job | None:
        """Do a job's work here and now, to its end; None when somebody else has it, or nobody should. ``stopping`` says
        that this process is about to end."""
        owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        if not self._claim(job_id, owner):
            return None
        job = self.get(job_id)
        with acting_as(Actor(job.requested_by or TANDEM.name)) if actor() is TANDEM else contextlib.nullcontext():
            self._work(job, owner, work, stopping)
        return self.get(job_id)

    def _work(self, job: Job, owner: str, work: Work, stopping: Callable[[], bool]) -> None:
        job_id, pulse = job.id, _Pulse(lambda moment: self._beat(job.id, owner, moment))
        progress = Progress(pulse.tell, lambda: pulse.cancelled or stopping())
        ended: dict[str, Any] = dict(zip(("error", "hint"), _STOPPED, strict=True), state=FAILED)
        try:
            with pulse:
                outcome = work(job, progress)
            ended = {"state": FAILED if outcome.error else DONE, **_told(outcome.error)}
            ended |= {"summary": _spell(outcome.summary), "result": _spell(outcome.result)}
        except CancelledError as error:
            if pulse.cancelled:
                ended = {"state": CANCELLED, **_told(error)}
        except StoreError as error:
            log.warning("Job %d (%s) failed: %s", job_id, job.kind, error.sentence)
            ended = {"state": FAILED, **_told(error)}
        except Exception:
            log.exception("Job %d (%s) failed", job_id, job.kind)
            ended = dict(zip(("error", "hint"), _UNEXPECTED, strict=True), state=FAILED)
        finally:
            self._finish(job, owner, ended | {"progress": _spell(vars(pulse.last)), "ended_at": self._now()})

    def _claim(self, job_id: int, owner: str) -> bool:
        now = self._now()
        claimed = {"state": RUNNING, "owner": owner, "started_at": now, "beat_at": now}
        guarded = sa.update(self._table).where(self._table.c.id == job_id, self._table.c.state == QUEUED)
        with self._database.write() as connection:
            done = connection.execute(guarded.values(attempts=self._table.c.attempts + 1, **claimed))
        return done.rowcount == 1

    def _beat(self, job_id: int, owner: str, moment: Advance) -> bool:
        """Say that the worker is alive and how far it is; whether it shall stop, be it that another has the job."""
        mine = (self._table.c.id == job_id) & (self._table.c.owner == owner)
        alive = {"state": RUNNING, "error": None, "hint": None, "ended_at": None, "beat_at": self._now()}
        # Not durable by itself: what a power cut undoes here nobody misses.
        with self._database.session() as session, session.write(durable=False) as connection:
            told = connection.execute(sa.update(self._table).where(mine).values(progress=_spell(vars(moment)), **alive))
            return not told.rowcount or bool(connection.scalar(sa.select(self._table.c.cancel_requested).where(mine)))

    def _finish(self, job: Job, owner: str, ended: Mapping[str, Any]) -> None:
        mine = (self._table.c.id == job.id) & (self._table.c.owner == owner)
        for left in reversed(range(_LAST_TRIES)):
            try:
                with self._database.write() as connection:
                    done = connection.execute(sa.update(self._table).where(mine).values(**{**_told(None), **ended}))
                    if done.rowcount:
                        told = ended.get("error") or _in_words(_read(ended.get("summary")))
                        self._audit.write(connection, [_entry(job.kind, job.id, ended["state"], told)])
            except StoreError as error:  # another program holds the database; the lease is longer than these tries
                log.warning("Job %d has ended, but that could not be noted: %s", job.id, error.sentence)
                if left:
                    time.sleep(_TRY_AGAIN_S)
            else:
                return

    def _tidy(self, connection: Connection, kind: str) -> None:
        """Forget what nobody looks at any more."""
        table = self._table.c
        over = sa.select(table.id).where(table.kind == kind, table.state.not_in(ACTIVE)).order_by(table.id.desc())
        # Read first: a database refuses to change a table that it picks the rows from.
        ids = connection.scalars(over.offset(KEPT_RESULTS)).all()
        long_gone: Iterable[int] = ids[KEPT_JOBS - KEPT_RESULTS :]
        connection.execute(
            sa.update(self._table).where(table.id.in_(ids), table.result.is_not(None)).values(result=None)
        )
        connection.execute(sa.delete(self._table).where(table.id.in_(long_gone)))

    def _now(self) -> str:
        return spell_moment(self._clock())


def _entry(kind: str, job_id: int, outcome: str, told: str) -> Change:
    return Change(kind, "job", str(job_id), f"job {job_id}", told, outcome)


def _in_words(told: Mapping[str, Any]) -> str:
    """``generation: 2025…, rows: 57``: what is short of it."""
    short = {key: value for key, value in told.items() if isinstance(value, str | int | float) and key != "plan"}
    return ", ".join(f"{key}: {value}" for key, value in short.items())[:500]


def _told(error: StoreError | None) -> dict[str, str | None]:
    return {"error": error.message if error else None, "hint": error.hint if error else None}


class _Pulse:
    """The thread that tells the table how far the work is. The work itself never waits for it: it may hold the very
    transaction that the table has to wait for."""

    def __init__(self, beat: Callable[[Advance], bool]) -> None:
        self._beat = beat
        self._thread = threading.Thread(target=self._run, name="tandem-pulse", daemon=True)
        self._over = threading.Event()
        self._phase_began, self._phase = 0.0, ""
        self.last, self.cancelled = Advance(), False

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def tell(self, moment: Moment) -> None:
        """Hears of each step; costs next to nothing."""
        if moment.phase != self._phase:
            self._phase, self._phase_began = moment.phase, moment.seconds
        took = moment.seconds - self._phase_began
        rate = round(moment.done / took, 1) if took > 0.1 else 0.0
        overall, seconds = round(moment.overall, 4), round(moment.seconds, 2)
        self.last = Advance(moment.phase, moment.done, moment.total, overall, seconds, rate)

    def _run(self) -> None:
        told, beaten = Advance(), time.monotonic()
        while not self._over.wait(TELL_S):
            now = self.last
            if now is told and time.monotonic() - beaten < BEAT_S:
                continue
            with contextlib.suppress(StoreError):  # the next one will come through
                self.cancelled = self._beat(now) or self.cancelled
                told, beaten = now, time.monotonic()
