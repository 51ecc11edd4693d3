"""How often a password or a code may be wrong, and a connection be tested: counted in the database, so that every
process counts the same.

Counted are an account from one address, an account from all addresses together, and an address over all accounts. The
second of these leaves out addresses from which the account was signed in to lately: strangers cannot lock a person out
of their own home, however often they guess.
"""

import contextlib
import ipaddress
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dashboard.accounts import fingerprint, name_key, wait_for_turn
from dashboard.sessions import clock_time
from store.database import Database
from store.documents.base import spell_moment
from store.errors import StoreError

WINDOW = timedelta(minutes=15)
PER_PLACE, PER_NAME, PER_ADDRESS = 5, 50, 20  # failures within the window
KNOWN_FOR = timedelta(days=30)  # since an account was last signed in to from an address
PASSWORD, CODE, SETUP = "password", "code", "setup"  # what is tried, each counted by itself
_CAME = "came:"


class TooManyAttemptsError(StoreError):
    """Too much was guessed; ``wait`` says how long nothing is looked at."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__("Too many attempts have failed.", hint=f"Try again in {in_words(wait)}.")
        self.wait = wait

    @property
    def retry_after(self) -> str:
        """The wait as the header of that name has it."""
        return str(math.ceil(self.wait.total_seconds()))


class Throttle:
    """Counts attempts before they are carried out, so that many at the same moment are no way around it."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = clock_time) -> None:
        self._database, self._clock, self._table = database, clock, database.own.attempts

    def begin(self, what: str, name: str, address: str) -> timedelta | None:
        """Count an attempt. Where there were too many: how long to wait, and the attempt does not count."""
        now = self._clock()
        here, everywhere = _subjects(what, name, address)
        limits = {here: PER_PLACE, everywhere: PER_NAME, _address_subject(address): PER_ADDRESS}
        with self._database.write() as connection:
            wait_for_turn(connection, self._table)
            connection.execute(sa.delete(self._table).where(self._is_over(now)))
            if self._came_from(connection, name, address):
                del limits[everywhere]
            waits = []
            for subject, limit in limits.items():
                asked = sa.select(self._table.c.at).where(self._table.c.subject == subject).order_by(self._table.c.at)
                moments = connection.scalars(asked).all()
                if len(moments) >= limit:
                    waits.append(datetime.fromisoformat(moments[-limit]) + WINDOW - now)
            if not waits:
                rows = [{"subject": subject, "at": spell_moment(now)} for subject in limits]
                connection.execute(sa.insert(self._table), rows)
        return max(waits, default=None)

    def take(self, what: str, account_id: str, limit: int) -> timedelta | None:
        """Count one use of what an account may do so often within the window. Where that was too often: how long to
        wait, and it does not count."""
        now, subject = self._clock(), f"{what}:{account_id}"
        asked = sa.select(self._table.c.at).where(self._table.c.subject == subject).order_by(self._table.c.at)
        with self._database.write() as connection:
            wait_for_turn(connection, self._table)
            moments = connection.scalars(asked.where(self._table.c.at > spell_moment(now - WINDOW))).all()
            if len(moments) >= limit:
                return datetime.fromisoformat(moments[-limit]) + WINDOW - now
            connection.execute(sa.insert(self._table).values(subject=subject, at=spell_moment(now)))
        return None

    def succeeded(self, what: str, name: str, address: str) -> None:
        """The attempt was none of guessing: forget this place's failures, and what it alone had counted elsewhere."""
        here, everywhere = _subjects(what, name, address)
        subject, number = self._table.c.subject, self._table.c.id
        with self._database.write() as connection:
            connection.execute(sa.delete(self._table).where(subject == here))
            for counted in (everywhere, _address_subject(address)):
                last = connection.scalar(sa.select(sa.func.max(number)).where(subject == counted))
                connection.execute(sa.delete(self._table).where(number == last))

    def came_in(self, name: str, address: str) -> None:
        """Remember that the account was signed in to from here."""
        subject = _came_subject(name, address)
        with self._database.write() as connection:
            connection.execute(sa.delete(self._table).where(self._table.c.subject == subject))
            connection.execute(sa.insert(self._table).values(subject=subject, at=spell_moment(self._clock())))

    def forget(self, name: str) -> None:
        """Forget the account's failures and addresses: its password is a new one."""
        with self._database.write() as connection:
            connection.execute(sa.delete(self._table).where(self._table.c.subject.contains(_name_mark(name))))

    def _is_over(self, now: datetime) -> Any:
        came, at = self._table.c.subject.startswith(_CAME), self._table.c.at
        return (~came & (at <= spell_moment(now - WINDOW))) | (at <= spell_moment(now - KNOWN_FOR))

    def _came_from(self, connection: sa.Connection, name: str, address: str) -> bool:
        asked = sa.select(self._table.c.id).where(self._table.c.subject == _came_subject(name, address)).limit(1)
        return connection.scalar(asked) is not None


def in_words(wait: timedelta) -> str:
    """How long to wait, rounded up to minutes."""
    minutes = max(1, math.ceil(wait.total_seconds() / 60))
    return "a minute" if minutes == 1 else f"{minutes} minutes"


def _subjects(what: str, name: str, address: str) -> tuple[str, str]:
    """What is counted of an account: from one address, and from all."""
    return f"{what}:{_name_mark(name)}@{_network(address)}", f"{what}:{_name_mark(name)}"


def _came_subject(name: str, address: str) -> str:
    return f"{_CAME}{_name_mark(name)}@{_network(address)}"


def _address_subject(address: str) -> str:
    return f"address:{_network(address)}"


def _name_mark(name: str) -> str:
    # Not the name itself: people type their password into the wrong field.
    return fingerprint(name_key(name))


def _network(address: str) -> str:
    with contextlib.suppress(ValueError):
        # Whoever has one IPv6 address has all 2^64 of its network.
        if (parsed := ipaddress.ip_address(address)).version == 6:
            return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address
