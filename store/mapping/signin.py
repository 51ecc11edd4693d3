"""Accounts, sessions and verification tokens: one row, one record."""

from store.documents.signin import Account, Session, VerificationToken
from store.mapping.base import Mapping, Record, Rows
from store.tables.signin import accounts, sessions, verification_tokens

_ACCOUNT = ("id", "userId", "type", "provider", "providerAccountId", "refresh_token", "access_token", "expires_at")
_ACCOUNT_TOO = ("token_type", "scope", "id_token", "session_state")
_SESSION = ("id", "sessionToken", "userId", "expires")
_TOKEN = ("identifier", "token", "expires")


def _account_record(rows: Rows) -> Record:
    row = rows["accounts"][0]
    return {key: row[key] for key in (*_ACCOUNT, *_ACCOUNT_TOO)}


def _account_rows(record: Record) -> Rows:
    return {"accounts": [{key: record.get(key) for key in (*_ACCOUNT, *_ACCOUNT_TOO)}]}


def _session_record(rows: Rows) -> Record:
    row = rows["sessions"][0]
    return {key: row[key] for key in _SESSION}


def _session_rows(record: Record) -> Rows:
    return {"sessions": [{key: record[key] for key in _SESSION}]}


def _token_record(rows: Rows) -> Record:
    row = rows["verification_tokens"][0]
    return {key: row[key] for key in _TOKEN}


def _token_rows(record: Record) -> Rows:
    return {"verification_tokens": [{key: record[key] for key in _TOKEN}]}


ACCOUNTS = Mapping(
    kind="account",
    model="Account",
    main=accounts,
    document=Account,
    to_record=_account_record,
    to_rows=_account_rows,
)
SESSIONS = Mapping(
    kind="session",
    model="Session",
    main=sessions,
    document=Session,
    to_record=_session_record,
    to_rows=_session_rows,
)
TOKENS = Mapping(
    kind="token",
    model="VerificationToken",
    main=verification_tokens,
    document=VerificationToken,
    to_record=_token_record,
    to_rows=_token_rows,
    key="token",
)
