"""One installation whose secrets go over to a new pepper, and the processes that are started on it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from store import Settings, Store
from store.progress import Moment, Progress
from tests.crash.rotating_world import opened, secret_settings
from tests.crash.secrets_reader import in_files, in_sql
from tests.crash.secrets_reader import opened as opened_by_hand
from tests.factories import lay_database


class House:
    """One installation, and the processes that were started on it."""

    def __init__(self, path: Path, url: str, backend: str, *, given: bool) -> None:
        if not url:
            lay_database(path / "quilltap.sqlite")
        self.settings = secret_settings(path, url, backend, given=given)
        self.processes: list[Store] = []

    def start(self, **changes: Any) -> Store:
        """A new process, with other settings where any are given."""
        settings = Settings(**{**vars(self.settings), **changes})
        self.processes.append(opened(settings))
        return self.processes[-1]

    def under(self, pepper: str) -> set[str]:
        """The sides and sorts of what opens under a pepper."""
        return {f"{one.side} {one.what}" for one in self.found() if opened_by_hand(one, pepper) is not None}

    def found(self) -> list[Any]:
        files = [] if self.settings.data_backend == "sql" else in_files(self.settings.data_dir)
        return [*in_sql(self.settings.database_url), *files]

    @property
    def everything(self) -> set[str]:
        sides = ("sql",) if self.settings.data_backend == "sql" else ("sql", "json")
        return {f"{side} {what}" for side in sides for what in ("key", "totp", "codes")}


def at_each_step(work: Callable[[int], object]) -> Progress:
    """Calls ``work`` with the number of each step."""
    seen: list[Moment] = []

    def tell(moment: Moment) -> None:
        seen.append(moment)
        work(len(seen))

    return Progress(tell)


def stopping_after(steps: int) -> Progress:
    """Work that is stopped after so many records."""
    left = [steps + 1]  # beginning is a step too

    def cancelled() -> bool:
        left[0] -= 1
        return left[0] < 0

    return Progress(cancelled=cancelled)
