"""How long work tells how far it is, and hears that it shall stop."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from store.errors import CancelledError


@dataclass(frozen=True)
class Moment:
    """How far the work is. ``done`` of ``total`` units of this phase; ``overall`` from 0 to 1 over all phases; seconds
    since the work began."""

    phase: str
    done: int
    total: int
    overall: float
    seconds: float


class Progress:
    """Passed down by whoever asks for long work. As it is, it tells nobody."""

    def __init__(
        self, tell: Callable[[Moment], None] = lambda moment: None, cancelled: Callable[[], bool] = lambda: False
    ) -> None:
        """``tell`` hears of each step; it has to be quick. ``cancelled`` is asked at each."""
        self._tell, self._cancelled = tell, cancelled
        self._began = time.monotonic()
        self._phase, self._done, self._total = "", 0, 0
        self._before, self._share, self._scale = 0.0, 1.0, 1.0

    @contextlib.contextmanager
    def within(self, share: float) -> Iterator[None]:
        """What is shared out inside is only this part of the whole work, from 0 to 1."""
        before, self._scale = self._scale, self._scale * share
        try:
            yield
        finally:
            self._scale = before

    def phase(self, name: str, total: int, *, share: float = 0.0) -> None:
        """Begin a phase of ``total`` units. ``share``: the part of the whole work that it is, from 0 to 1."""
        self._before = min(self._before + (self._share if self._phase else 0.0), 1.0)
        self._phase, self._done, self._total, self._share = name, 0, total, share * self._scale
        self.step(0)

    def step(self, done: int = 1) -> None:
        """So many more units are done. Raises CancelledError when the work shall stop; what was done so far has to be
        left in order by whoever called."""
        if self._cancelled():
            raise CancelledError("The work was cancelled.")
        self._done += done
        part = min(self._done / self._total, 1.0) if self._total else 1.0
        overall = min(self._before + self._share * part, 1.0)
        self._tell(Moment(self._phase, self._done, self._total, overall, time.monotonic() - self._began))
