"""In ``json`` mode SQL follows the files: what changed there is brought over, soon and again.

The files are never held up by it. The order is what makes it safe (see ``docs/json-mode.md``): what is behind is read
together with the records; the index knows the mark of a batch before SQL does; exactly the entries that were read are
deleted. What another program changed in SQL meanwhile is a conflict: it is told, and neither side is written over.
"""

import logging
import secrets
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from store import capture, rows
from store.database import Database
from store.errors import ConflictError, DatabaseError, NotInStepError, StoreError
from store.files import behind
from store.files.index import JsonIndex
from store.files.lock import StoreLock
from store.files.shelves import Entity
from store.files.side import JsonSide
from store.mapping import MAPPINGS, Mapping, Rows, spoken
from store.mapping.messages import MESSAGES
from store.tables.messages import messages
from store.turns import Turn

log = logging.getLogger("tandem.following")

LOOK_S = 5.0  # without changes of ours, SQL is looked at so often
# On PostgreSQL another program's transaction is waited for so long. Of two that wait for each other PostgreSQL itself
# ends one after a second, and that might be the other.
_LOCK_WAIT = "SET LOCAL lock_timeout = '500ms'"
STATE_KEY = "taken_from_files"  # SQL remembers under it the mark of the last batch, and the folder it is from
# In the order in which links point: a message belongs to a chat, and an attachment to a message.
_KINDS: Final = [kind for kind, mapping in MAPPINGS.items() if not mapping.derived]
_KINDS.insert(_KINDS.index("attachment"), capture.MESSAGE)
_MAPPINGS: Final[dict[str, Mapping]] = {**MAPPINGS, capture.MESSAGE: MESSAGES}
_Records = dict[Entity, Rows | None]  # None: there is none


class Following:
    """One database that follows one folder."""

    def __init__(self, database: Database, index: JsonIndex, side: JsonSide, turn: Turn) -> None:
        self._database, self._index, self._side, self._turn = database, index, side, turn
        # Whoever applies holds this lock of its own all the while; the files stay free while SQL takes its time.
        self._lock = StoreLock(side.system, side.own_dir / "sql.lock")
        self._refused: dict[Entity, StoreError] = {}
        self._blocked: StoreError | None = None
        self._looked_at = float("-inf")
        # Set while the database holds something that is not known to come from this folder.
        self.apart: StoreError | None = None

    # ------------------------------------------------------------------ whose database it is
    def belongs(self) -> bool:
        """Whether the database was taken from this folder before."""
        value = self._database.get_state(STATE_KEY)
        return value is not None and value.partition(" ")[2] == self._folder()

    def begin(self) -> None:
        """From now on the database follows this folder: both hold the same, or the database nothing. Its mark is one
        that the index cannot know, so that everything is compared."""
        if not self.belongs():
            self._database.set_state(STATE_KEY, f"new-{secrets.token_hex(8)} {self._folder()}")

    def end(self) -> None:
        """The database follows no more."""
        self._database.set_state(STATE_KEY, None)

    def _folder(self) -> str:
        return str(self._side.data_dir.resolve())

    # ------------------------------------------------------------------ what waits
    def pending(self) -> int:
        """How many records SQL does not have yet as they are in the files."""
        with self._index.database.read() as connection:
            return behind.count(connection)

    def is_due(self) -> bool:
        """Whether something is behind, or it is time to see whether SQL is still the one it was."""
        return bool(self.pending()) or time.monotonic() - self._looked_at > LOOK_S

    def problems(self) -> list[StoreError]:
        """Why what waits could not be brought over the last time it was tried."""
        blocked = [one for one in (self.apart or self._blocked,) if one]
        return [*blocked, *dict.fromkeys(self._refused.values())]

    def apply(self, timeout: float = 0) -> None:
        """Bring over everything that is behind. Raises DatabaseError, JsonSideError, NotInStepError; what is not
        brought over still waits. Records that SQL refuses are told by ``problems()`` and hinder no other."""
        if self.apart:
            self._blocked = self.apart
            raise self.apart
        try:
            with self._lock.hold(timeout):
                refused: dict[Entity, StoreError] = {}
                passed: int | None = 0
                while passed is not None:
                    passed = self._round(passed, timeout, refused)
                self._refused, self._looked_at = refused, time.monotonic()
        except StoreError as error:
            self._blocked = error
            raise
        self._blocked = None

    def _round(self, passed: int, timeout: float, refused: dict[Entity, StoreError]) -> int | None:
        """One batch of the entries behind ``passed``; its last entry, None when there was none."""
        value = self._database.get_state(STATE_KEY)
        mark = value.partition(" ")[0] if value else None
        with self._side.lock.hold(max(timeout, 1.0)):
            self._side.journal.recover(changing=False)
            self._index.take_in()
        with self._index.database.write() as connection:
            if not behind.knows(connection, mark):
                behind.add(connection, self._everything(connection))
            batch = behind.next_batch(connection, mark, passed)
            wanted, doubts = _here(connection, self._index, set(batch.entries.values())) if batch else ({}, {})
        if batch is None:
            return None
        told, also = self._give(wanted, batch)
        told.update(doubts)
        refused.update(told)
        with self._index.database.write() as connection:
            behind.done(connection, (seq for seq, one in batch.entries.items() if not _waits(one, told)))
            behind.add(connection, also)
        return max(batch.entries, default=passed) if batch.entries else None

    def _everything(self, connection: Connection) -> Iterator[Entity]:
        """Every record of either side."""
        with self._database.read() as sql:
            for kind in _KINDS:
                if kind == capture.MESSAGE:
                    chats = {*rows.all_ids(connection, MAPPINGS["chat"]), *rows.all_ids(sql, MAPPINGS["chat"])}
                    yield from ((capture.LOG, one) for one in sorted(chats))
                    continue
                mapping = MAPPINGS[kind]
                both = {*rows.all_ids(connection, mapping), *rows.all_ids(sql, mapping)}
                yield from ((kind, one) for one in sorted(both))

    # ------------------------------------------------------------------ SQL
    def _give(self, wanted: _Records, batch: behind.Batch) -> tuple[dict[Entity, StoreError], list[Entity]]:
        """Make SQL hold these records, as one transaction with the mark: what it refuses, and what else it changed by
        its own rules."""
        outbox = self._database.own.outbox
        with self._database.write() as connection:
            self._turn.check(connection)
            if connection.dialect.name == "postgresql":  # so that every later entry is ours
                connection.exec_driver_sql(_LOCK_WAIT)
                connection.exec_driver_sql(f"LOCK TABLE {outbox.fullname} IN SHARE ROW EXCLUSIVE MODE")
            giving = _Giving(connection, outbox, wanted)
            refused = giving.give()
            also = [one for one in giving.gone_with() if one not in wanted]
            giving.acknowledge()
            self._set_mark(connection, batch.mark)
        return refused, also

    def _set_mark(self, connection: Connection, mark: str) -> None:
        state = self._database.own.state
        here = state.c.key == STATE_KEY
        if not connection.execute(sa.update(state).where(here).values(value=f"{mark} {self._folder()}")).rowcount:
            raise NotInStepError("The database does not follow these files any more.")


