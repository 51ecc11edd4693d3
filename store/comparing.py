"""One record on both sides: what is the same, what is not, and what cannot be said yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from store import codec
from store.database import Database
from store.deriving import current_state
from store.errors import StoreError, UnreadableError
from store.files.side import JsonSide
from store.outbox import Outbox

State = Literal["equal", "pending", "different", "only_sql", "only_json", "unreadable", "one_side"]
_WRAPPER = ("version", "createdAt", "updatedAt")  # of a user's file: they follow from the records in it


@dataclass(frozen=True)
class Difference:
    """A JSON key whose values are not the same; a value that is not there at all is ``...``."""

    field: str
    sql: Any
    json: Any


@dataclass(frozen=True)
class Comparison:
    """One record on both sides. ``differences`` are the JSON keys that are not the same."""

    state: State
    differences: tuple[str, ...] = ()
    error: StoreError | None = None


def compare_entities(sql: Mapping[str, Any], json: Mapping[str, Any]) -> list[Difference]:
    """What two records in Quilltap's shape do not have in common, in the order of their keys. To the last digit."""
    return [
        Difference(key, sql.get(key, ...), json.get(key, ...))
        for key in {**sql, **json}
        if not _same(sql.get(key, ...), json.get(key, ...))
    ]


def compare(database: Database, side: JsonSide, outbox: Outbox, kind: str, record_id: str) -> Comparison:
    """A record as SQL has it and as its file has it. A difference counts only when no change of the record waits."""
    if outbox.pending(kind, record_id):
        return Comparison("pending", error=outbox.problem((kind, record_id)))
    try:
        entry = side.entry(kind, record_id)
    except UnreadableError as error:
        return Comparison("unreadable", error=error)
    with database.read() as connection:
        changes, unfit = current_state(connection, outbox.loader, [(kind, record_id)])
    if unfit:
        return Comparison("unreadable", error=next(iter(unfit.values())))
    record = changes[kind][record_id]
    if entry is None and record is None:
        return Comparison("equal")  # gone on both
    if entry is None or record is None:
        return Comparison("only_json" if entry else "only_sql")
    there = {key: value for key, value in entry.record.items() if kind != "user" or key not in _WRAPPER}
    if kind == "chat" and "log" in (there.get("extras") or {}):  # the length of its file: SQL knows nothing of it
        extras = {key: value for key, value in there["extras"].items() if key != "log"}
        there = {key: value for key, value in there.items() if key != "extras"} | ({"extras": extras} if extras else {})
    fields = tuple(difference.field for difference in compare_entities(record, there))
    if fields and outbox.pending(kind, record_id):  # changed while we looked
        return Comparison("pending")
    return Comparison("different" if fields else "equal", fields)


def _same(one: Any, other: Any) -> bool:
    if one is ... or other is ...:
        return one is other
    return codec.dumps(one) == codec.dumps(other)
