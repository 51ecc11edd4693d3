"""The generic repository: every noun on every backend is this, plus what is special to the noun."""

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Mapping_
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection

from store import codec, rows
from store.audit.differences import current, note_created, note_updated
from store.audit.going import note_deleted
from store.backends import Backend
from store.documents import Document, now
from store.documents.base import NAMES
from store.errors import (
    ConflictError,
    InvalidRecordError,
    MissingReferenceError,
    NotFoundError,
    StillInUseError,
    StoreError,
)
from store.files.shelves import Entity
from store.mapping import MAPPINGS, Row, Rows
from store.repositories import listing
from store.repositories.contract import Found, Page, Query, Result

D = TypeVar("D", bound=Document)


class Repository(Generic[D]):
    """The records of one noun. Subclasses name the ``kind`` and what lists show; the contract says what each method
    promises."""

    kind: str
    # What a list shows, can be sorted by, and is searched in.
    short: Sequence[str] = ("id", "userId", "name", "createdAt", "updatedAt")
    sortable: Sequence[str] = ("name", "createdAt", "updatedAt")
    searched: Sequence[str] = ("name",)
    # What a list shows besides columns: a scalar per row of the main table.
    derived: Mapping_[str, sa.ColumnElement[Any]] = MappingProxyType({})

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._mapping = MAPPINGS[self.kind]
        self._main = self._mapping.main
        self._key = self._main.c[self._mapping.key]
        self.noun = self._mapping.document.noun

    # ------------------------------------------------------------------ reading
    def find_by_id(self, record_id: str) -> D | None:
        """The record, or None. Raises InvalidRecordError or UnreadableError when it is there and cannot be read."""
        if not rows.is_sound(record_id):  # no side can hold such a one
            return None
        with self._backend.reading([(self.kind, record_id)]) as connection:
            loaded = self._backend.loader.load(connection, self._mapping, [record_id])
        if record_id in loaded:
            return self._document(loaded[record_id])
        if doubt := self._backend.doubt(self.kind, record_id):
            raise doubt
        return None

    def find_all(self) -> Found[D]:
        """Every record, by (createdAt, id)."""
        return self._find(sa.true())

    def find_by_user_id(self, user_id: str) -> Found[D]:
        """The records of one user, by (createdAt, id)."""
        return self._find(self._main.c.userId == user_id)

    def _find(self, condition: sa.ColumnElement[bool]) -> Found[D]:
        with self._backend.reading() as connection:
            ids = list(connection.scalars(sa.select(self._key).where(condition)))
            loaded = self._backend.loader.load(connection, self._mapping, [one for one in ids if rows.is_sound(one)])
        found: Found[D] = Found(problems=self._backend.problems(self.kind))
        found.problems += [rows.unsound(self.kind, one) for one in ids if not rows.is_sound(one)]
        for one in sorted(loaded.values(), key=self._creation):
            try:
                found.append(self._document(one))
            except InvalidRecordError as error:
                found.problems.append(error)
        return found

    def list(self, query: Query) -> Page:
        """One page of short rows."""
        with self._backend.reading() as connection:
            return listing.page(connection, self, query)

    def count(self, query: Query, at_most: int = 1000) -> int:
        """How many answer the query; ``at_most`` + 1 stands for "more"."""
        with self._backend.reading() as connection:
            return listing.count(connection, self, query, at_most)

    def matching_ids(self, query: Query, at_most: int) -> Sequence[str]:
        """The ids of all that answer the query, at most so many."""
        with self._backend.reading() as connection:
            return listing.ids(connection, self, query, at_most)

    def values(self, record_id: str) -> dict[str, Any] | None:
        """Every field of a record by the name that ``update`` knows it by, as the database has them; None without it.
        A record that would not pass its document's check has them too."""
        if not rows.is_sound(record_id):
            return None
        with self._backend.reading([(self.kind, record_id)]) as connection:
            loaded = rows.load(connection, self._mapping, [record_id])
        return current(self._mapping, loaded[record_id]) if record_id in loaded else None

    def version(self, document: D) -> str:
        """A short text that changes whenever the record does."""
        return hashlib.blake2b(codec.dumps(document.model_dump()), digest_size=12).hexdigest()

    # ------------------------------------------------------------------ writing
    def create(self, fields: dict[str, Any]) -> Result[D]:
        """A new record; a given id and dates are kept."""
        fields = dict(fields)
        record_id = fields.pop("id", None) or fields.get(self._mapping.key) or str(uuid.uuid4())
        moment = now()
        new = self._mapping.with_fields(self._mapping.blank(record_id, moment), self._completed(fields), moment)
        if not self._mapping.parents:
            self._document(new)

        def work(connection: Connection) -> D:
            self._before_write(connection, new)
            rows.insert(connection, self._mapping, new)
            note_created(self._mapping, new)
            if self._mapping.parents:
                return self._reload(connection, record_id)
            return self._document(new)

        return self._change(work, [record_id])

    def update(self, record_id: str, fields: dict[str, Any], *, expected: str | None = None) -> Result[D]:
        """Change some fields. Raises NotFoundError, ConflictError, InvalidRecordError; then nothing was written."""

        def work(connection: Connection) -> D:
            old = self._locked(connection, record_id)
            if expected is not None and self.version(current := self._document(old)) != expected:
                raise ConflictError(f"Somebody else changed this {self.noun} in the meantime.", current=current)
            if fields.get(self._mapping.key, record_id) != record_id:
                label = self._mapping.document.called(old[self._main.name][0])
                raise InvalidRecordError(label, {self._mapping.key: "an id cannot be changed"})
            return self._written(connection, record_id, old, fields)[0]

        return self._change(work, [record_id])

    def _written(self, connection: Connection, record_id: str, old: Rows, fields: dict[str, Any]) -> tuple[D, bool]:
        """The record with these fields changed, and whether anything had to be written for that."""
        moment = now()
        new = self._mapping.with_fields(old, self._completed(fields), moment)
        if not rows.differ(self._mapping, old, new):
            return self._document(old), False
        if "updatedAt" not in fields and "updatedAt" in self._main.c:
            new[self._main.name][0]["updatedAt"] = moment
        document = self._document(new)
        self._before_write(connection, new)
        rows.save(connection, self._mapping, old, new)
        note_updated(self._mapping, old, new)
        return self._reload(connection, record_id) if self._mapping.parents else document, True

    def delete(self, record_id: str) -> Result[bool]:
        """Delete it and what SQL's rules say goes with it."""
        result = self.delete_many([record_id])
        return Result(result.value == 1, result.sources)

    def delete_many(self, record_ids: Iterable[str]) -> Result[int]:
        """Delete several as one unit."""
        ids = list(dict.fromkeys(record_ids))

        def work(connection: Connection) -> int:
            note_deleted(connection, self._mapping, ids)
            self._before_delete(connection, ids)
            gone = sum(
                connection.execute(sa.delete(self._main).where(self._key.in_(some))).rowcount
                for some in rows.chunks(ids)
            )
            if gone < len(ids):  # what was not found may be there and unreadable
                self._refuse_unreadable(ids)
            return gone

        try:
            return self._change(work, ids)
        except MissingReferenceError as error:  # SQLite does not say in which direction a link broke
            raise StillInUseError(f"Other records still need this {self.noun}.") from error

    # ------------------------------------------------------------------ for subclasses
    def _completed(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields with those that follow from others."""
        return fields

    def _before_write(self, connection: Connection, new: Rows) -> None:
        """What has to be so, or be made so, in the same unit before a record is written."""

    def _before_delete(self, connection: Connection, ids: Sequence[str]) -> None:
        """What has to be so, or be made so, in the same unit before records go. Raises StillInUseError."""

    def _document(self, loaded: Rows) -> D:
        self._backend.loader.add_bytes(self._mapping, loaded)
        return self._mapping.check(loaded)[0]  # type: ignore[return-value]

    def _reload(self, connection: Connection, record_id: str) -> D:
        """The record as the database has it after a write to its links."""
        return self._document(self._backend.loader.load(connection, self._mapping, [record_id])[record_id])

    def _relinked(self, connection: Connection, old: Rows) -> D:
        """The record after a write to its links, and a note of what became of them."""
        record_id = old[self._main.name][0][self._mapping.key]
        new = self._backend.loader.load(connection, self._mapping, [record_id])[record_id]
        note_updated(self._mapping, old, new)
        return self._document(new)

    def _locked(self, connection: Connection, record_id: str) -> Rows:
        loaded = self._backend.loader.load(connection, self._mapping, [record_id], for_update=True)
        if record_id not in loaded:
            raise self._backend.doubt(self.kind, record_id) or NotFoundError(
                f"There is no {self.noun} {record_id} (any more)."
            )
        return loaded[record_id]

    @property
    def _called(self) -> sa.Column[Any]:
        """The column by which people know a record."""
        return self._main.c[next((name for name in NAMES if name in self._main.c), self._mapping.key)]

    def _names(self, connection: Connection, condition: sa.ColumnElement[bool]) -> dict[str, str]:
        """id -> name, of the records of which it is true."""
        named = sa.select(self._key, self._called).where(condition)
        return {row[0]: row[1] for row in connection.execute(named)}

    def _change(self, work: Any, ids: Iterable[str]) -> Result[Any]:
        entities: list[Entity] = [(self.kind, record_id) for record_id in ids]
        return self._backend.changing(work, lambda _: entities)

    def _refuse_unreadable(self, ids: Iterable[str]) -> None:
        for record_id in ids:
            problem: StoreError | None = self._backend.doubt(self.kind, record_id)
            if problem:
                raise problem

    def _creation(self, loaded: Rows) -> tuple[str, str]:
        row: Row = loaded[self._main.name][0]
        return str(row.get("createdAt", "")), row[self._mapping.key]
