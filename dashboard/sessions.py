"""Who is signed in: sessions that live in the database, so that they can be ended from here."""

import contextlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dashboard.accounts import Account, end_sessions, fingerprint
from store.database import Database
from store.documents.base import spell_moment
from store.errors import StoreError

IDLE_LIMIT = timedelta(hours=12)  # without a request
ABSOLUTE_LIMIT = timedelta(days=7)  # since signing in
SEEN_EVERY = timedelta(minutes=1)  # how exactly it is kept when somebody was here last
PROOF_LASTS = timedelta(minutes=10)  # how long a password that was given counts for what asks for it again
_HANDLE = 16  # characters of a token's fingerprint: enough to tell sessions apart, and no way in


def clock_time() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Session:
    """A browser in which an account is signed in."""

    fingerprint: str = field(repr=False)
    started_at: str
    last_seen_at: str
    address: str
    user_agent: str

    @classmethod
    def of(cls, row: Any) -> "Session":
        """The session in a row of ``Sessions``' columns."""
        return cls(row.token_hash, row.started_at, row.last_seen_at, row.address, row.user_agent)

    @property
    def handle(self) -> str:
        """Names the session on pages, and is good for nothing else."""
        return self.fingerprint[:_HANDLE]


@dataclass(frozen=True)
class SignedIn:
    """Who is here, in which session, and whether they proved it within ``PROOF_LASTS``."""

    account: Account
    session: Session
    proved: bool


class Sessions:
    """The sessions in a database. The token is in the browser's cookie only; kept is its fingerprint."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = clock_time) -> None:
        self._database, self._clock = database, clock
        self._table, self._accounts = database.own.sessions, database.own.accounts
        # Both tables have a created_at.
        others = (column for column in self._table.c if column.name != "created_at")
        self._columns = (*others, self._table.c.created_at.label("started_at"))

    def start(self, account: Account, address: str, user_agent: str) -> str:
        """Sign the account in; the token of its new session. Sessions that have run out are swept away.

        To be called when the password, and the code where there is one, were right: it counts as their proof.
        """
        token, moment = secrets.token_urlsafe(32), spell_moment(self._clock())
        signed_in = sa.update(self._accounts).where(self._accounts.c.id == account.id)
        with self._database.write() as connection:
            connection.execute(sa.delete(self._table).where(self._run_out()))
            row = {
                "token_hash": fingerprint(token),
                "account_id": account.id,
                "created_at": moment,
                "last_seen_at": moment,
                "address": address,
                "user_agent": user_agent.replace("\0", "")[:300],
                "proved_at": moment,
            }
            connection.execute(sa.insert(self._table).values(row))
            connection.execute(signed_in.values(last_sign_in_at=moment))
        return token

    def find(self, token: str) -> SignedIn | None:
        """Whose session this is; None when it was ended, has run out, or its account is disabled."""
        here = self._table.c.token_hash == fingerprint(token)
        asked = sa.select(*self._columns, self._accounts).join(self._accounts)
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
        proved = row.proved_at is not None and row.proved_at > spell_moment(now - PROOF_LASTS)
        return SignedIn(Account.of(row), Session.of(row), proved)

    def prove(self, token: str) -> str | None:
        """The person of this session has given password and code again: its new token; None when it has ended.

        The token is another one from now on, so that whoever had learnt the old one gains nothing by the proof.
        """
        fresh = secrets.token_urlsafe(32)
        here = sa.update(self._table).where(self._table.c.token_hash == fingerprint(token), ~self._run_out())
        values = {"token_hash": fingerprint(fresh), "proved_at": spell_moment(self._clock())}
        with self._database.write() as connection:
            return fresh if connection.execute(here.values(values)).rowcount == 1 else None

    def of(self, account: Account) -> Sequence[Session]:
        """The account's sessions that have not run out, the one seen last first."""
        own = sa.select(*self._columns).where(self._table.c.account_id == account.id, ~self._run_out())
        with self._database.read() as connection:
            return [Session.of(row) for row in connection.execute(own.order_by(self._table.c.last_seen_at.desc()))]

    def counts(self) -> dict[str, int]:
        """How many sessions are open, by the account's id; who has none is left out."""
        own = self._table.c.account_id
        asked = sa.select(own, sa.func.count().label("open")).where(~self._run_out()).group_by(own)
        with self._database.read() as connection:
            return {row.account_id: row.open for row in connection.execute(asked)}

    def end(self, token: str) -> None:
        """Sign this one session out; nothing happens when it has ended before."""
        with self._database.write() as connection:
            connection.execute(sa.delete(self._table).where(self._table.c.token_hash == fingerprint(token)))

    def end_one(self, account: Account, handle: str) -> bool:
        """Sign out the account's session that the handle names; whether there was one."""
        named = sa.func.substr(self._table.c.token_hash, 1, _HANDLE) == handle
        with self._database.write() as connection:
            ended = sa.delete(self._table).where(self._table.c.account_id == account.id, named)
            return bool(connection.execute(ended).rowcount)

    def end_all(self, account: Account, keep: str = "") -> int:
        """Sign the account out everywhere, but in the session with the fingerprint ``keep``; how many ended."""
        with self._database.write() as connection:
            return end_sessions(connection, self._table, account.id, keep)

    def _run_out(self) -> Any:
        now = self._clock()
        idle = self._table.c.last_seen_at <= spell_moment(now - IDLE_LIMIT)
        return idle | (self._table.c.created_at <= spell_moment(now - ABSOLUTE_LIMIT))