def _waits(entity: Entity, refused: dict[Entity, StoreError]) -> bool:
    """Whether an entry has to stay. A chat's messages are refused one by one."""
    return entity in refused or (entity[0] == capture.LOG and any(kind == capture.MESSAGE for kind, _ in refused))


def _here(connection: Connection, index: JsonIndex, entities: set[Entity]) -> tuple[_Records, dict[Entity, StoreError]]:
    """The records as the files have them, and what cannot be read: that is not missing, and is not deleted."""
    found: _Records = {}
    by_kind: dict[str, set[str]] = {}
    for kind, record_id in entities:
        by_kind.setdefault(kind, set()).add(record_id)
    for chat_id in by_kind.pop(capture.LOG, set()):
        found[capture.LOG, chat_id] = None  # which messages SQL has of it is seen there
        of_chat = sa.select(messages.c.id).where(messages.c.chatId == chat_id)
        by_kind.setdefault(capture.MESSAGE, set()).update(connection.scalars(of_chat))
    for kind, ids in by_kind.items():
        if kind not in _MAPPINGS or _MAPPINGS[kind].derived:
            continue
        loaded = rows.load(connection, _MAPPINGS[kind], sorted(ids))
        found.update({(kind, one): loaded.get(one) for one in ids})
    doubts: dict[Entity, StoreError] = {}
    for one in [one for one, there in found.items() if there is None]:
        if problem := index.problem_in(connection, *one):
            doubts[one] = problem
            del found[one]
    return found, doubts


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


class _Giving:
    """One transaction that makes SQL hold some records. ``outbox`` tells what others have changed there, and then what
    this one does."""

    def __init__(self, connection: Connection, outbox: sa.Table, wanted: _Records) -> None:
        self._connection, self._outbox, self._wanted = connection, outbox, dict(wanted)
        self._foreign = self._entries(0)
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
        gone = [one for one in self._in_order(reversed(_KINDS)) if self._wanted[one] is None and one in self._old]
        there = [one for one in self._in_order(_KINDS) if self._wanted[one] is not None]
        self._all(gone, self._delete)
        if gone:
            self._load(there)  # some of it may have gone with those
        # First the records, then what hangs between them: an image names a chat, and a chat a character's image.
        self._change_places(self._all(there, self._save_main, once=False))
        self._all([one for one in there if one not in self._refused], self._save_children)
        self._settle({*self._wanted, *logs})
        return self._refused

    def gone_with(self) -> list[Entity]:
        """What SQL changed by its own rules when these went."""
        touched = {one for one in self._entries(self._before) if one[0] in _MAPPINGS or one[0] == capture.LOG}
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
            for one, loaded in rows.load(self._connection, _MAPPINGS[kind], sorted(ids), for_update=True).items():
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
        if old is not None and new is not None and not rows.differ(_MAPPINGS[entity[0]], old, new):
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

    def _delete(self, entity: Entity) -> None:
        mapping, last = _MAPPINGS[entity[0]], self._last()
        self._connection.execute(sa.delete(mapping.main).where(mapping.main.c[mapping.key] == entity[1]))
        # A message goes alone; with anything else may go whole chats.
        telling = _KINDS if entity[0] == capture.MESSAGE else [*_KINDS, capture.LOG]
        marked = {(kind, one) for kind, one in self._entries(last) if kind in telling}
        if hit := marked & {*self._foreign, *self._foreign_logs} - {entity}:
            raise _Hit(min(hit))

    def _save_main(self, entity: Entity) -> None:
        mapping, old = _MAPPINGS[entity[0]], self._old.get(entity, {})
        new = self._wanted[entity] or {}
        main = mapping.main.name
        rows.save(self._connection, mapping, {main: old.get(main, [])}, {main: new[main]})

    def _save_children(self, entity: Entity) -> None:
        mapping, old = _MAPPINGS[entity[0]], self._old.get(entity, {})
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
        mapping = _MAPPINGS[entity[0]]
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
