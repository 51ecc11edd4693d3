"""Helpers about proving who one is: time that passes since the password was given, and a phone with an app."""

from datetime import timedelta

import pyotp
import sqlalchemy as sa
from flask import Flask

from dashboard.accounts import Account, fingerprint
from dashboard.auth import People
from dashboard.sessions import PROOF_LASTS, clock_time
from store.documents.base import spell_moment
from tests.dashboard.entering import Visitor


def time_passes(app: Flask, by: timedelta = PROOF_LASTS, visitor: Visitor | None = None) -> None:
    """As if everybody's password, or the visitor's alone, had been given that much earlier."""
    database = app.extensions["tandem_store"].database
    table = database.own.sessions
    earlier = sa.update(table).values(proved_at=spell_moment(clock_time() - by))
    if visitor is not None:
        earlier = earlier.where(table.c.token_hash == fingerprint(visitor.cookie("tandem_session") or ""))
    with database.write() as connection:
        connection.execute(earlier)


class Phone:
    """An authenticator app that was set up for an account. Its codes count as if none had been given before."""

    def __init__(self, app: Flask, account: Account) -> None:
        people: People = app.extensions["tandem_people"]
        people.two_factor.begin(account)
        key = people.two_factor.pending(account)
        assert key
        self.totp = pyotp.TOTP(key)
        self.recovery_codes = people.two_factor.confirm(account, self.totp.now())
        self._database, self._account = app.extensions["tandem_store"].database, account

    def code(self) -> str:
        """The code of now."""
        table = self._database.own.accounts
        with self._database.write() as connection:
            connection.execute(sa.update(table).where(table.c.id == self._account.id).values(totp_last_step=0))
        return self.totp.now()
