"""Who may sign in: accounts with a name, a role and a password, and the one-time token that makes the first."""

import hashlib
import hmac
import secrets
import unicodedata
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from dashboard.passwords import Passwords, weakness
from store import codec
from store.audit import Audit, Change
from store.audit.differences import pair
from store.database import Database
from store.documents.base import now
from store.errors import DuplicateError, InvalidRecordError, InvalidValueError, NotFoundError, StillInUseError

ROLES: Final = ("viewer", "editor", "admin")  # each may do what those before it may
LONGEST_NAME = 80
SETUP_TOKEN = "setup_token"  # noqa: S105  # where it is kept, not what it is
KIND: Final = "tandem account"  # what an account is called in the audit


def reaches(role: str, needed: str) -> bool:
    """Whether who has ``role`` may do what asks for ``needed``."""
    return ROLES.index(role) >= ROLES.index(needed)


@dataclass(frozen=True)
class Account:
    """A person who may sign in to Tandem; not one of Quilltap's users."""

    id: str
    name: str
    role: str
    disabled: bool
    created_at: str
    two_factor_since: str | None = None  # since when signing in asks for a code as well
    last_sign_in_at: str | None = field(default=None, compare=False)
    changed_at: str = field(default="", compare=False)  # its password, role, state or second factor

    @classmethod
    def of(cls, row: Any) -> "Account":
        """The account in a row that has the accounts table's columns."""
        told = (row.id, row.name, row.role, row.disabled, row.created_at)
        return cls(*told, row.totp_since, row.last_sign_in_at, row.updated_at)

    def may(self, needed: str) -> bool:
        """Whether this person may do what asks for the role ``needed``."""
        return not self.disabled and reaches(self.role, needed)


