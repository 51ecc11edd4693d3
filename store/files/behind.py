"""What of the files SQL does not have yet: kept beside the index, in the same transactions.

``marks`` tell whether the index knows what SQL was given: SQL keeps the mark of the last batch it took, the index that
one and the one it is about to give. A database that bears neither has to be gone through wholly: the index, or the
database, is not the one it was.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text

from store.files.shelves import Entity

BATCH = 500  # records given to SQL at once, and then the rest of the change the last of them belongs to

metadata = MetaData()
_behind = Table(
    "index_behind",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("change", Integer, nullable=False),  # what belongs together has the same number
    Column("kind", Text, nullable=False),
    Column("entity_id", Text, nullable=False),
    sqlite_autoincrement=True,  # a number that came back would let an old acknowledgement delete a new entry
)
_marks = Table("index_marks", metadata, Column("known", Text), Column("intended", Text))


@dataclass(frozen=True)
class Batch:
    """Some of what is behind: entry -> record. ``mark``: what SQL has to bear once it has them."""

    entries: dict[int, Entity]
    mark: str


def add(connection: Connection, entities: Iterable[Entity]) -> None:
    """Note records that SQL does not have yet as they are now."""
    noted = [{"kind": kind, "entity_id": record_id} for kind, record_id in dict.fromkeys(entities)]
    if noted:
        change = (connection.scalar(sa.select(sa.func.max(_behind.c.change))) or 0) + 1
        connection.execute(sa.insert(_behind), [{"change": change, **one} for one in noted])


def count(connection: Connection) -> int:
    """How many records are behind."""
    distinct = sa.select(_behind.c.kind, _behind.c.entity_id).distinct().subquery()
    return int(connection.scalar(sa.select(sa.func.count()).select_from(distinct)) or 0)


def entities(connection: Connection) -> set[Entity]:
    """The records that are behind."""
    return {(row.kind, row.entity_id) for row in connection.execute(sa.select(_behind))}


def knows(connection: Connection, mark: str | None) -> bool:
    """Whether a database that bears this mark has all that is not noted here."""
    row = connection.execute(sa.select(_marks)).first()
    return row is not None and mark is not None and mark in (row.known, row.intended)


def next_batch(connection: Connection, mark: str | None, passed: int = 0) -> Batch | None:
    """The first changes behind the entry ``passed``, each whole; None when there are none. ``mark`` is what SQL bears
    now. A new one is drawn for each attempt: one that a killed attempt left would say too much."""
    wanted = sa.select(_behind.c.change).where(_behind.c.seq > passed).order_by(_behind.c.seq)
    changes = list(connection.scalars(wanted.limit(BATCH)))
    if not changes and knows(connection, mark):
        return None
    found = sa.select(_behind).where(_behind.c.seq > passed, _behind.c.change <= max(changes, default=0))
    entries = {row.seq: (row.kind, row.entity_id) for row in connection.execute(found.order_by(_behind.c.seq))}
    new = secrets.token_hex(8)
    connection.execute(sa.delete(_marks))
    connection.execute(sa.insert(_marks).values(known=mark, intended=new))
    return Batch(entries, new)


def done(connection: Connection, entries: Iterable[int]) -> None:
    """Delete exactly these entries: others of the same records may have come since."""
    given = [{"one": seq} for seq in entries]
    if given:
        connection.execute(sa.delete(_behind).where(_behind.c.seq == sa.bindparam("one")), given)
