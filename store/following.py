"""In ``json`` mode SQL follows the files: what changed there is brought over, soon and again.

The files are never held up by it. The order is what makes it safe (see ``docs/json-mode.md``): what is behind is read
together with the records; the index knows the mark of a batch before SQL does; exactly the entries that were read are
deleted. What another program changed in SQL meanwhile is a conflict: it is told, and neither side is written over.
"""

import logging
import secrets
import time
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy import Connection

from store import capture, rows
from store.database import Database
from store.errors import NotInStepError, StoreError
from store.files import behind
from store.files.index import JsonIndex
from store.files.lock import StoreLock
from store.files.shelves import Entity
from store.files.side import JsonSide
from store.files.system import told_as_json_side
from store.giving import GIVEN, KINDS, Giving, Records
from store.mapping import MAPPINGS
from store.tables.messages import messages
from store.turns import Turn

log = logging.getLogger("tandem.following")

LOOK_S = 5.0  # without changes of ours, SQL is looked at so often
# On PostgreSQL another program's transaction is waited for so long. Of two that wait for each other PostgreSQL itself
# ends one after a second, and that might be the other.
_LOCK_WAIT = "SET LOCAL lock_timeout = '500ms'"
STATE_KEY = "taken_from_files"  # SQL remembers under it the mark of the last batch, and the folder it is from


class Following:
    """One database that follows one folder."""

    def __init__(self, database: Database, index: JsonIndex, side: JsonSide, turn: Turn) -> None:
        self._database, self.index, self._side, self._turn = database, index, side, turn
        # Whoever applies holds this lock of its own all the while; the files stay free while SQL takes its time.
        self._lock = StoreLock(side.system, side.own_dir / "sql.lock")
        self._refused: dict[Entity, StoreError] = {}
        self._blocked: StoreError | None = None
        self._looked_at = float("-inf")
        self._identity: int | None = None
        self.tie()
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

    def mark(self, connection: Connection) -> str | None:
        """What the database says it was given last."""
        state = self._database.own.state
        value: str | None = connection.scalar(sa.select(state.c.value).where(state.c.key == STATE_KEY))
        return value.partition(" ")[0] if value else None

    def end(self) -> None:
        """The database follows no more."""
        if self._database.get_state(STATE_KEY) is not None:
            self._database.set_state(STATE_KEY, None)

    def tie(self) -> None:
        """The folder that is there now is the one to follow. One that is put in its place while Tandem runs, or an
        empty mount, is not: what it lacks would be deleted from the database."""
        self._identity = self._found()

    def _found(self) -> int | None:
        with told_as_json_side(self._side.data_dir):
            try:
                return self._side.system.signature(self._side.data_dir).inode
            except FileNotFoundError:
                return None

    def _check_folder(self) -> None:
        found = self._found()
        if self._identity is None:
            self._identity = found
        if found != self._identity:
            raise NotInStepError(
                f"{self._side.data_dir} is not the folder any more that it was: the database is left as it is.",
                hint="Put it back, or start anew if it is meant.",
            )

    def _folder(self) -> str:
        return str(self._side.data_dir.absolute())

    # ------------------------------------------------------------------ what waits
    def pending(self) -> int:
        """How many records SQL does not have yet as they are in the files."""
        with self.index.database.read() as connection:
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
        with self._database.read() as connection:
            mark = self.mark(connection)
        with self._side.lock.hold(max(timeout, 1.0)):
            self._check_folder()
            self._side.journal.recover(changing=False)
            self.index.take_in()
        with self.index.database.write() as connection:
            if not behind.knows(connection, mark):
                behind.add(connection, self._everything(connection))
            batch = behind.next_batch(connection, mark, passed)
            wanted, doubts = (
                records_in_files(connection, self.index, set(batch.entries.values())) if batch else ({}, {})
            )
        if batch is None:
            return None
        told, also = self._give(wanted, batch)
        told.update(doubts)
        refused.update(told)
        with self.index.database.write() as connection:
            behind.done(connection, (seq for seq, one in batch.entries.items() if not _waits(one, told)))
            behind.add(connection, also)
        return max(batch.entries, default=passed) if batch.entries else None

    def _everything(self, connection: Connection) -> Iterator[Entity]:
        """Every record of either side."""
        with self._database.read() as sql:
            for kind in KINDS:
                if kind == capture.MESSAGE:
                    chats = {*rows.all_ids(connection, MAPPINGS["chat"]), *rows.all_ids(sql, MAPPINGS["chat"])}
                    yield from ((capture.LOG, one) for one in sorted(chats))
                    continue
                mapping = MAPPINGS[kind]
                both = {*rows.all_ids(connection, mapping), *rows.all_ids(sql, mapping)}
                yield from ((kind, one) for one in sorted(both))

    # ------------------------------------------------------------------ SQL
    def _give(self, wanted: Records, batch: behind.Batch) -> tuple[dict[Entity, StoreError], list[Entity]]:
        """Make SQL hold these records, as one transaction with the mark: what it refuses, and what else it changed by
        its own rules."""
        outbox = self._database.own.outbox
        with self._database.write() as connection:
            self._turn.check(connection)
            if connection.dialect.name == "postgresql":  # so that every later entry is ours
                connection.exec_driver_sql(_LOCK_WAIT)
                connection.exec_driver_sql(f"LOCK TABLE {outbox.fullname} IN SHARE ROW EXCLUSIVE MODE")
            giving = Giving(connection, outbox, wanted)
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


def records_in_files(
    connection: Connection, index: JsonIndex, entities: set[Entity]
) -> tuple[Records, dict[Entity, StoreError]]:
    """The records as the files have them, and what cannot be read: that is not missing, and is not deleted."""
    found: Records = {}
    by_kind: dict[str, set[str]] = {}
    for kind, record_id in entities:
        by_kind.setdefault(kind, set()).add(record_id)
    for chat_id in by_kind.pop(capture.LOG, set()):
        found[capture.LOG, chat_id] = None  # which messages SQL has of it is seen there
        of_chat = sa.select(messages.c.id).where(messages.c.chatId == chat_id)
        by_kind.setdefault(capture.MESSAGE, set()).update(connection.scalars(of_chat))
    for kind, ids in by_kind.items():
        if kind not in GIVEN or GIVEN[kind].derived:
            continue
        loaded = rows.load(connection, GIVEN[kind], sorted(ids))
        found.update({(kind, one): loaded.get(one) for one in ids})
    doubts: dict[Entity, StoreError] = {}
    for one in [one for one, there in found.items() if there is None]:
        if problem := index.problem_in(connection, *one):
            doubts[one] = problem
            del found[one]
    return found, doubts
