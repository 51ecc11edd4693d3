"""Single values of rows: when two are the same, and by what a report names a row."""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Table

from store import codec
from store.discretion import is_secret, plain, shown_id
from store.mapping import Row
from store.rows import same
from store.tables import MODELS

MODEL_OF: Final = {table.name: model for model, table in MODELS.items()}


def same_json(one: Any, other: Any) -> bool:
    """Whether two values of a record are the same, to the last digit."""
    return one is other or codec.dumps(one) == codec.dumps(other)


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


__all__ = ["MODEL_OF", "is_secret", "plain", "real_ids", "row_id", "same", "same_json", "shown_id"]
