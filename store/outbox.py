"""What changed in SQL and is not yet in the files; and bringing it there.

The outbox says only *which* records changed. Applying derives each one anew from the state of SQL, so doubled,
reordered and old entries do no harm, and no secret is copied into a queue. The order is what makes it safe (see
``docs/dual-write.md``): entries are read first, state in a later snapshot; files are on the disk before entries go;
and exactly the entries that were read are deleted.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy import Connection

from store import capture, rows
from store.database import Database, Session
from store.deriving import Loader, current_state, plan_logs
from store.errors import JsonSideError, NotInStepError, StoreError
from store.files import logs
from store.files.replace import Write
from store.files.shelves import Changes, Entity
from store.files.side import JsonSide
from store.mapping import MAPPINGS
from store.mapping.messages import MESSAGES
from store.statements import Statement, among, read
from store.tables.messages import messages

log = logging.getLogger("tandem.outbox")

BATCH = 500  # entries per round
LOGS_AT_ONCE = 20  # chats whose files are written anew together
# What a chat's line says about its messages follows at most so often while messages keep coming: every line of the
# index is written with it.
TOTALS_EVERY_S = 1.0
# The record an entry is about may lie in several files: a chat waits while any of these does.
_PARTS = {"chat": ("chat", capture.LOG, capture.TOTALS)}


class Bond(Protocol):
    """What ties a database to a folder."""

    @property
    def known(self) -> Statement:
        """What asks the database which folder it knows."""

    def broken(self, known: str | None) -> str | None:
        """Why the two do not belong together any more, as a sentence; None while they do."""

    def renew(self) -> None:
        """Mark both sides as together at this moment."""


class Outbox:
    """The entries of one database, applied to one JSON side."""

    def __init__(self, database: Database, side: JsonSide, loader: Loader) -> None:
        self._database, self._side, self.loader = database, side, loader
        self._totals_at = float("-inf")
        self._table = table = database.own.outbox
        columns = sa.select(table.c.seq, table.c.kind, table.c.entity_id).order_by(table.c.seq)
        behind = columns.where(table.c.seq > sa.bindparam("after", type_=table.c.seq.type))
        self._behind = Statement(lambda _: behind)
        self._first = Statement(lambda _: behind.limit(BATCH))
        self._first_but_totals = Statement(lambda _: behind.where(table.c.kind != capture.TOTALS).limit(BATCH))
        self.highest = Statement(lambda _: sa.select(sa.func.coalesce(sa.func.max(table.c.seq), 0)))  # of the numbers
        self._done = Statement(lambda dialect: sa.delete(table).where(among(dialect, table.c.seq, "seqs")))
        self._refused: dict[Entity, StoreError] = {}
        self._blocked: StoreError | None = None
        # Set while it is not known that the two sides belong together: then nothing is written.
        self.apart: StoreError | None = None
        # What ties this database to this folder, once they were brought together.
        self.bond: Bond | None = None
        # Raises when the files are another process's to write.
        self.check_turn: Callable[[], None] = lambda: None

    def pending(self, kind: str | None = None, record_id: str | None = None) -> int:
        """How many records wait (an entry for everything of a kind counts as one)."""
        table = self._table
        entities = sa.select(table.c.kind, table.c.entity_id).distinct()
        if kind is not None:
            entities = entities.where(table.c.kind.in_(_PARTS.get(kind, (kind,))))
        if record_id is not None:
            entities = entities.where(table.c.entity_id.in_([record_id, capture.EVERYTHING]))
        with self._database.read() as connection:
            return int(connection.scalar(sa.select(sa.func.count()).select_from(entities.subquery())) or 0)

    def is_empty(self) -> bool:
        """Whether nothing waits at all."""
        with self._database.read() as connection:
            return connection.execute(sa.select(self._table.c.seq).limit(1)).first() is None

    def newest(self) -> int:
        """The number of the last change that is in it; 0 when it is empty."""
        with self._database.read() as connection:
            return int(connection.scalar(sa.select(sa.func.max(self._table.c.seq))) or 0)

    def problems(self) -> list[StoreError]:
        """Why what waits could not be applied the last time it was tried."""
        blocked = [self._blocked] if self._blocked else []
        return [*blocked, *dict.fromkeys(self._refused.values())]

    def entities_since(self, connection: Connection, number: int) -> list[Entity]:
        """The records marked by entries above a number, in the order of their entries."""
        return list(dict.fromkeys((kind, one) for _, kind, one in self._behind.read(connection, after=number)))

    def problem(self, entity: Entity) -> StoreError | None:
        """Why this record could not be applied, if it could not."""
        parts = ((kind, entity[1]) for kind in _PARTS.get(entity[0], (entity[0],)))
        return next((self._refused[one] for one in parts if one in self._refused), self._blocked)

    def mark_everything(self, connection: Connection, kinds: Iterable[str]) -> None:
        """Have every record of the kinds derived anew, within the caller's transaction."""
        entries = [{"kind": kind, "entity_id": capture.EVERYTHING} for kind in kinds]
        connection.execute(sa.insert(self._table), entries)

    def apply(self, timeout: float = 0, *, totals: bool = True, session: Session | None = None) -> None:
        """Bring everything that waits to the JSON side. Waits ``timeout`` seconds for the store lock. ``session``: a
        connection that is at hand.

        Without ``totals``, what the lines of chats say about their messages is left for later. Afterwards each other
        entry is gone whose record is durably in its file. A record that is refused keeps its entries and is told by
        ``problems()``; it hinders no other. Raises JsonSideError when nothing more can be written; what was not written
        still waits.
        """
        if self.apart:
            self._blocked = self.apart
            raise self.apart
        try:
            with self._side.lock.hold(timeout):
                self.check_turn()
                self._refused = self._drain(totals, session)
        except StoreError as error:
            self._blocked = error
            raise
        except Exception as error:  # SQL is written by now, and whoever asked has to hear that the rest waits
            log.exception("Applying the outbox failed")
            self._blocked = JsonSideError("Something unexpected stands in the way of the JSON side; see the log.")
            raise self._blocked from error
        self._blocked = None

    def _drain(self, totals: bool, at_hand: Session | None = None) -> dict[Entity, StoreError]:
        refused: dict[Entity, StoreError] = {}
        # A cursor within this pass only: an entry committed late has a low number and is found by the next pass.
        after = 0
        more = True
        with self._database.session(at_hand) as session:
            while more and (batch := self._entries(session, after, totals)):
                after, more = max(batch), len(batch) == BATCH
                refused.update(self._unsound(session, batch))
                refused.update(self._bring_over(session, {one for one in batch.values() if rows.is_sound(one[1])}))
                done = [seq for seq, (kind, one) in batch.items() if not _is_refused(refused, kind, one)]
                self._acknowledge(session, done)
        if totals:
            self._totals_at = time.monotonic()
        return refused

    def totals_are_due(self) -> bool:
        """Whether the lines of chats were not brought up to date for a while."""
        return time.monotonic() - self._totals_at >= TOTALS_EVERY_S

    def _unsound(self, session: Session, batch: dict[int, Entity]) -> dict[Entity, StoreError]:
        """Records whose ids no file can be named by. Once such a row is gone, so is the need for its entry."""
        table = self._table
        refused: dict[Entity, StoreError] = {}
        for seq, (kind, record_id) in batch.items():
            mapping = MESSAGES if kind == capture.MESSAGE else MAPPINGS.get("chat" if kind == capture.LOG else kind)
            if mapping and not rows.is_sound(record_id):
                key = mapping.main.c[mapping.key]
                there = sa.select(key).join(table, table.c.entity_id == key).where(table.c.seq == seq)
                with session.read() as connection:
                    if connection.execute(sa.select(sa.literal(1)).where(there.exists())).first():
                        refused[kind, record_id] = rows.unsound(kind, record_id)
        return refused

    def _entries(self, session: Session, after: int, totals: bool) -> dict[int, Entity]:
        """The next entries. They are for the folder the database was brought together with, and for no other: raises
        NotInStepError when this is not it."""
        wanted = self._first if totals else self._first_but_totals
        with session.read() as connection:
            if self.bond is None:
                found = wanted.read(connection, after=after)
            else:
                known, found = read(connection, (self.bond.known, {}), (wanted, {"after": after}))
                if reason := self.bond.broken(known[0][0] if known else None):
                    self.apart = NotInStepError(reason)
                    raise self.apart
        return {seq: (kind, record_id) for seq, kind, record_id in found}

    def _bring_over(self, session: Session, entities: set[Entity]) -> dict[Entity, StoreError]:
        """Write the files of these records as SQL has them now; what could not be, with the reason."""
        everything = {kind for kind, record_id in entities if record_id == capture.EVERYTHING}
        some = {one for one in entities if one[1] != capture.EVERYTHING}
        # A chat's line tells the length of its file, so the files come first.
        refused = self._bring_logs_over(session, some, all_of_them=bool(everything & {capture.LOG, capture.MESSAGE}))
        for kind in {capture.SHOWN_IN.get(kind, kind) for kind in everything}:
            refused.update(self._bring_all_over(session, kind))
        if any(capture.SHOWN_IN.get(kind, kind) in MAPPINGS for kind, _ in some):
            refused.update(self._bring_some_over(session, some))
        return refused

    def _bring_logs_over(
        self, session: Session, entities: set[Entity], *, all_of_them: bool
    ) -> dict[Entity, StoreError]:
        fresh = {one for one in entities if one[0] == capture.MESSAGE}
        whole = sorted(record_id for kind, record_id in entities if kind == capture.LOG)
        if all_of_them:
            with session.read() as connection:
                wanted = rows.all_ids(connection, MAPPINGS["chat"])
            extra = sorted(set(self._side.log_ids()) - set(wanted))
            self._side.set_logs_aside(extra)
            fresh, whole = set(), [*wanted, *extra]
        refused: dict[Entity, StoreError] = {}
        rounds = list(rows.chunks(whole, LOGS_AT_ONCE)) or ([[]] if fresh else [])
        for some in rounds:
            asked = {(capture.LOG, chat_id) for chat_id in some} | fresh
            with session.read() as connection:
                files, unfit = plan_logs(connection, self._side, asked)
                covered = self._covered(connection, files)
            refused.update(unfit)
            self._side.write(files)
            if some:  # of a chat without a row there may be no file to write
                self._side.settle(["chat"], files)
            self._acknowledge(session, [seq for seq, one in covered.items() if one not in refused])
            fresh = set()
        return refused

    def _covered(self, connection: Connection, files: dict[str, Write]) -> dict[int, Entity]:
        """Entries of new messages that are in a file as soon as it is written whole: later batches need not look for
        them in it again."""
        whole = [logs.chat_of(path) for path, data in files.items() if isinstance(data, bytes)]
        table = self._table
        found: dict[int, Entity] = {}
        for some in rows.chunks(whole):
            of_chats = sa.select(messages.c.id).where(messages.c.chatId.in_(some))
            here = sa.and_(table.c.kind == capture.MESSAGE, table.c.entity_id.in_(of_chats))
            for seq, kind, record_id in connection.execute(
                sa.select(table.c.seq, table.c.kind, table.c.entity_id).where(here)
            ):
                found[seq] = (kind, record_id)
        return found

    def _bring_some_over(self, session: Session, entities: set[Entity]) -> dict[Entity, StoreError]:
        changes, refused = self._state(session, entities)
        files, unwritable = self._side.plan(changes)
        refused.update(unwritable)
        self._side.write(files)
        self._side.settle(changes, files)
        return {**refused, **{(part, one): error for (kind, one), error in refused.items() for part in _parts(kind)}}

    def _state(self, session: Session, entities: set[Entity]) -> tuple[dict[str, Changes], dict[Entity, StoreError]]:
        with session.read() as connection:
            return current_state(connection, self.loader, entities)

    def _bring_all_over(self, session: Session, kind: str) -> dict[Entity, StoreError]:
        """A whole kind: everything SQL has, and files without a row are set aside and then removed."""
        if kind not in MAPPINGS:
            return {}
        with session.read() as connection:
            wanted = rows.all_ids(connection, MAPPINGS[kind])
        present = [entry.id for entry in self._side.entries(kind) if not isinstance(entry, StoreError)]
        extra = sorted(set(present) - set(wanted))
        self._side.set_aside(kind, extra)
        refused: dict[Entity, StoreError] = {}
        for some in rows.chunks([*wanted, *extra]):
            refused.update(self._bring_some_over(session, {(kind, record_id) for record_id in some}))
        return refused

    def _acknowledge(self, session: Session, seqs: Sequence[int]) -> None:
        """Delete exactly the entries that were read: others of the same records may have come since."""
        if not seqs:
            return
        # Not durable by itself: an acknowledgement lost in a power cut only makes the record be looked at once more.
        session.change_lazily(self._done, seqs=seqs)


def _parts(kind: str) -> Iterable[str]:
    """Entries that stand for a record of a kind, besides its own."""
    return (part for part, shown in capture.SHOWN_IN.items() if shown == kind)


def _is_refused(refused: dict[Entity, StoreError], kind: str, record_id: str) -> bool:
    if record_id == capture.EVERYTHING:
        return any(of == kind for of, _ in refused)
    return (kind, record_id) in refused
