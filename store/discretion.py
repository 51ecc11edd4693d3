"""What of a record is never told, and how the rest is told: in reports, in the audit, on every page."""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Table

from store.mapping import MAPPINGS
from store.secrets import API_KEY, BACKUP_CODES, TOTP_SECRET
from store.tables import JSON_NULL, Unusable

# Of each table what must not be told; secrets that are not encrypted too.
SECRET: Final[Mapping[str, frozenset[str]]] = {
    "users": frozenset(["passwordHash", *TOTP_SECRET, *BACKUP_CODES]),
    "accounts": frozenset(["refresh_token", "access_token", "id_token", "session_state"]),
    "sessions": frozenset(["sessionToken"]),
    "verification_tokens": frozenset(["token"]),
    "api_keys": frozenset(API_KEY),
}
_NO_KEYS: Final[frozenset[str]] = frozenset()


def is_secret(table: Table, column: str) -> bool:
    """Whether the column's values are never told."""
    return column in SECRET.get(table.name, _NO_KEYS)


def plain(value: Any) -> Any:
    """A value as a report can hold it."""
    if value is JSON_NULL:
        return "null (as JSON)"
    if isinstance(value, Unusable):
        return plain(value.stored)
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {plain(key): plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [plain(member) for member in value]
    if value is None or isinstance(value, bool | int | float | Decimal):
        return value
    return repr(value)


def shown_id(kind: str, record_id: Any) -> str:
    """How a report names a record: by its id, or by a hash of an id that is a secret."""
    if kind in MAPPINGS and MAPPINGS[kind].document.secret_id:
        digest = hashlib.sha256(str(record_id).encode("utf-8", "backslashreplace")).hexdigest()
        return f"token-{digest[:16]}"
    told: str = plain(record_id) if isinstance(record_id, str) else repr(record_id)
    return told
