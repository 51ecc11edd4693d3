"""The table of the audit: writing to it, and asking it. Nothing in it is ever changed or deleted."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Self

import sqlalchemy as sa
from sqlalchemy import Connection

from store import codec
from store.audit.entries import Actor, Change, actor
from store.database import Database, containing
from store.documents.base import now
from store.errors import NotFoundError, StoreError
from store.rows import chunks
from store.statements import Statement

log = logging.getLogger("tandem.audit")

# A change of so many records or more is one entry for people, with one for each record behind it.
GROUPED_FROM = 4
MOST_PARTS = 10_000
_AT_ONCE = 500  # rows of an export that are in memory


@dataclass(frozen=True)
class Entry:
    """One entry. ``changes``: see ``store.audit.differences``."""

    id: int
    at: str
    actor: str
    role: str
    address: str
    request_id: str
    action: str
    kind: str
    record_id: str
    title: str
    outcome: str
    message: str
    account_id: str | None
    changes: dict[str, Any]
    within: str | None
    part_of: int | None
    undoes: int | None

    @classmethod
    def of(cls, row: Any) -> Self:
        values = {name: row[name] for name in cls.__dataclass_fields__}
        return cls(**values | {"changes": codec.loads(row["changes"]) if row["changes"] else {}})


@dataclass(frozen=True)
class Question:
    """What entries are asked for. Empty: all of them; a moment is compared as it is spelled."""

    actor: str = ""
    action: str = ""
    kind: str = ""
    record_id: str = ""
    outcome: str = ""
    since: str = ""
    until: str = ""
    text: str = ""
    part_of: int | None = None

    @property
    def is_close(self) -> bool:
        """Whether single records of a change of many are looked for."""
        return bool(self.record_id or self.text or self.part_of is not None)


def start_of(day: date) -> str:
    """The moment a day begins, in UTC, as questions spell it."""
    return f"{day.isoformat()}T00:00:00.000Z"


class Audit:
    """The audit in a database.

    Changes of records are noted by the repositories and written in their own transaction. Everything else is told by
    ``note``; a transaction of one's own may take ``write`` instead, so that neither is there without the other.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._table = database.own.audit
        values = {one.name: sa.bindparam(one.name, type_=one.type) for one in self._table.c if one.name != "id"}
        self._add = Statement(lambda _: sa.insert(self._table).inline().values(values))
        # Keeps what the database does not take now, where the files are what counts.
        self.otherwise: Callable[[Sequence[dict[str, Any]]], None] | None = None

    # ------------------------------------------------------------------ writing
    def note(self, action: str, kind: str = "", record_id: str = "", *, by: Actor | None = None, **told: Any) -> None:
        """Write down something that was done, and is no change of a record: ``title``, ``message``, ``outcome``,
        ``changes`` as in ``Change``; never a secret. ``by``: who did it, where it is not who acts now.

        Never fails: what was done stays done, and the log says that it could not be written down.
        """
        rows = rows_of([Change(action, kind, record_id, **told)], by or actor(), now())
        try:
            try:
                with self._database.write() as connection:
                    self.insert(connection, rows)
            except StoreError:
                if self.otherwise is None:
                    raise
                self.otherwise(rows)
        except StoreError as error:
            log.error("Not in the audit: %s %s %s: %s", action, kind, record_id, error.message)

    def write(
        self, connection: Connection, changes: Sequence[Change], by: Actor | None = None, *, summary: str = ""
    ) -> None:
        """Write down changes that belong together within the caller's transaction. ``summary``: of many of them."""
        if changes:
            self.insert(connection, rows_of(changes, by or actor(), now()), summary)

    def write_many(self, connection: Connection, changes: Sequence[Change], summary: str) -> None:
        """The same of a change of the whole library: beyond ``MOST_PARTS`` records only how many they were."""
        if len(changes) > MOST_PARTS:
            changes = [Change(changes[0].action, title=f"{len(changes):,} records", message=summary)]
        self.write(connection, changes, summary=summary)

    def insert(self, connection: Connection, rows: Sequence[dict[str, Any]], summary: str = "") -> None:
        """Write rows that belong together; many become one for people, and one each behind it."""
        if len(rows) < GROUPED_FROM:
            for row in rows:
                self._add.change(connection, **row)
            return
        made = connection.execute(sa.insert(self._table), _head(rows, summary)).inserted_primary_key
        assert made
        parts = [{**row, "part_of": made[0], "spooled": None} for row in rows]
        connection.execute(sa.insert(self._table), parts)

    def spooled(self, connection: Connection, names: Sequence[str]) -> set[str]:
        """Which of these entries that came by a file are there already."""
        column, found = self._table.c.spooled, set[str]()
        for some in chunks(names):
            found.update(connection.scalars(sa.select(column).where(column.in_(some))))
        return found

    # ------------------------------------------------------------------ asking
    def find(self, entry_id: int) -> Entry | None:
        with self._database.read() as connection:
            asked = sa.select(self._table).where(self._table.c.id == entry_id)
            row = connection.execute(asked).mappings().one_or_none()
        return Entry.of(row) if row else None

    def get(self, entry_id: int) -> Entry:
        """The entry of this number. Raises NotFoundError."""
        if (entry := self.find(entry_id)) is None:
            raise NotFoundError("There is no such entry in the audit.", hint="Go back to the list.")
        return entry

    def newest(self, question: Question, *, before: int | None = None, limit: int = 50) -> Sequence[Entry]:
        """The newest entries that answer, at most so many; ``before``: only older ones than this number."""
        with self._database.read() as connection:
            asked = self._asked(connection, question)
            if before is not None:
                asked = asked.where(self._table.c.id < before)
            found = connection.execute(asked.order_by(self._table.c.id.desc()).limit(limit)).mappings().all()
        return [Entry.of(row) for row in found]

    def each(self, question: Question) -> Iterator[Entry]:
        """Every entry that answers, with all parts, the newest first; for exports, a piece at a time."""
        before: int | None = None
        while True:
            with self._database.read() as connection:
                asked = self._asked(connection, question, parts=True)
                if before is not None:
                    asked = asked.where(self._table.c.id < before)
                newest = asked.order_by(self._table.c.id.desc()).limit(_AT_ONCE)
                found = connection.execute(newest).mappings().all()
            yield from map(Entry.of, found)
            if len(found) < _AT_ONCE:
                return
            before = found[-1]["id"]

    def of_record(self, kind: str, record_id: str, limit: int = 50, *, before: int | None = None) -> Sequence[Entry]:
        """What was done with a record, the newest first; with a chat also what was done with its messages."""
        table = self._table.c
        mine = (table.record_id == record_id) & (table.kind == kind)
        if kind == "chat":
            mine |= table.within == record_id
        asked = sa.select(self._table).where(mine).order_by(table.id.desc()).limit(limit)
        if before is not None:
            asked = asked.where(table.id < before)
        with self._database.read() as connection:
            return [Entry.of(row) for row in connection.execute(asked).mappings()]

    def undone_by(self, entry_ids: Sequence[int]) -> dict[int, int]:
        """entry -> the newest entry that undid it, of those that were undone."""
        table = self._table.c
        asked = sa.select(table.undoes, sa.func.max(table.id)).where(table.undoes.in_(entry_ids)).group_by(table.undoes)
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(asked)}

    def values(self, column: str) -> Sequence[str]:
        """Every value that ``actor``, ``action`` or ``kind`` has, in order: by jumps through its index, not by reading
        all of it."""
        found: list[str] = []
        place = self._table.c[column]
        step = sa.select(sa.func.min(place))
        with self._database.read() as connection:
            value = connection.scalar(step)
            while value is not None and len(found) < 200:
                found.append(value)
                value = connection.scalar(step.where(place > value))
        return [value for value in found if value]

    def _asked(self, connection: Connection, question: Question, *, parts: bool = False) -> sa.Select[Any]:
        table = self._table.c
        asked = sa.select(self._table)
        for name in ("actor", "action", "kind", "record_id", "outcome"):
            if value := getattr(question, name):
                asked = asked.where(table[name] == value)
        if question.since:
            asked = asked.where(table.at >= question.since)
        if question.until:
            asked = asked.where(table.at < question.until)
        if question.text:
            there = (containing(connection, column, question.text) for column in (table.title, table.message))
            asked = asked.where(sa.or_(*there))
        if question.part_of is not None:
            asked = asked.where(table.part_of == question.part_of)
        elif not parts and not question.is_close:
            asked = asked.where(table.part_of.is_(None))
        return asked


_PLAIN: Final = ("action", "kind", "record_id", "title", "message", "outcome")


def rows_of(changes: Sequence[Change], by: Actor, moment: str) -> list[dict[str, Any]]:
    """The rows of changes that were made together."""
    who = {"at": moment, "actor": by.name, "account_id": by.account_id, "role": by.role}
    who |= {"address": by.address, "request_id": by.request_id}
    rows = []
    for one in changes:
        told = {name: _sound(getattr(one, name)) for name in _PLAIN}
        kept = codec.dumps(dict(one.changes)).decode() if one.changes else None
        rows.append({**who, **told, "changes": kept, "within": one.within, "undoes": one.undoes, "part_of": None})
    return rows


def _sound(text: str) -> str:
    """Text that every database takes."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode()


def _head(rows: Sequence[dict[str, Any]], summary: str) -> dict[str, Any]:
    """The one entry that stands for many."""
    first = rows[0]
    same = {name: first[name] for name in ("action", "kind") if all(row[name] == first[name] for row in rows)}
    named = {"action": "update", "kind": "", **same, "record_id": "", "title": f"{len(rows):,} records"}
    return {**first, **named, "message": summary or first["message"], "changes": None, "within": None}
