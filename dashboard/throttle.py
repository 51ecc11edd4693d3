"""How often a sign-in may fail, counted in the database, so that every process counts the same."""

import contextlib
import ipaddress
from collections.abc import Callable
from datetime import datetime, timedelta

import sqlalchemy as sa

from dashboard.accounts import fingerprint, name_key, wait_for_turn
from dashboard.sessions import clock_time
from store.database import Database
from store.documents.base import spell_moment

WINDOW = timedelta(minutes=15)
PER_NAME, PER_ADDRESS = 5, 20  # failures within the window


class Throttle:
    """Counts attempts before they are carried out, so that many at the same moment are no way around it."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = clock_time) -> None:
        self._database, self._clock, self._table = database, clock, database.own.attempts

    def begin(self, name: str, address: str) -> timedelta | None:
        """Count an attempt to sign in. Where there were too many: how long to wait, and the attempt does not count."""
        now = self._clock()
        limits = {_name_subject(name): PER_NAME, _address_subject(address): PER_ADDRESS}
        with self._database.write() as connection:
            wait_for_turn(connection, self._table)
            connection.execute(sa.delete(self._table).where(self._table.c.at <= spell_moment(now - WINDOW)))
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

    def succeeded(self, name: str, address: str) -> None:
        """The attempt was none of guessing: forget the account's failures, and this one try of the address."""
        own = sa.select(sa.func.max(self._table.c.id)).where(self._table.c.subject == _address_subject(address))
        with self._database.write() as connection:
            last = connection.scalar(own)
            which = (self._table.c.subject == _name_subject(name)) | (self._table.c.id == last)
            connection.execute(sa.delete(self._table).where(which))

    def forget(self, name: str) -> None:
        """Forget the account's failures: its password is a new one."""
        with self._database.write() as connection:
            connection.execute(sa.delete(self._table).where(self._table.c.subject == _name_subject(name)))


def _name_subject(name: str) -> str:
    # Not the name itself: people type their password into the wrong field.
    return f"name:{fingerprint(name_key(name))}"


def _address_subject(address: str) -> str:
    with contextlib.suppress(ValueError):
        # Whoever has one IPv6 address has all 2^64 of its network.
        if (parsed := ipaddress.ip_address(address)).version == 6:
            address = str(ipaddress.ip_network((parsed, 64), strict=False))
    return f"address:{address}"
