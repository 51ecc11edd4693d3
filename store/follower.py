"""The background loop: what requests left, because a lock was busy or a disk was full, is done soon and again."""

import logging
import threading
from collections.abc import Callable

from store.errors import StoreError

log = logging.getLogger("tandem.follower")


class Follower:
    """A thread that keeps the side that follows up to date."""

    def __init__(self, follow: Callable[[], list[StoreError]], *, every: float = 0.25, slowest: float = 5.0) -> None:
        """``follow`` brings over what waits and gives what could not be. ``every`` seconds while all goes well; after
        failures less and less often, down to ``slowest`` seconds."""
        self._follow, self._every, self._slowest = follow, every, slowest
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tandem-follower", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop after the record it is at."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        pause, told = self._every, ""
        while not self._stop.wait(pause):
            try:
                problem = "; ".join(error.message for error in self._follow())
            except StoreError as error:
                problem = error.message
            except Exception:  # the loop outlives whatever happens in one round
                log.exception("A round of the background loop failed")
                problem = "Something unexpected stands in the way; see the log."
            if problem and problem != told:
                log.warning("The other side does not follow: %s", problem)
            told = problem
            pause = min(pause * 2, self._slowest) if problem else self._every