def fingerprint(token: str) -> str:
    """What is kept instead of a random token. A quick hash is enough: nobody guesses 192 random bits."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


class Accounts:
    """The accounts in a database. Every refusal is a StoreError, and then nothing was written."""

    def __init__(self, database: Database, passwords: Passwords | None = None) -> None:
        self._database = database
        self._table, self._sessions = database.own.accounts, database.own.sessions
        self._state, self._audit = database.own.state, Audit(database)
        self._passwords = passwords or Passwords()

    def any(self) -> bool:
        """Whether there is an account at all; where there is none, the set-up is open."""
        with self._database.read() as connection:
            return self._any(connection)

    def list(self) -> list[Account]:
        """Every account, by name."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(self._table).order_by(self._table.c.name_lower))
            return [Account.of(row) for row in rows]

    def find(self, name: str) -> Account:
        """The account of this name, without regard to case. Raises NotFoundError."""
        with self._database.read() as connection:
            return Account.of(self._row(connection, name))

    def get(self, account_id: str) -> Account:
        """The account of this id. Raises NotFoundError."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(self._table).where(self._table.c.id == account_id)).one_or_none()
        if row is None:
            raise NotFoundError("There is no such account.", hint="Look at the list of people.")
        return Account.of(row)

    def create(self, name: str, role: str, password: str) -> Account:
        """A new account. Raises InvalidRecordError (its ``problems`` by field) and DuplicateError."""
        row = self._new_row(name, role, password)
        with self._database.write() as connection:
            return self._insert(connection, row)

    def offer_setup(self) -> str | None:
        """A new set-up token, which takes the place of the last one; None when there is an account already."""
        if self.any():
            return None
        token = secrets.token_urlsafe(24)
        self._database.set_state(SETUP_TOKEN, fingerprint(token))
        return token

    def create_first(self, token: str, name: str, password: str) -> Account:
        """The first account, an admin, in exchange for the set-up token, which is then used up.

        Raises InvalidRecordError with the problem of ``token``, ``name`` or ``password``, and NotFoundError when there
        is an account already. Of two calls at the same time one makes its account.
        """
        kept = self._database.get_state(SETUP_TOKEN)
        # Compared before the password is hashed: hashing is work that a stranger shall not be able to ask for.
        if kept is None or not hmac.compare_digest(kept, fingerprint(token.strip())):
            raise InvalidRecordError("The first account", {"token": "it is not the token that was printed last"})
        row = self._new_row(name, "admin", password)
        with self._alone() as connection:
            if self._any(connection):
                raise NotFoundError("There is an account already, so the set-up is closed.", hint="Sign in instead.")
            return self._insert(connection, row)

    def set_password(self, name: str, password: str, *, keep: str = "") -> Account:
        """Give the account a new password and end its sessions, but the one with the fingerprint ``keep``.

        Raises NotFoundError and InvalidRecordError.
        """
        account = self.find(name)
        if problem := weakness(password, account.name):
            raise InvalidRecordError(f"The account “{account.name}”", {"password": problem})
        hashed = self._passwords.hash(password)
        with self._database.write() as connection:
            self._change(connection, account.id, password_hash=hashed)
            end_sessions(connection, self._sessions, account.id, keep)
            self._note(connection, "update", account, {"password": {"secret": True}})
        return account

    def disable(self, name: str) -> Account:
        """Let nobody sign in as this account any more, and end its sessions.

        Raises NotFoundError, and StillInUseError for the last admin who can sign in.
        """
        with self._alone() as connection:
            row = self._row(connection, name)
            self._keep_an_admin(connection, row)
            self._change(connection, row.id, disabled=True)
            end_sessions(connection, self._sessions, row.id)
            self._note_state(connection, row, disabled=True)
            return Account.of(self._row(connection, name))

    def enable(self, name: str) -> Account:
        """Let this account sign in again, with the password and the second factor it had. Raises NotFoundError."""
        with self._alone() as connection:
            row = self._row(connection, name)
            self._change(connection, row.id, disabled=False)
            self._note_state(connection, row, disabled=False)
            return Account.of(self._row(connection, name))

    def change_role(self, name: str, role: str) -> Account:
        """Give the account another role and end its sessions, so that no session of before has it.

        Nothing happens to who has the role already. Raises as ``disable``, and InvalidRecordError.
        """
        if role not in ROLES:
            raise InvalidRecordError(f"The account “{name}”", {"role": f"it is one of {', '.join(ROLES)}"})
        with self._alone() as connection:
            row = self._row(connection, name)
            if role != "admin":
                self._keep_an_admin(connection, row)
            if role != row.role:
                self._change(connection, row.id, role=role)
                end_sessions(connection, self._sessions, row.id)
                self._note(connection, "update", Account.of(row), {"role": pair(row.role, role)})
            return Account.of(self._row(connection, name))

    def authenticate(self, name: str, password: str) -> Account | None:
        """Whose name and password these are; None, after the same work, when nobody's or of a disabled account."""
        with self._database.read() as connection:
            row = self._row_or_none(connection, name)
        if not self._passwords.right(password, row.password_hash if row else None) or row is None or row.disabled:
            return None
        if self._passwords.outdated(row.password_hash):
            self._rehash(row, password)
        return Account.of(row)

    def _rehash(self, row: Any, password: str) -> None:
        hashed = self._passwords.hash(password)
        with self._database.write() as connection:
            # Only in place of the very hash that was verified: a password that was reset meanwhile stays.
            same = (self._table.c.id == row.id) & (self._table.c.password_hash == row.password_hash)
            connection.execute(sa.update(self._table).where(same).values(password_hash=hashed))

    def _new_row(self, name: str, role: str, password: str) -> dict[str, Any]:
        name = unicodedata.normalize("NFC", name.strip())
        problems = {
            "name": _name_problem(name),
            "role": None if role in ROLES else f"it is one of {', '.join(ROLES)}",
            "password": weakness(password, name),
        }
        if told := {field: problem for field, problem in problems.items() if problem}:
            raise InvalidRecordError("The account", told, hint="Correct it and try again; nothing was written.")
        moment = now()
        return {
            "id": str(uuid.uuid4()),
            "name": name,
            "name_lower": name_key(name),
            "role": role,
            "password_hash": self._passwords.hash(password),
            "disabled": False,
            "created_at": moment,
            "updated_at": moment,
        }

    def _insert(self, connection: sa.Connection, row: dict[str, Any]) -> Account:
        try:
            connection.execute(sa.insert(self._table).values(row))
        except sa.exc.IntegrityError as error:
            sentence = f"There is already an account called “{row['name']}”."
            raise DuplicateError(sentence, hint="Choose another name; nothing was written.") from error
        connection.execute(sa.delete(self._state).where(self._state.c.key == SETUP_TOKEN))
        made = Account.of(self._row(connection, row["name"]))
        self._note(connection, "create", made, {"role": {"after": made.role}})
        return made

    def _note(self, connection: sa.Connection, action: str, account: Account, changes: dict[str, Any]) -> None:
        self._audit.write(connection, [Change(action, KIND, account.id, account.name, changes=changes)])

    def _note_state(self, connection: sa.Connection, row: Any, *, disabled: bool) -> None:
        if row.disabled != disabled:
            self._note(connection, "update", Account.of(row), {"disabled": pair(row.disabled, disabled)})

    def _any(self, connection: sa.Connection) -> bool:
        return connection.scalar(sa.select(self._table.c.id).limit(1)) is not None

    def _row_or_none(self, connection: sa.Connection, name: str) -> Any:
        named = self._table.c.name_lower == name_key(name)
        return connection.execute(sa.select(self._table).where(named)).one_or_none()

    def _row(self, connection: sa.Connection, name: str) -> Any:
        row = self._row_or_none(connection, name)
        if row is None:
            hint = "See all of them: flask --app app accounts list"
            raise NotFoundError(f"There is no account called “{name}”.", hint=hint)
        return row

    def _change(self, connection: sa.Connection, account_id: str, **values: Any) -> None:
        values["updated_at"] = now()
        connection.execute(sa.update(self._table).where(self._table.c.id == account_id).values(values))

    def _keep_an_admin(self, connection: sa.Connection, row: Any) -> None:
        if row.role != "admin" or row.disabled:
            return
        others = (self._table.c.role == "admin") & ~self._table.c.disabled & (self._table.c.id != row.id)
        if connection.scalar(sa.select(self._table.c.id).where(others)) is None:
            hint = "Make another admin first, on the page “People” or with: accounts create NAME --role admin"
            raise StillInUseError(f"“{row.name}” is the last admin who can sign in.", hint=hint)

    @contextmanager
    def _alone(self) -> Iterator[sa.Connection]:
        with self._database.write() as connection:
            wait_for_turn(connection, self._table)
            yield connection


