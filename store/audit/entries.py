"""Who is doing something, what is to be noted of it, and gathering that within one unit of work."""

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Final

# Outcomes. ``started``: it goes on in the background; ``unknown``: nobody can tell whether it counts.
DONE, REFUSED, FAILED, STARTED, CANCELLED, UNKNOWN = "done", "refused", "failed", "started", "cancelled", "unknown"
OUTCOMES: Final = (DONE, REFUSED, FAILED, STARTED, CANCELLED, UNKNOWN)


@dataclass(frozen=True)
class Actor:
    """Who does something: an account's name, ``command:<user of the system>`` or ``Tandem`` by itself; from where."""

    name: str
    account_id: str | None = None
    role: str = ""
    address: str = ""
    request_id: str = ""


TANDEM: Final = Actor("Tandem")
_actor: ContextVar[Actor] = ContextVar("tandem_actor", default=TANDEM)


def actor() -> Actor:
    """Who does what is being done now, in this thread."""
    return _actor.get()


def act_as(one: Actor) -> None:
    """From now on what is done in this thread is done by ``one``. For who begins and ends requests."""
    _actor.set(one)


@contextlib.contextmanager
def acting_as(one: Actor) -> Iterator[None]:
    """What is done within is done by ``one``."""
    token = _actor.set(one)
    try:
        yield
    finally:
        _actor.reset(token)


@dataclass(frozen=True)
class Change:
    """What is noted of one thing that was done.

    ``kind`` and ``record_id`` name the record, where it is about one: a kind of the store (``character``), or one of
    Tandem's own (``tandem account``, ``job``). ``title``: what people call it. ``changes``: field -> what became of
    it, see ``store.audit.differences``; never a secret. ``within``: the chat of a message.
    """

    action: str
    kind: str = ""
    record_id: str = ""
    title: str = ""
    message: str = ""
    outcome: str = DONE
    changes: Mapping[str, Any] | None = None
    within: str | None = None
    undoes: int | None = None


@dataclass(frozen=True)
class _Reason:
    message: str
    undoes: int | None = None


@dataclass
class Gathered:
    """What a unit of work has noted, in its order. ``summary``: what is to be said of all of it, where it is many
    records. ``room``: how many characters of old values may still be kept."""

    changes: list[Change] = field(default_factory=list)
    summary: str = ""
    room: int = 0


# So many characters of the values that one unit of work does away with are kept.
KEPT_PER_UNIT = 32 * 1024 * 1024
_gathered: ContextVar[Gathered | None] = ContextVar("tandem_gathered", default=None)
_reason: ContextVar[_Reason | None] = ContextVar("tandem_reason", default=None)


@contextlib.contextmanager
def because(message: str, *, undoes: int | None = None) -> Iterator[None]:
    """Say with every change noted within why it is made; ``undoes`` is the number of the entry it undoes."""
    token = _reason.set(_Reason(message, undoes))
    try:
        yield
    finally:
        _reason.reset(token)


@contextlib.contextmanager
def gathering() -> Iterator[Gathered]:
    """Gather what is noted within: the backends write it together with the work itself."""
    gathered = Gathered(room=KEPT_PER_UNIT)
    token = _gathered.set(gathered)
    try:
        yield gathered
    finally:
        _gathered.reset(token)


def noted(change: Change) -> None:
    """Note a change within a unit of work; it counts if, and only if, the work does. Without one nothing is noted: then
    somebody else's change is only carried over."""
    if (gathered := _gathered.get()) is None:
        return
    if reason := _reason.get():
        change = replace(change, message=change.message or reason.message, undoes=reason.undoes)
    gathered.changes.append(change)


def is_noting() -> bool:
    """Whether ``noted`` has an effect now: what only it needs need not be read otherwise."""
    return _gathered.get() is not None


def sum_up(summary: str) -> None:
    """Say something of all records that this unit of work changes."""
    if (gathered := _gathered.get()) is not None:
        gathered.summary = summary


def room_for(size: int) -> bool:
    """Whether this unit of work may still keep so many characters of what it does away with."""
    if (gathered := _gathered.get()) is None or gathered.room < size:
        return False
    gathered.room -= size
    return True
