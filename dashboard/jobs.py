"""Who does the background work. Huey carries the number of a job to a worker; everything else is in the table of jobs.

``JOBS=embedded``: a worker in a thread of the web process. It begins with ``app.py``, or else with the first job, so
that a server which forks has forked by then. ``JOBS=worker``: processes of their own (``jobs worker``).
``JOBS=inline``: at once, before the answer.
"""

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from flask import Flask, current_app
from huey import Huey, PostgresHuey, RedisHuey, SqliteHuey
from huey.consumer import Consumer
from huey.registry import Message
from huey.serializer import Serializer

from store import Store
from store.database import BUSY_MS
from store.errors import StoreError
from store.jobs import QUEUED, Job
from store.work import run

log = logging.getLogger("tandem.jobs")

QUEUE = "tandem"
TASK = "job"
SWEEP_S = 5.0  # how often a worker looks for jobs of the dead, and for jobs that the queue has lost
STOP_S = 20.0  # how long the end of the process waits for the job under way to stop


class PlainSerializer(Serializer):
    """Messages as JSON: who can write to the queue shall not be able to run programs here."""

    def _serialize(self, data: Message) -> bytes:
        return json.dumps(data).encode()

    def _deserialize(self, data: bytes) -> Message:
        return Message(*json.loads(data))


class Worker(Consumer):
    """Huey's consumer without its handlers of signals: those belong to the process it runs in."""

    def _set_signal_handlers(self) -> None:
        pass


class Workshop:
    """The background work of one process."""

    def __init__(self, store: Store) -> None:
        self.store, self.mode = store, store.settings.jobs
        self._huey: Huey | None = None
        self._worker: Worker | None = None
        self._sweeper: threading.Thread | None = None
        self._stopping = threading.Event()
        self._guard = threading.RLock()
        self.on_end: Callable[[Job], None] = lambda job: None

    # ------------------------------------------------------------------ asking for work
    def start(self, kind: str, arguments: Mapping[str, Any], by: str) -> Job:
        """Have something done, as soon as may be. Raises StoreError when it cannot even be noted down."""
        job = self.store.jobs.start(kind, arguments, by)
        if self.mode == "inline":
            return run(self.store, job.id) or job
        try:
            self._enqueue(job.id)
        except Exception:  # every storage has errors of its own
            log.exception("The queue does not take job %d; it is done as soon as a worker looks for lost ones", job.id)
        if self.mode == "embedded":
            self.open()
        return self.store.jobs.get(job.id)

    def answers(self) -> bool:
        """Whether the queue can be used."""
        try:
            return self.mode == "inline" or self.huey.pending_count() >= 0
        except Exception:
            log.warning("The queue does not answer", exc_info=True)
            return False

    # ------------------------------------------------------------------ working
    @property
    def huey(self) -> Huey:
        """The queue, opened when it is first needed."""
        with self._guard:
            if self._huey is None:
                self._huey = open_queue(self.store.settings.jobs_queue)
                # By a name of its own: the one of this module is another in a worker that was started as a script.
                self._task = self._huey.task(name=TASK)(self._do)
        return self._huey

    def open(self) -> None:
        """Begin to work in threads of this process; nothing happens when that has begun. A queue that cannot be opened
        stops nothing: it is tried again."""
        with self._guard:
            if self._sweeper is not None or self._stopping.is_set():
                return
            self._begin()
            self._sweeper = threading.Thread(target=self._sweep, name="tandem-sweeper", daemon=True)
            self._sweeper.start()

    def _begin(self) -> None:
        with self._guard:
            if self._worker is not None or self._stopping.is_set():
                return
            try:
                worker = Worker(self.huey, workers=1, periodic=False, max_delay=0.5, scheduler_interval=60)
            except Exception:  # every storage has errors of its own
                log.warning("The queue (JOBS_QUEUE) cannot be opened; jobs wait until it can", exc_info=True)
                return
            worker.start()
            self._worker = worker

    def close(self) -> None:
        """Stop: the job under way is asked to end, and says that it was stopped."""
        self._stopping.set()
        worker, sweeper = self._worker, self._sweeper
        if worker is not None:
            worker.stop_flag.set()
            for _, thread in worker.worker_threads:
                thread.join(STOP_S)
        if sweeper is not None:
            sweeper.join(STOP_S)
        if self._huey is not None:
            with contextlib.suppress(Exception):
                self._huey.storage.close()

    def _enqueue(self, job_id: int) -> None:
        self.huey.enqueue(self._task.s(job_id))

    def _do(self, job_id: int) -> None:
        if not self._stopping.is_set() and (job := run(self.store, job_id, self._stopping.is_set)):
            self.on_end(job)

    def _sweep(self) -> None:
        while True:
            try:
                self._begin()
                self.sweep()
            except StoreError as error:
                log.warning("Lost jobs cannot be looked for: %s", error.sentence)
            except Exception:
                log.exception("Lost jobs cannot be looked for")
            if self._stopping.wait(SWEEP_S):
                return

    def sweep(self) -> None:
        """Jobs of workers that have died begin anew or have failed; jobs that wait and are in no queue are queued
        again. Twice in the queue does no harm."""
        for job in self.store.jobs.recover():
            log.warning("The process that worked on job %d (%s) has died; it is %s now", job.id, job.kind, job.state)
        if waiting := self.store.jobs.list(states=(QUEUED,)):
            queued = {task.args[0] for task in self.huey.pending()}
            for job in reversed(waiting):
                if job.id not in queued:
                    self._enqueue(job.id)


def open_queue(url: str) -> Huey:
    """The queue at an address that ``store.settings`` has let pass."""
    options: Final[dict[str, Any]] = {"results": False, "serializer": PlainSerializer()}
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return SqliteHuey(QUEUE, filename=str(path), timeout=BUSY_MS / 1000, **options)
    # Asked twice a second instead of listened to: a worker that listens holds a connection more, and stops later.
    if url.startswith("redis"):
        return RedisHuey(QUEUE, url=url, blocking=False, **options)
    return PostgresHuey(QUEUE, dsn=url, table_prefix="tandem_queue", blocking=False, **options)


def mount(app: Flask, store: Store) -> Workshop:
    """Give the application its workshop."""
    workshop = app.extensions["tandem_workshop"] = Workshop(store)
    return workshop


def workshop() -> Workshop:
    """The background work of this application."""
    found: Workshop = current_app.extensions["tandem_workshop"]
    return found