def wait_for_turn(connection: sa.Connection, table: sa.Table) -> None:
    """Let no other transaction write to the table until this one ends, so that what is read here stays true.

    On SQLite a write transaction is alone from its start.
    """
    if connection.dialect.name == "postgresql":
        name = connection.dialect.identifier_preparer.format_table(table)
        connection.exec_driver_sql(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")


def end_sessions(connection: sa.Connection, sessions: sa.Table, account_id: str, keep: str = "") -> int:
    """Sign the account out everywhere, but in the session with the fingerprint ``keep``; how many sessions ended."""
    others = (sessions.c.account_id == account_id) & (sessions.c.token_hash != keep)
    return int(connection.execute(sa.delete(sessions).where(others)).rowcount)


def name_key(name: str) -> str:
    """The name as accounts are looked up by: without regard to case, width and surrounding space."""
    folded = unicodedata.normalize("NFKC", name.strip()).casefold()
    # What PostgreSQL could not even be asked for; no account is called so.
    return "".join(c for c in folded if c != "\0" and not "\ud800" <= c <= "\udfff")


def _name_problem(name: str) -> str | None:
    if not name:
        return "it is empty"
    if len(name) > LONGEST_NAME:
        return f"it has {len(name)} characters, at most {LONGEST_NAME} are allowed"
    try:
        codec.check_text(name)
    except InvalidValueError as error:
        return error.message.removesuffix(".")
    if not name.isprintable():
        return "it holds characters that cannot be seen"
    return None
