"""Who is signed in: sessions that live in the database, so that they can be ended from here."""

import contextlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dashboard.accounts import Account, fingerprint
from store.database import Database
from store.documents.base import spell_moment
from store.errors import StoreError

IDLE_LIMIT = timedelta(hours=12)  # without a request
ABSOLUTE_LIMIT = timedelta(days=30)  # since signing in
SEEN_EVERY = timedelta(minutes=1)  # how exactly it is kept when somebody was here last


def clock_time() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


class Sessions:
    """The sessions in a database. The token is in the browser's cookie only; kept is its fingerprint."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = clock_time) -> None:
        self._database, self._clock = database, clock
        self._table, self._accounts = database.own.sessions, database.own.accounts

    def start(self, account: Account, address: str, user_agent: str) -> str:
        """Sign the account in; the token of its new session. Sessions that have run out are swept away."""
        token, moment = secrets.token_urlsafe(32), spell_moment(self._clock())
        with self._database.write() as connection:
            connection.execute(sa.delete(self._table).where(self._run_out()))
            row = {
                "token_hash": fingerprint(token),
                "account_id": account.id,
                "created_at": moment,
                "last_seen_at": moment,
                "address": address,
                "user_agent": user_agent.replace("\0", "")[:300],
            }
            connection.execute(sa.insert(self._table).values(row))
        return token

    def find(self, token: str) -> Account | None:
        """Whose session this is; None when it was ended, has run out, or its account is disabled."""
        here = self._table.c.token_hash == fingerprint(token)
        asked = sa.select(self._accounts, self._table.c.last_seen_at).join(self._table)
        with self._database.read() as connection:
            row = connection.execute(asked.where(here, ~self._run_out(), ~self._accounts.c.disabled)).one_or_none()
        if row is None:
            return None
        now = self._clock()
        if now - datetime.fromisoformat(row.last_seen_at) >= SEEN_EVERY:
            # Reading goes on where the database cannot be written to, until the idle limit.
            with (
                contextlib.suppress(StoreError),
                self._database.session() as session,
                session.write(durable=False) as connection,
            ):
                connection.execute(sa.update(self._table).where(here).values(last_seen_at=spell_moment(now)))
        return Account.of(row)

    def end(self, token: str) -> None:
        """Sign this one session out; nothing happens when it has ended before."""
        with self._database.write() as connection:
            connection.execute(sa.delete(self._table).where(self._table.c.token_hash == fingerprint(token)))

    def _run_out(self) -> Any:
        now = self._clock()
        idle = self._table.c.last_seen_at <= spell_moment(now - IDLE_LIMIT)
        return idle | (self._table.c.created_at <= spell_moment(now - ABSOLUTE_LIMIT))
