"""Two pairs of hands for much work: this process, and a helper beside it that reads the same snapshot.

A helper takes part from ``FROM`` messages on, where there is a second processor to run on. It only ever takes work off:
without one, or when it dies, this process does everything, and nothing else is different.
"""

import contextlib
import functools
import gc
import itertools
import logging
import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection

from store import chat_files
from store.chat_files import Batch, Made
from store.database import Database
from store.files.pieces import Entry
from store.files.system import Handle, System
from store.helping import Helping
from store.streaming import Driver, driver_of
from store.tables.messages import messages

log = logging.getLogger("tandem.hands")

FROM = 20_000  # messages
AT_ONCE = 32  # chats
FILES_AT_ONCE = 250  # whose bytes are looked at
IN_FLIGHT = 2  # batches, so that the helper never waits for the next
TRIES = 5  # to see the same as the helper while others write
FEEDER: Final = "tandem-helper"
PATIENCE_S = 120.0  # without an answer, when there is nothing else to do
_PAUSE_S: Final = 0.2
T = TypeVar("T", bound=tuple[Any, ...])
R = TypeVar("R")


class Hands:
    """Who does the work on one snapshot."""

    def __init__(self, system: System, helper: Helping | None = None) -> None:
        self._system, self._helper = system, helper
        self._driver: Driver = None
        self._syncing: _Syncing | None = None

    @classmethod
    def alone(cls, connection: Connection, system: System) -> "Hands":
        """This process, on a snapshot that is under way."""
        self = cls(system)
        self._driver = driver_of(connection)
        return self

    @contextlib.contextmanager
    def snapshot(self, database: Database) -> Iterator[Connection]:
        """One snapshot, which the helper sees too."""
        tries = itertools.count(1)
        while True:
            with database.read() as connection:
                helper = self._helper
                if helper is None or not helper.is_there or helper.shares(connection):
                    self._driver = driver_of(connection)
                    yield connection
                    return
            if next(tries) == TRIES:  # others write all the time
                helper.close()

    def begin_to_make(self, batches: Sequence[Batch]) -> "Work[Batch, Made]":
        """What becomes of each chat of some batches. The helper begins; this process joins in when it asks for the
        results, and has an OSError then where a file cannot be written."""
        again = functools.partial(chat_files.take_back, self._system)
        here = functools.partial(chat_files.make, self._system, self._driver)
        return Work(batches, lambda batch: list(here(batch)), again, self._helper, "make", _made)

    def begin_to_sync(self, folder: Path) -> None:
        """Where there is much: let what was written below a folder go to the disk already, while this process does
        something else. What is written from now on is not meant."""
        if self._helper:
            syncing = _Syncing(self._system, folder)
            with contextlib.suppress(RuntimeError):  # no more threads
                syncing.start()
                self._syncing = syncing

    def end_sync(self) -> None:
        """Raise OSError when what was begun to be synced did not get to the disk: whoever syncs later is not told."""
        if self._syncing:
            self._syncing.join()
            if self._syncing.error:
                raise self._syncing.error

    def begin_to_read_back(self, folder: Path, entries: dict[str, Entry]) -> "Work[Any, str]":
        """The paths below a folder whose files hold what they shall. As above."""
        told, root = list(entries.items()), str(folder)
        parts = [(root, told[at : at + FILES_AT_ONCE]) for at in range(0, len(told), FILES_AT_ONCE)]
        here = functools.partial(chat_files.holding, self._system)
        return Work(parts, lambda part: here(*part), lambda part: None, self._helper, "holding", str)


def _made(told: list[Any]) -> Made:
    made = Made(*told)
    return made._replace(entry=(made.entry[0], made.entry[1])) if made.entry else made


