"""An operating system that refuses call N."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store.files.system import Handle, System

CALLS = tuple(name for name in vars(System) if not name.startswith("_"))
# What a read-only folder refuses.
CHANGES = frozenset({"make_folder", "create", "open_to_append", "link", "rename", "remove", "lock"})


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and at which calls it can. ``number`` 0: a write that takes half of the bytes and says so."""

    number: int
    calls: frozenset[str]


FAULTS = {
    "ENOSPC": Fault(errno.ENOSPC, CHANGES - {"remove"} | {"write", "sync", "sync_folder"}),
    "EIO": Fault(errno.EIO, frozenset(CALLS)),
    "EROFS": Fault(errno.EROFS, CHANGES),
    "short write": Fault(0, frozenset({"write"})),
}


class FaultySystem(System):
    """The real one until ``arm``: then the call at place ``at`` goes wrong once, or with ``at`` None each one."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self._armed = False
        self.at: int | None = None
        self.count = 0
        self.failed = ""  # the call that went wrong
        self.failed_at = ""  # and the name of its file

    def arm(self, fault: Fault, at: int | None = None) -> None:
        self._armed = True
        self.fault, self.at, self.count, self.failed, self.failed_at = fault, at, 0, "", ""

    def disarm(self) -> None:
        self._armed = False

    def write(self, handle: Handle, data: bytes) -> int:
        return super().write(handle, data[: (len(data) + 1) // 2] if self.meets("write", handle) else data)

    def meets(self, name: str, subject: Path | Handle) -> bool:
        """Whether the call goes wrong without an error. Raises the error otherwise."""
        fault = self.fault
        if fault is None or not self._armed or name not in fault.calls:
            return False
        self.count += 1
        if self.at not in (None, self.count - 1):
            return False
        path = subject.path if isinstance(subject, Handle) else subject
        self.failed, self.failed_at = name, path.name
        if fault.number:
            raise OSError(fault.number, os.strerror(fault.number), str(path))
        return True


def _faulty(name: str) -> Any:
    def call(self: FaultySystem, subject: Path | Handle, *rest: Path | int) -> Any:
        if name in ("close", "unlock"):
            System.close(self, subject)  # type: ignore[arg-type]  # a close that fails has closed all the same
            self.meets(name, subject)
            return None
        self.meets(name, subject)
        return getattr(System, name)(self, subject, *rest)

    return call


for _name in CALLS:
    if _name != "write":
        setattr(FaultySystem, _name, _faulty(_name))
