"""Who acts, for the audit; and what of strangers and of refusals is written down, so that nobody can fill the disk."""

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from flask import Flask, Response, current_app, has_request_context, request

from dashboard.accounts import KIND as ACCOUNT
from dashboard.accounts import Account
from dashboard.security import request_id
from store import Store
from store.audit import FAILED, REFUSED, TANDEM, Actor, Audit, act_as, actor
from store.errors import StoreError

NOBODY: Final = "(nobody)"
LONGEST_PATH = 200
MINUTE_S = 60
PER_SUBJECT, FROM_ALL = 5, 40  # entries a minute about one account or address; and about everybody together
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def mount(app: Flask, store: Store) -> None:
    """Know who acts in each request, and write down what fails. Before ``auth.mount``: the guard comes after it."""
    app.extensions["tandem_flood"] = Flood(store.audit)
    app.before_request(_begin)
    app.after_request(_note_failure)
    app.teardown_request(lambda _: act_as(TANDEM))


def audit() -> Audit:
    """The audit of this application."""
    store: Store = current_app.extensions["tandem_store"]
    return store.audit


def _begin() -> None:
    act_as(Actor(NOBODY, address=request.remote_addr or "", request_id=request_id()))


def known(account: Account) -> None:
    """From now on it is this account that acts."""
    act_as(_actor_of(account))


def _actor_of(account: Account) -> Actor:
    return Actor(account.name, account.id, account.role, request.remote_addr or "", request_id())


def tell(action: str, outcome: str, *, who: str, whom: str, message: str) -> None:
    """Write down what happened to an account, or was tried with it: the names are of accounts. What fails or is refused
    is counted when it happens often."""
    by = _account(who)
    about = _account(whom) or by
    told = {"record_id": about.id, "title": about.name} if about else {"title": "(unknown name)"}
    told |= {"kind": ACCOUNT, "outcome": outcome, "message": message}
    if outcome in (FAILED, REFUSED):
        _flood().note(action, **told)
    else:
        audit().note(action, by=_actor_of(by) if by and has_request_context() else None, **told)


def _account(name: str) -> Account | None:
    found: Account | None = None
    if name:
        with contextlib.suppress(StoreError):
            found = current_app.extensions["tandem_people"].accounts.find(name)
    return found


def refused(message: str) -> None:
    """Somebody wanted what they may not."""
    _flood().note("refused", outcome=REFUSED, title=f"{request.method} {request.path[:LONGEST_PATH]}", message=message)


def _note_failure(response: Response) -> Response:
    """A change that was not made, because something went wrong."""
    if request.method not in _READING and response.status_code >= 500 and actor().account_id:
        title = f"{request.method} {request.path[:LONGEST_PATH]}"
        _flood().note("failed", outcome=FAILED, title=title, message=f"Answered with {response.status_code}.")
    return response


def _flood() -> "Flood":
    found: Flood = current_app.extensions["tandem_flood"]
    return found


def close(app: Flask) -> None:
    """Write down what was only counted."""
    flood: Flood = app.extensions["tandem_flood"]
    flood.flush()


@dataclass
class _Counted:
    """What one subject did within a minute. ``told``: how the last of it would be written down."""

    by: Actor
    told: dict[str, Any]
    count: int = 0
    written: int = 0


@dataclass
class Flood:
    """Writes down what happens often only a few times a minute, and counts the rest: so many a minute of each account
    or address, and of all together. What was only counted follows as one entry each, when the minute is over."""

    audit: Audit
    clock: Callable[[], float] = time.time
    _minute: int = 0
    _written: int = 0
    _seen: dict[tuple[str, str], _Counted] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def note(self, action: str, **told: Any) -> None:
        by = actor()
        with self._guard:
            self._turn(int(self.clock() // MINUTE_S))
            key = (action, by.account_id or by.address)
            if key not in self._seen and len(self._seen) >= FROM_ALL:
                key, by = (action, ""), Actor(NOBODY)  # so many at once are one crowd
                told = {"outcome": told["outcome"], "title": "(many)"}
            seen = self._seen.setdefault(key, _Counted(by, told))
            seen.by, seen.told, seen.count = by, told, seen.count + 1
            write = seen.written < PER_SUBJECT and self._written < FROM_ALL
            if write:
                seen.written, self._written = seen.written + 1, self._written + 1
        if write:
            self.audit.note(action, by=by, **told)

    def flush(self) -> None:
        """Write down what was only counted so far."""
        with self._guard:
            self._turn(self._minute + 1)

    def _turn(self, minute: int) -> None:
        if minute == self._minute:
            return
        for (action, _), seen in self._seen.items():
            if more := seen.count - seen.written:
                message = f"{more:,} more within the same minute."
                self.audit.note(action, by=seen.by, **{**seen.told, "message": message})
        self._minute, self._written, self._seen = minute, 0, {}
