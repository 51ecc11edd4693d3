"""The helper of ``store.hands``: a process that reads one snapshot, and does batches of what it is told, a line each.

It is started by its path. The package's own front door opens everything, which takes longer than what is done here, so
it is passed by: what is imported below is only what is needed.
"""

import gc
import os
import queue
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

if "store" not in sys.modules:
    _package = types.ModuleType("store")
    _package.__path__ = [str(Path(__file__).parent)]
    sys.modules["store"] = _package

import sqlite3

import orjson

from store import chat_files
from store.chat_files import Batch
from store.files.system import System
from store.streaming import TEXT, Driver

CONNECT_S = 10  # seconds; whoever waits for it then does without


class Helper:
    """One connection and what is done with it."""

    def __init__(self) -> None:
        self._system = System()
        self._driver: Driver = None
        self.does: dict[str, Callable[[Any], Any]] = {"begin": self.begin, "make": self.make, "holding": self.holding}

    def open(self, dialect: str, options: dict[str, Any]) -> None:
        """Connect to the database."""
        if dialect == "sqlite":
            self._driver = sqlite3.connect(**options, isolation_level=None)
            self._driver.text_factory = TEXT
        else:
            import psycopg  # takes long, and not everybody needs it

            self._driver = psycopg.connect(**{**options, "connect_timeout": CONNECT_S})
            self._driver.isolation_level, self._driver.read_only = psycopg.IsolationLevel.REPEATABLE_READ, True

    def begin(self, snapshot: str | None) -> bool:
        """See what is there now, or what the snapshot of that name sees."""
        if snapshot is not None:
            self._driver.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
            # Now, and not when somebody waits for us: who wants to alter these tables may come before us.
            self._driver.execute("SELECT 1 FROM messages, chat_files LIMIT 0")
            return True
        if self._driver.in_transaction:
            self._driver.execute("ROLLBACK")
        self._driver.execute("BEGIN")
        self._driver.execute("SELECT count(*) FROM sqlite_master").fetchall()
        return True

    def make(self, told: list[Any]) -> list[Any]:
        """Some chats' files."""
        return list(map(tuple, chat_files.make(self._system, self._driver, Batch(*told))))

    def holding(self, told: list[Any]) -> list[str]:
        """Which files hold what they shall."""
        folder, entries = told
        return chat_files.holding(self._system, folder, [(path, (size, sha256)) for path, (size, sha256) in entries])


def _listen(told: queue.SimpleQueue[Any]) -> None:
    """Take in what is told, so that nobody ever waits to tell it. When nobody tells any more, all of this ends."""
    for line in sys.stdin.buffer:
        told.put(orjson.loads(line))
    os._exit(0)


def main() -> None:
    """Do what is told. Whatever goes wrong ends it: who told does it then, and says why."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anybody else prints is no answer
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(told,), daemon=True).start()
    helper = Helper()
    gc.freeze()  # what was imported stays
    _, target = told.get()
    helper.open(*target)
    while True:
        what, data = told.get()
        answers.write(orjson.dumps(helper.does[what](data)) + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
