"""The second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for the day it is lost.

An app's key lies in the database encrypted under SECRET_KEY, bound to its account. With another SECRET_KEY it cannot
be read any more: its owner signs in with a recovery code, which hangs on no key, or an admin resets the factor.
"""

import base64
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import pyotp
import segno
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dashboard.accounts import Account, end_sessions, fingerprint
from dashboard.sessions import clock_time
from store.database import Database
from store.documents.base import spell_moment
from store.errors import InvalidRecordError, SecretError

ISSUER: Final = "Tandem"
AROUND: Final = (0, -1, 1)  # time steps of 30 seconds: clocks are not exact, and people type slowly
RECOVERY_CODES: Final = 10
_CODE_BYTES = 10  # 80 random bits: a quick hash is enough, as for tokens
_NONCE = 12


class TwoFactor:
    """The second factors of the accounts in a database."""

    def __init__(self, database: Database, secret_key: str, clock: Callable[[], datetime] = clock_time) -> None:
        self._database, self._clock = database, clock
        self._table, self._codes = database.own.accounts, database.own.recovery_codes
        self._sessions = database.own.sessions
        derived = HKDF(SHA256(), 32, salt=None, info=b"tandem: keys of authenticator apps")
        self._cipher = AESGCM(derived.derive(secret_key.encode()))

    # ---------------------------------------------------------------- setting up

    def begin(self, account: Account) -> None:
        """Make a key that waits for its first code. A factor that is on stays in use until then."""
        self._set(account, totp_pending=self._encrypt(account, pyotp.random_base32()))

    def pending(self, account: Account) -> str | None:
        """The key that waits for its first code, in base 32; None where none does, or it cannot be read any more."""
        try:
            kept = self._row(account).totp_pending
            return self._decrypt(account, kept) if kept else None
        except SecretError:
            return None

    def confirm(self, account: Account, code: str, *, keep: str = "") -> list[str]:
        """Put the waiting key in use, since the app gives its codes; the recovery codes, which nobody sees again.

        The account's sessions end, but the one with the fingerprint ``keep``. Raises InvalidRecordError with the
        problem of ``code``; then nothing is changed.
        """
        kept, key = self._row(account).totp_pending, self.pending(account)
        step = self._step(key, code) if key else None
        if step is None:
            problem = "it is not the code that the app shows now" if key else "the key is gone, so begin anew"
            raise InvalidRecordError("The second factor", {"code": problem})
        made = [_new_code() for _ in range(RECOVERY_CODES)]
        on = {"totp_secret": kept, "totp_pending": None, "totp_last_step": step, "totp_since": self._moment()}
        with self._database.write() as connection:
            still = self._of(account).where(self._table.c.totp_pending == kept)
            if connection.execute(still.values(**on, updated_at=self._moment())).rowcount != 1:
                raise InvalidRecordError("The second factor", {"code": "another key was made meanwhile, so begin anew"})
            self._keep_codes(connection, account, made)
            end_sessions(connection, self._sessions, account.id, keep)
        return made

    def switch_off(self, account: Account, *, keep: str = "") -> None:
        """The password alone is enough again; the app's key and the recovery codes are gone.

        The account's sessions end, but the one with the fingerprint ``keep``.
        """
        off = dict.fromkeys(("totp_secret", "totp_pending", "totp_since", "totp_last_step"))
        with self._database.write() as connection:
            connection.execute(self._of(account).values(**off, updated_at=self._moment()))
            self._keep_codes(connection, account, [])
            end_sessions(connection, self._sessions, account.id, keep)

    def renew_codes(self, account: Account) -> list[str]:
        """New recovery codes in place of the old ones, which count no more."""
        made = [_new_code() for _ in range(RECOVERY_CODES)]
        with self._database.write() as connection:
            self._keep_codes(connection, account, made)
        return made

    def codes_left(self, account: Account) -> int:
        """How many recovery codes were not used yet."""
        with self._database.read() as connection:
            own = sa.select(sa.func.count()).where(self._codes.c.account_id == account.id)
            return int(connection.scalar(own) or 0)

    # ---------------------------------------------------------------- checking

    def is_right(self, account: Account, code: str) -> bool:
        """Whether the app shows this code now. Each counts once, in whichever process it is given.

        Raises SecretError when the key was encrypted under another SECRET_KEY.
        """
        kept = self._row(account).totp_secret
        step = self._step(self._decrypt(account, kept), code) if kept else None
        if step is None:
            return False
        last = self._table.c.totp_last_step
        with self._database.write() as connection:
            taken = self._of(account).where((last < step) | last.is_(None), self._table.c.totp_secret == kept)
            return bool(connection.execute(taken.values(totp_last_step=step)).rowcount == 1)

    def use_recovery_code(self, account: Account, code: str) -> bool:
        """Whether this is one of the account's recovery codes; it is used up then."""
        own = (self._codes.c.code_hash == _mark(account, code)) & (self._codes.c.account_id == account.id)
        with self._database.write() as connection:
            return bool(connection.execute(sa.delete(self._codes).where(own)).rowcount == 1)

    def _step(self, key: str, code: str) -> int | None:
        """The time step whose code this is, of those around now."""
        totp, typed = pyotp.TOTP(key), re.sub(r"[\s-]", "", code).encode("utf-8", "replace")
        now = totp.timecode(self._clock())
        right = [now + by for by in AROUND if hmac.compare_digest(totp.generate_otp(now + by).encode(), typed)]
        return right[0] if right else None

    # ---------------------------------------------------------------- keeping

    def _encrypt(self, account: Account, text: str) -> str:
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + self._cipher.encrypt(nonce, text.encode(), account.id.encode())
        return base64.urlsafe_b64encode(sealed).decode()

    def _decrypt(self, account: Account, kept: str) -> str:
        try:
            sealed = base64.urlsafe_b64decode(kept)
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], account.id.encode()).decode()
        except (InvalidTag, ValueError) as error:
            sentence = "The code cannot be checked: its key was kept under another SECRET_KEY than today's."
            hint = "Use a recovery code, or let an admin reset the second factor."
            raise SecretError(sentence, hint=hint) from error

    def _keep_codes(self, connection: sa.Connection, account: Account, made: Sequence[str]) -> None:
        connection.execute(sa.delete(self._codes).where(self._codes.c.account_id == account.id))
        if made:
            rows = [{"code_hash": _mark(account, code), "account_id": account.id} for code in made]
            connection.execute(sa.insert(self._codes), rows)

    def _row(self, account: Account) -> Any:
        with self._database.read() as connection:
            return connection.execute(sa.select(self._table).where(self._table.c.id == account.id)).one()

    def _of(self, account: Account) -> sa.Update:
        return sa.update(self._table).where(self._table.c.id == account.id)

    def _set(self, account: Account, **values: Any) -> None:
        with self._database.write() as connection:
            connection.execute(self._of(account).values(values))

    def _moment(self) -> str:
        return spell_moment(self._clock())


def provisioning_address(account: Account, key: str) -> str:
    """What the QR code says to the app."""
    return pyotp.TOTP(key).provisioning_uri(name=account.name, issuer_name=ISSUER)


def qr_code(address: str) -> str:
    """The address as a QR code: an SVG element without a style of its own, so that it may stand in a page."""
    drawing: str = segno.make(address, error="m").svg_inline(
        border=4, svgclass="qr-code", lineclass="qr-modules", omitsize=True
    )
    return drawing


def _new_code() -> str:
    letters = base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode().lower()
    return "-".join(re.findall("....", letters))


def _mark(account: Account, code: str) -> str:
    """What is kept of a recovery code: spaces, dashes and capitals do not count."""
    return fingerprint(f"{account.id}:{re.sub(r'[^a-z0-9]', '', code.lower())}")
