"""A process that dies at step N: every call of the JSON side and every step of SQL counts as one."""

import os
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine, event

from store.files.system import Handle, System

KILLED = 137  # what a shell says of a process that got SIGKILL
CALLS = tuple(name for name in vars(System) if not name.startswith("_"))
# A kill at a step that only looks leaves what a kill at the next step leaves.
_READING = {"read", "read_from", "read_some", "open_below", "open_to_read"}
_LOOKING_AT_FILES = {*_READING, "resolve", "signature", "signature_of"}
LOOKS = frozenset({*_LOOKING_AT_FILES, "list", "is_folder", "SELECT", "PRAGMA", "BEGIN"})


class Steps:
    """Counts steps and ends the process at once before step ``stop``: no clean-up, no rollback, as ``kill -9`` does."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._counting, self._looks = False, True
        self._stop: int | None = None
        self._watch: Callable[[], object] | None = None
        self.seen: list[object] = []

    def begin(self, stop: int | None = None, *, looks: bool = True, watch: Callable[[], object] | None = None) -> None:
        """Count from here on, and die at step ``stop``. Without ``looks`` a step that only looks is none. ``watch`` is
        asked before each step; ``seen`` has the answers."""
        self.names, self.seen = [], []
        self._counting, self._looks, self._stop, self._watch = True, looks, stop, watch

    def end(self) -> list[str]:
        """Count no more; the steps there were."""
        self._counting = False
        return self.names

    def take(self, name: str) -> None:
        if not self._counting or (not self._looks and name in LOOKS):
            return
        if len(self.names) == self._stop:
            os._exit(KILLED)
        if self._watch:
            self.seen.append(self._watch())
        self.names.append(name)

    def listen(self, engine: Engine) -> None:
        """Count SQL too: each statement, and the moments before and after a commit."""
        committing: set[int] = set()

        def before(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
            self.take(statement.split()[0].upper())

        def commit(connection: sa.Connection) -> None:
            self.take("commit")
            committing.add(id(connection.connection.driver_connection))

        def returned(driver_connection: Any, record: Any) -> None:
            if id(driver_connection) in committing:
                committing.remove(id(driver_connection))
                self.take("committed")

        event.listen(engine, "before_cursor_execute", before)
        event.listen(engine, "commit", commit)
        event.listen(engine, "checkin", returned)


def changes_in(seen: Sequence[object]) -> list[int]:
    """The places of those that are not what the one before them is."""
    return [place for place, one in enumerate(seen) if place == 0 or one != seen[place - 1]]


class SteppedSystem(System):
    """The real system, whose every call is a step. A first write takes only half, so that a kill can tear the file."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self._written: set[Path] = set()  # temporary names never come back; what is appended to is opened anew

    def open_to_append(self, path: Path) -> Handle:
        self.steps.take("open_to_append")
        self._written.discard(path)
        return super().open_to_append(path)

    def write(self, handle: Handle, data: bytes) -> int:
        self.steps.take("write")
        if handle.path in self._written:
            return super().write(handle, data)
        self._written.add(handle.path)
        return super().write(handle, data[: (len(data) + 1) // 2])


def _stepped(name: str) -> Any:
    def call(self: SteppedSystem, *arguments: Path | Handle | int) -> Any:
        self.steps.take(name)
        return getattr(System, name)(self, *arguments)

    return call


for _name in CALLS:
    if _name not in vars(SteppedSystem):
        setattr(SteppedSystem, _name, _stepped(_name))


def run_apart(work: Callable[[], None]) -> int:
    """Do the work in a forked child; its exit code. What it raises is printed, and the code is 1."""
    return ended(start_apart(work))


def ended(child: int) -> int:
    """Wait for a child; its exit code, or the signal that ended it as a negative number."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def start_apart(work: Callable[[], None]) -> int:
    """Begin the work in a forked child, which need not import everything first; its process's number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
