"""Single values of rows: when two are the same, how one is told, and which are never told."""

import hashlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Table

from store import codec
from store.mapping import MAPPINGS, Row
from store.secrets import API_KEY, BACKUP_CODES, TOTP_SECRET
from store.tables import JSON_NULL, MODELS, Unusable
from store.tables.base import FreeForm

MODEL_OF: Final = {table.name: model for model, table in MODELS.items()}
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


def same(table: Table, column: str, one: Any, other: Any) -> bool:
    """Whether two values of a column are the same, to the last digit."""
    if one is other:
        return True
    if isinstance(table.c[column].type, FreeForm) and _is_json(one) and _is_json(other):
        return codec.dumps(one) == codec.dumps(other)  # for Python 1 is True, and 1.0 is 1.00
    return type(one) is type(other) and bool(one == other)


def same_json(one: Any, other: Any) -> bool:
    """Whether two values of a record are the same, to the last digit."""
    return one is other or codec.dumps(one) == codec.dumps(other)


def _is_json(value: Any) -> bool:
    return value is not None and value is not JSON_NULL and not isinstance(value, Unusable)


def plain(value: Any) -> Any:
    """A value as a report can hold it."""
    if value is JSON_NULL:
        return "null (as JSON)"
    if isinstance(value, Unusable):
        return plain(value.stored)
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
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


def real_ids(kind: str, shown: Iterable[str], known: Iterable[str]) -> list[str]:
    """The ids that a report shows so, among those that are ``known``."""
    wanted = set(shown)
    return [one for one in known if shown_id(kind, one) in wanted]


def row_id(table: Table, row: Row) -> str:
    """How a report names a row: by its primary key."""
    if table.name == "verification_tokens":
        return shown_id("token", row["token"])
    if "id" in table.c:
        return shown_id("", row["id"])
    return ":".join(shown_id("", row[column.name]) for column in table.primary_key)
