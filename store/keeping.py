"""What the database says of records is set aside before the files are written over it, as files are the other way."""

from collections.abc import Iterable
from typing import Any

from store import Store, codec, rows
from store.files.shelves import Entity
from store.giving import records_in_sql
from store.mapping import Rows
from store.tables.base import JSON_NULL, Unusable

NAME = "database.jsonl"  # in a folder of the quarantine, which is named by the moment
LOCK_WAIT_S = 15.0
_AT_ONCE = 10_000  # records in one file, so that a merge of everything does not lie in memory


def keep(store: Store, entities: Iterable[Entity]) -> None:
    """Set aside every row of these records, a line for each record; of a chat's ``log``, of its messages. Those that
    the database does not have are passed over. Raises JsonSideError; then nothing was written."""
    for some in rows.chunks(entities, _AT_ONCE):
        with store.database.read() as sql:
            there = {one: found for one, found in records_in_sql(sql, some).items() if found}
        lines = [_line(kind, one, found) for (kind, one), found in sorted(there.items())]
        if lines:
            with store.side.lock.hold(LOCK_WAIT_S):
                store.side.quarantine({NAME: b"".join(lines)})


def _line(kind: str, record_id: str, found: Rows) -> bytes:
    # Names of columns are SQLAlchemy's own kind of text.
    told = {
        str(table): [{str(name): _told(value) for name, value in row.items()} for row in some]
        for table, some in found.items()
    }
    return codec.dumps({"kind": kind, "id": record_id, "rows": told}) + b"\n"


def _told(value: Any) -> Any:
    """A value as it is stored, where it has no plain form."""
    if isinstance(value, Unusable):
        return value.stored
    return "JSON null" if value is JSON_NULL else value
