"""The store lock: one holder at a time over all threads and processes, freed by the kernel when the holder dies."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from store.errors import LockedError
from store.files.replace import make_folders
from store.files.system import Handle, System, told_as_json_side

POLL_S = 0.005


class StoreLock:
    """Held around every whole read-modify-write of the JSON side. Not re-entrant."""

    def __init__(self, system: System, path: Path) -> None:
        self._system, self._path = system, path

    @contextlib.contextmanager
    def hold(self, timeout: float = 0) -> Iterator[Handle]:
        """Hold the lock, and give the open file that it is on. Waits at most ``timeout`` seconds, then raises
        LockedError; JsonSideError when it cannot be made."""
        deadline = time.monotonic() + timeout
        with told_as_json_side(self._path.parent):
            make_folders(self._system, self._path.parent)
            while (handle := self._system.lock(self._path)) is None:
                if time.monotonic() >= deadline:
                    raise LockedError(f"Process {self._holder()} is writing the JSON side.")
                time.sleep(POLL_S)
        try:
            yield handle
        finally:
            with contextlib.suppress(OSError):  # the kernel frees it even when the close complains
                self._system.unlock(handle)

    def _holder(self) -> str:
        with contextlib.suppress(OSError):
            return self._system.read(self._path).decode("ascii", "replace").strip() or "unknown"
        return "unknown"
