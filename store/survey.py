"""How many secrets there are and how many do not decrypt, at hand for every page: each is decrypted once, not each time
it is asked."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from store.backends import Backend
from store.database import Database
from store.errors import StoreError
from store.peppers import Change, Peppers
from store.secrets import Secrets
from store.secrets_check import Held, readable, remember_owners

log = logging.getLogger("tandem.secrets")

NAMED = 20  # secrets that a line of the log names


@dataclass(frozen=True)
class Surveyed:
    """The secrets on the side that counts. ``unchecked``: how many were not looked at yet; ``failing`` holds each that
    does not decrypt; ``incomplete`` counts those that never could."""

    total: int
    failing: tuple[Held, ...]
    incomplete: int = 0
    unchecked: int = 0
    change: Change | None = None

    @property
    def sentence(self) -> str:
        """How many there are, and how many do not decrypt."""
        whole = self.total - self.incomplete
        if self.failing:
            verb = "does" if len(self.failing) == 1 else "do"
            return f"{len(self.failing)} of {whole} secrets {verb} not decrypt with this pepper."
        if self.unchecked:
            return f"{self.unchecked} of {whole} secrets were not looked at yet."
        return (
            f"All {whole} secrets decrypt." if whole > 1 else "The one secret decrypts." if whole else "There is none."
        )


class Survey:
    """What was found of each secret so far. May be asked by several threads."""

    def __init__(self, backend: Backend, database: Database, peppers: Peppers, secrets: Secrets) -> None:
        self._backend, self._database, self._peppers, self._secrets = backend, database, peppers, secrets
        self._decrypts: dict[Held, bool] = {}
        self._change: Change | None = None
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._first, name="tandem-secrets", daemon=True)

    def look(self, seconds: float | None = None, stopped: Callable[[], bool] = lambda: False) -> Surveyed:
        """What there is now. Deriving keys takes its time: after so many seconds what is new stays unchecked. Raises
        StoreError."""
        deadline = time.monotonic() + (float("inf") if seconds is None else seconds)
        change = self._peppers.change()
        self._peppers.refresh()
        found = readable(self._backend)
        with self._guard:
            if change != self._change:
                self._decrypts, self._change = {}, change
            known = self._decrypts  # others who look fill it too
            for gone in known.keys() - set(found):
                del known[gone]
        whole = [one for one in found if one.cipher.is_whole]
        for one in whole:
            if time.monotonic() > deadline or stopped():
                break
            if one not in known:
                known[one] = self._opens(one)
        failing = tuple(one for one in whole if known.get(one) is False)
        unchecked = sum(one not in known for one in whole)
        return Surveyed(len(found), failing, len(found) - len(whole), unchecked, change)

    def _opens(self, one: Held) -> bool:
        try:
            self._secrets.open(one.owner, one.cipher)
        except StoreError:
            return False
        return True

    # ------------------------------------------------------------------ at the start
    def start(self) -> None:
        """Look at all of them beside the other work, and say in one line what was found."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the secret it is at."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _first(self) -> None:
        try:
            found = self.look(stopped=self._stop.is_set)
            if found.unchecked:
                return
            failing = set(found.failing)
            remember_owners(self._database, {one.owner for one in list(self._decrypts) if one not in failing})
        except StoreError as error:
            log.warning("Whether the secrets decrypt could not be found out: %s", error.sentence)
            return
        except Exception:  # it only informs
            log.exception("Whether the secrets decrypt could not be found out")
            return
        named = "; ".join(one.name for one in found.failing[:NAMED])
        more = f"; and {len(found.failing) - NAMED} more" if len(found.failing) > NAMED else ""
        if found.failing:
            log.warning("%s %s%s. See: flask --app app secrets check", found.sentence, named, more)
        else:
            log.info("%s", found.sentence)
