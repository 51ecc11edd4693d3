"""The helper as the process knows it that started it: see ``store.hands``."""

import contextlib
import fcntl
import os
import selectors
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from store.files.system import Handle

ANSWER_S = 5.0  # how long it may take to be ready, where one has to wait for that
_HELPER: Final = Path(__file__).with_name("helper.py")


class Helping:
    """Another process that does what it is told, one thing after the other. It ends when this one does."""

    def __init__(self, target: tuple[str, dict[str, Any]], lock: Handle | None) -> None:
        """``target``: how to connect to the database; ``lock``: an open file that it holds too. Raises OSError."""
        self.is_there = True
        self.busy = threading.Lock()  # held by who tells it something and waits for the answers
        self._closing, self._is_sure = threading.Lock(), True
        self._dialect, self._options = target
        with _passed_on(lock) as descriptors:
            self._process = subprocess.Popen(  # noqa: S603  # our own file
                [sys.executable, "-P", str(_HELPER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=descriptors,
                start_new_session=True,  # what is typed at this process' terminal is not meant for it
            )
        try:
            self.tell("open", target)
        except (OSError, ValueError):  # it ended already, or cannot be told
            self.close()

    def tell(self, what: str, told: object) -> None:
        """Send it something to do. Raises OSError when it is gone, ValueError for what cannot be sent."""
        assert self._process.stdin
        try:
            line = orjson.dumps([what, told])
        except TypeError as error:  # a path that is no UTF-8
            raise ValueError(str(error)) from error
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        """Its next answer. Raises ValueError when it is gone."""
        assert self._process.stdout
        return orjson.loads(self._process.stdout.readline())

    def shares(self, connection: Connection) -> bool:
        """Whether it sees the same as a snapshot that was begun just now, and in which nothing was read yet. With
        PostgreSQL that is only certain after ``make_sure``."""
        try:
            if self._dialect == "postgresql":  # to connect takes a while, and nobody has to wait for it
                self.tell("begin", connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar())
                self._is_sure = False
                return True
            return self._sees_the_same(connection)
        except (OSError, ValueError, sqlite3.Error, DBAPIError):
            self.close()
            return False

    def make_sure(self) -> None:
        """Wait until it sees the snapshot. Raises ValueError when it never will."""
        if not self._is_sure and not self.hear():
            raise ValueError("It does not see the snapshot.")
        self._is_sure = True

    def _sees_the_same(self, connection: Connection) -> bool:
        """SQLite has no names for snapshots: two are the same where nobody wrote between their beginnings."""
        with contextlib.closing(sqlite3.connect(**self._options)) as observer:
            before = observer.execute("PRAGMA data_version").fetchall()
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar()
            self.tell("begin", None)
            self._wait()
            return bool(self.hear()) and observer.execute("PRAGMA data_version").fetchall() == before

    def _wait(self) -> None:
        """Raise OSError when it does not answer in time."""
        assert self._process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(ANSWER_S):
                raise TimeoutError

    def close(self) -> None:
        """It is gone when this returns. From any thread, and more than once."""
        self.is_there = False
        with self._closing:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):
                    pipe.close() if pipe else None


@contextlib.contextmanager
def _passed_on(lock: Handle | None) -> Any:
    """Descriptors of an open file for another process, which has its own first three."""
    if lock is None:
        yield []
        return
    descriptor = fcntl.fcntl(lock.descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    try:
        yield [descriptor]
    finally:
        os.close(descriptor)
