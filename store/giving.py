"""Making SQL hold records as they are given: inserted, brought up to date or deleted, whatever order they come in."""

import itertools
import logging
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from store import capture, rows
from store.errors import ConflictError, DatabaseError, StoreError
from store.files.shelves import Entity
from store.mapping import MAPPINGS, Mapping, Rows, spoken
from store.mapping.messages import MESSAGES
from store.tables.messages import messages

log = logging.getLogger("tandem.giving")

# In the order in which links point: a message belongs to a chat, and an attachment to a message.
KINDS: Final = [kind for kind, mapping in MAPPINGS.items() if not mapping.derived]
KINDS.insert(KINDS.index("attachment"), capture.MESSAGE)
GIVEN: Final[dict[str, Mapping]] = {**MAPPINGS, capture.MESSAGE: MESSAGES}
Records = dict[Entity, Rows | None]  # None: there is none


def records_in_sql(connection: Connection, entities: Iterable[Entity]) -> Records:
    """The records as a database has them; ``log`` is every message of a chat."""
    found: Records = {}
    by_kind: dict[str, set[str]] = {}
    for kind, record_id in entities:
        if kind == capture.LOG:
            found[kind, record_id] = None
            of_chat = sa.select(messages.c.id).where(messages.c.chatId == record_id)
            by_kind.setdefault(capture.MESSAGE, set()).update(connection.scalars(of_chat))
        elif kind in GIVEN and not GIVEN[kind].derived and record_id != capture.EVERYTHING:
            by_kind.setdefault(kind, set()).add(record_id)
    for kind, ids in by_kind.items():
        sound = sorted(one for one in ids if rows.is_sound(one))
        loaded = rows.load(connection, GIVEN[kind], sound)
        found.update({(kind, one): loaded.get(one) for one in sound})
    return found


class _Hit(Exception):
    """A change would by SQL's own rules also change what somebody else has changed."""

    def __init__(self, entity: Entity) -> None:
        super().__init__(entity)
        self.entity = entity


def _conflict(what: str) -> ConflictError:
    return ConflictError(
        f"{what} while the files are what counts.",
        hint="Both versions are kept. Validate, and repair from the side that is right.",
    )


