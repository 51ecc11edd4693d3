"""What every noun with tags can do."""

import uuid
from collections.abc import Iterable
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection

from store import rows
from store.audit.differences import note_tied
from store.documents import Document, now
from store.errors import MissingReferenceError, NotFoundError
from store.repositories.base import Repository
from store.repositories.contract import Found, Result
from store.repositories.listing import tag_link
from store.tables.tags import tags

D = TypeVar("D", bound=Document)


class TaggedRepository(Repository[D]):
    """A repository whose records carry tags."""

    def find_by_tag(self, tag_id: str) -> Found[D]:
        """The records that carry the tag, by (createdAt, id)."""
        table, column = self._link()
        return self._find(self._main.c.id.in_(sa.select(table.c[column]).where(table.c.tagId == tag_id)))

    def add_tag(self, record_id: str, tag_id: str) -> Result[D]:
        """Tie a tag to the record; nothing changes when it has it."""

        def work(connection: Connection) -> D:
            self._locked(connection, record_id)
            self._tie(connection, [record_id], tag_id)
            return self._reload(connection, record_id)

        return self._change(work, [record_id])

    def remove_tag(self, record_id: str, tag_id: str) -> Result[D]:
        """Untie a tag; nothing changes when the record does not carry it."""

        def work(connection: Connection) -> D:
            self._locked(connection, record_id)
            self._untie(connection, [record_id], tag_id)
            return self._reload(connection, record_id)

        return self._change(work, [record_id])

    def add_tag_to_many(self, record_ids: Iterable[str], tag_id: str) -> Result[int]:
        """Tie a tag to several records as one unit; how many did not have it. Raises NotFoundError when one is gone."""
        ids = list(dict.fromkeys(record_ids))
        return self._change(lambda connection: self._tie(connection, ids, tag_id), ids)

    def remove_tag_from_many(self, record_ids: Iterable[str], tag_id: str) -> Result[int]:
        """Untie a tag from several records as one unit; how many had it."""
        ids = list(dict.fromkeys(record_ids))
        return self._change(lambda connection: self._untie(connection, ids, tag_id), ids)

    def _link(self) -> tuple[sa.Table, str]:
        link = tag_link(self._mapping)
        assert link is not None, f"{self.kind} has no tags"
        return link

    def _tie(self, connection: Connection, ids: list[str], tag_id: str) -> int:
        table, column = self._link()
        if connection.scalar(sa.select(tags.c.id).where(tags.c.id == tag_id)) is None:
            raise MissingReferenceError("There is no such tag (any more).")
        tied = 0
        for some in rows.chunks(ids):
            there = self._names(connection, self._main.c.id.in_(some))
            if gone := [record_id for record_id in some if record_id not in there]:
                raise self._backend.doubt(self.kind, gone[0]) or NotFoundError(
                    f"There is no {self.noun} {gone[0]} (any more)."
                )
            has = sa.select(table.c[column]).where(table.c[column].in_(some), table.c.tagId == tag_id)
            having = set(connection.scalars(has))
            moment = now()
            links = [
                {"id": str(uuid.uuid4()), column: record_id, "tagId": tag_id, "createdAt": moment}
                for record_id in some
                if record_id not in having
            ]
            if links:
                connection.execute(sa.insert(table), links)
            note_tied(self.kind, {link[column]: there[link[column]] for link in links}, tag_id, "added")
            tied += len(links)
        return tied

    def _untie(self, connection: Connection, ids: list[str], tag_id: str) -> int:
        table, column = self._link()
        untied = 0
        for some in rows.chunks(ids):
            these = sa.and_(table.c[column].in_(some), table.c.tagId == tag_id)
            tied = sa.select(self._main.c.id, self._called).join(table, table.c[column] == self._main.c.id).where(these)
            having = {row[0]: row[1] for row in connection.execute(tied.with_for_update(of=table))}
            untied += connection.execute(sa.delete(table).where(these)).rowcount
            note_tied(self.kind, having, tag_id, "removed")
        return untied