@contextlib.contextmanager
def hands(database: Database, system: System, lock: Handle | None = None) -> Iterator[Hands]:
    """Hands for work on all messages. ``lock``: what is held while files are written: as long as the helper lives,
    nobody else gets it."""
    helper, much = None, _is_much(database)
    if much and type(system) is System and _is_python() and _processors() > 1 and (target := database.for_others()):
        with contextlib.suppress(OSError):
            helper = Helping(target, lock)
    # Else all that the program is made of is looked through again and again; a server has seen to that at its start.
    freezes = much and not gc.get_freeze_count()
    if freezes:
        gc.freeze()
    try:
        yield Hands(system, helper)
    finally:
        if freezes:
            gc.unfreeze()
        if helper:
            helper.close()


def _is_much(database: Database) -> bool:
    with database.read() as connection:
        some = sa.select(sa.literal(1)).select_from(messages).limit(FROM).subquery()
        return connection.scalar(sa.select(sa.func.count()).select_from(some)) == FROM


def _is_python() -> bool:
    """Not so in a server that has Python in it: it would start itself."""
    return "python" in Path(sys.executable or "").name.lower()


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Syncing(threading.Thread):
    """A sync of a folder's file system."""

    def __init__(self, system: System, folder: Path) -> None:
        super().__init__(daemon=True)
        self._system, self._folder = system, folder
        self.error: OSError | None = None

    def run(self) -> None:
        try:
            self._system.sync_all(self._folder)
        except OSError as error:
            self.error = error


class Work(Generic[T, R]):
    """Batches that both take from, each done once. What the helper had in hands when it died is done anew."""

    def __init__(
        self,
        batches: Sequence[T],
        here: Callable[[T], list[R]],
        take_back: Callable[[T], None],
        helper: Helping | None,
        what: str,
        told: Callable[[Any], R],
    ) -> None:
        """``here`` does a batch in this process, ``take_back`` undoes what may have been done of one; ``told`` reads a
        result that the helper tells."""
        self._here, self._take_back, self._what, self._told = here, take_back, what, told
        self._guard = threading.Lock()  # a batch lies in one of these, and never in neither
        self._left, self._in_its_hands = deque(batches), deque[T]()
        self._done: queue.SimpleQueue[list[R] | None] = queue.SimpleQueue()
        self._helper = helper if len(self._left) > 1 and helper is not None and helper.is_there else None
        if self._helper:
            try:
                threading.Thread(target=self._feed, args=(self._helper,), name=FEEDER, daemon=True).start()
            except RuntimeError:  # no more threads
                self._helper = None

    def results(self) -> Iterator[list[R]]:
        """The results of every batch, in no order; now and then an empty list."""
        while batch := self._next():
            yield self._here(batch)
            yield from self._answered()
        until = time.monotonic() + PATIENCE_S
        while self._helper and self._in_its_hands:
            try:
                told = self._done.get(timeout=_PAUSE_S)
            except queue.Empty:
                if time.monotonic() > until:
                    self._helper.close()  # whoever waits for its answer hears that there is none
                yield []
                continue
            if told is None:
                self._helper = None
                break
            yield told
            until = time.monotonic() + PATIENCE_S
        yield from self._answered()
        for batch in self._in_its_hands:  # when it died
            self._take_back(batch)
            yield self._here(batch)

    def _answered(self) -> Iterator[list[R]]:
        with contextlib.suppress(queue.Empty):
            while (told := self._done.get_nowait()) is not None:
                yield told
            self._helper = None

    def _next(self, into: deque[T] | None = None) -> T | None:
        with self._guard:
            batch = self._left.popleft() if self._left else None
            if batch is not None and into is not None:
                into.append(batch)
            return batch

    def _feed(self, helper: Helping) -> None:
        """Give the helper batches. Only once it is ready: else everybody would wait for those."""
        mine = self._in_its_hands
        try:
            with helper.busy:
                helper.make_sure()
                while True:
                    while len(mine) < IN_FLIGHT and (batch := self._next(into=mine)):
                        helper.tell(self._what, tuple(batch))
                    if not mine:
                        return
                    self._done.put([self._told(one) for one in helper.hear()])
                    mine.popleft()
        except Exception as error:  # whatever it is, this process does without
            log.warning("The helper is gone (%s); this process does its part.", type(error).__name__)
            helper.close()  # before anything of it is taken back
        finally:
            self._done.put(None)