class Giving:
    """One transaction that makes SQL hold some records. ``outbox`` tells what others have changed there, and then what
    this one does."""

    def __init__(self, connection: Connection, outbox: sa.Table, wanted: Records, *, heed: bool = True) -> None:
        """With ``heed`` False what others changed in SQL stands in nobody's way: a person has said which side is
        right."""
        self._connection, self._outbox, self._wanted = connection, outbox, dict(wanted)
        self._foreign = self._entries(0) if heed else set()
        self._foreign_logs = self._logs_of(one for kind, one in self._foreign if kind == capture.MESSAGE)
        self._before = self._last()
        self._refused: dict[Entity, StoreError] = {}
        self._old: dict[Entity, Rows] = {}

    def give(self) -> dict[Entity, StoreError]:
        """Do it; what SQL refuses, and what it holds of somebody else's."""
        logs = self._expand_logs()
        self._load(self._wanted)
        for entity in [one for one in self._wanted if self._is_foreign(one)]:
            del self._wanted[entity]
            self._refused[entity] = _conflict(f"The {spoken(*entity)} was changed in the database")
        gone = [one for one in self._in_order(reversed(KINDS)) if self._wanted[one] is None and one in self._old]
        there = [one for one in self._in_order(KINDS) if self._wanted[one] is not None]
        self._all(gone, self._delete)
        if gone:
            self._load(there)  # some of it may have gone with those
        # First the records, then what hangs between them: an image names a chat, and a chat a character's image.
        left = self._insert_new(there, lambda mapping: [mapping.main])
        self._change_places(self._all(left, self._save_main, once=False))
        taken = [one for one in there if one not in self._refused]
        left = self._insert_new(taken, lambda mapping: [child.table for child in mapping.children])
        self._all(left, self._save_children)
        self._settle({*self._wanted, *logs})
        return self._refused

    def gone_with(self) -> list[Entity]:
        """What SQL changed by its own rules when these went."""
        touched = {one for one in self._entries(self._before) if one[0] in GIVEN or one[0] == capture.LOG}
        return sorted(one for one in touched if one not in self._wanted)

    def _settle(self, entities: set[Entity]) -> None:
        """Where SQL now holds what the files say, it no longer matters that somebody else was there."""
        outbox = self._outbox
        for kind, one in (entities & self._foreign) - self._refused.keys():
            if kind != capture.LOG or not any(of == capture.MESSAGE for of, _ in self._refused):
                named = sa.and_(outbox.c.kind == kind, outbox.c.entity_id == one)
                self._connection.execute(sa.delete(outbox).where(named, outbox.c.seq <= self._before))

    def acknowledge(self) -> None:
        """What was changed here need not be brought to the files."""
        self._connection.execute(sa.delete(self._outbox).where(self._outbox.c.seq > self._before))

    def _entries(self, after: int) -> set[Entity]:
        found = self._connection.execute(sa.select(self._outbox).where(self._outbox.c.seq > after))
        return {(row.kind, row.entity_id) for row in found}

    def _last(self) -> int:
        return self._connection.scalar(sa.select(sa.func.max(self._outbox.c.seq))) or 0

    def _load(self, entities: Iterable[Entity]) -> None:
        by_kind: dict[str, list[str]] = {}
        for kind, record_id in entities:
            self._old.pop((kind, record_id), None)
            by_kind.setdefault(kind, []).append(record_id)
        for kind, ids in by_kind.items():
            for one, loaded in rows.load(self._connection, GIVEN[kind], sorted(ids), for_update=True).items():
                self._old[kind, one] = loaded

    def _logs_of(self, message_ids: Iterable[str]) -> set[Entity]:
        wanted = sa.select(messages.c.chatId).distinct()
        found = [self._connection.scalars(wanted.where(messages.c.id.in_(some))) for some in rows.chunks(message_ids)]
        return {(capture.LOG, chat_id) for some in found for chat_id in some}

    def _expand_logs(self) -> list[Entity]:
        logs = [one for one in self._wanted if one[0] == capture.LOG]
        for kind, chat_id in logs:
            del self._wanted[kind, chat_id]
            for one in self._connection.scalars(sa.select(messages.c.id).where(messages.c.chatId == chat_id)):
                self._wanted.setdefault((capture.MESSAGE, one), None)
        return logs

    def _is_foreign(self, entity: Entity) -> bool:
        """Whether somebody else changed it in SQL, to something that the files do not say."""
        old, new = self._old.get(entity), self._wanted[entity]
        if old is None and new is None:
            return False
        if old is not None and new is not None and not rows.differ(GIVEN[entity[0]], old, new):
            return False
        marks = {entity, (entity[0], capture.EVERYTHING)}
        if entity[0] == capture.MESSAGE:
            chats = [there["messages"][0]["chatId"] for there in (old, new) if there]
            marks |= {(capture.LOG, one) for one in (*chats, capture.EVERYTHING)}
        return not marks.isdisjoint(self._foreign)

    def _in_order(self, kinds: Iterable[str]) -> list[Entity]:
        by_kind: dict[str, list[Entity]] = {}
        for entity in self._wanted:
            by_kind.setdefault(entity[0], []).append(entity)
        return [entity for kind in kinds for entity in by_kind.get(kind, ())]

    def _all(self, entities: list[Entity], step: Any, *, once: bool = True) -> list[Entity]:
        """Take the step for each, and again as long as that helps; those it never helped. With ``once`` they are
        refused."""
        left = entities
        while left:
            failed: dict[Entity, DBAPIError | _Hit] = {}
            for entity in left:
                try:
                    with self._connection.begin_nested():
                        step(entity)
                except (OperationalError, InterfaceError):  # no fault of the record's: a full disk, a lock
                    raise
                except (DBAPIError, _Hit) as error:
                    failed[entity] = error
            if len(failed) == len(left):
                if once:
                    self._refused.update({one: self._refusal(one, error) for one, error in failed.items()})
                return list(failed)
            left = list(failed)
        return []

    def _insert_new(self, entities: list[Entity], tables: Callable[[Mapping], list[sa.Table]]) -> list[Entity]:
        """Insert what SQL does not have, all of a kind at once; what is left: where SQL refuses any, one by one."""
        left = [one for one in entities if one in self._old]
        for kind, several in itertools.groupby(entities, key=itemgetter(0)):  # they are in the order of kinds
            new = [one for one in several if one not in self._old]
            try:
                with self._connection.begin_nested():
                    for table in tables(GIVEN[kind]):
                        found = [row for one in new for row in (self._wanted[one] or {}).get(table.name, ())]
                        for some in rows.chunks(found):
                            self._connection.execute(sa.insert(table), some)
            except (OperationalError, InterfaceError):  # no fault of any record's
                raise
            except DBAPIError:
                left += new
        return left

    def _delete(self, entity: Entity) -> None:
        mapping, last = GIVEN[entity[0]], self._last()
        self._connection.execute(sa.delete(mapping.main).where(mapping.main.c[mapping.key] == entity[1]))
        # A message goes alone; with anything else may go whole chats.
        telling = KINDS if entity[0] == capture.MESSAGE else [*KINDS, capture.LOG]
        marked = {(kind, one) for kind, one in self._entries(last) if kind in telling}
        if hit := marked & {*self._foreign, *self._foreign_logs} - {entity}:
            raise _Hit(min(hit))

    def _save_main(self, entity: Entity) -> None:
        mapping, old = GIVEN[entity[0]], self._old.get(entity, {})
        new = self._wanted[entity] or {}
        main = mapping.main.name
        rows.save(self._connection, mapping, {main: old.get(main, [])}, {main: new[main]})

    def _save_children(self, entity: Entity) -> None:
        mapping, old = GIVEN[entity[0]], self._old.get(entity, {})
        new = self._wanted[entity] or {}
        for child in mapping.children:
            name = child.table.name
            rows.save(self._connection, mapping, {name: old.get(name, [])}, {name: new.get(name, [])})

    def _change_places(self, stuck: list[Entity]) -> None:
        """Save what is in each other's way: all of it steps aside for a moment. What even then cannot be saved is
        refused, and stays as it was."""
        while stuck:
            before = dict(self._old)
            savepoint = self._connection.begin_nested()
            self._all(stuck, self._step_aside, once=False)
            if not (left := self._all(stuck, self._save_main)):
                savepoint.commit()
                return
            savepoint.rollback()
            self._old, stuck = before, [one for one in stuck if one not in left]

    def _refusal(self, entity: Entity, error: DBAPIError | _Hit) -> StoreError:
        what = spoken(*entity)
        if isinstance(error, _Hit):
            hit = spoken(*error.entity)
            return _conflict(f"The {what} cannot go: with it would the {hit}, which was changed in the database")
        log.info("The database refused the %s: %s", what, error)
        if self._wanted[entity] is None:
            message, hint = f"The database still needs the {what}, which is gone from the files.", "See who names it."
        else:
            message = f"The database does not take the {what} as it is in the files."
            hint = "It names a record that is not there, or has a name that another one has: see its page."
        refusal = DatabaseError(message, hint=hint)
        refusal.__cause__ = error
        return refusal

    def _step_aside(self, entity: Entity) -> None:
        """Give a row that is in another's way values that nobody has."""
        mapping = GIVEN[entity[0]]
        table = mapping.main
        if entity not in self._old:
            return
        row = dict(self._old[entity][table.name][0])
        for index in table.indexes:
            column = list(index.columns)[-1]
            if index.unique and not column.foreign_keys and isinstance(column.type, sa.Text):
                row[column.name] = f"tandem-{entity[1]}"
                here = table.c[mapping.key] == entity[1]
                self._connection.execute(sa.update(table).where(here).values({column.name: row[column.name]}))
        self._old[entity] = {**self._old[entity], table.name: [row]}
