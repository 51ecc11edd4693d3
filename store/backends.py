"""The three backends: where the repositories work, and what follows a write."""

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection

from store import capture
from store.audit import Audit, gathering
from store.audit.spool import Spool
from store.database import Database
from store.deriving import Loader, current_state, plan_logs
from store.errors import ConflictError, StoreError, UnreadableError
from store.files import behind, logs
from store.files.index import JsonIndex
from store.files.journal import Written
from store.files.replace import Append, Write
from store.files.shelves import Changes, Entity
from store.files.side import JsonSide
from store.files.system import told_as_json_side
from store.mapping import MAPPINGS, spoken
from store.outbox import Outbox
from store.repositories.contract import Result, Sources
from store.tables.chats import chats
from store.turns import Turn

log = logging.getLogger("tandem.backends")


class _TakenInLater(Exception):
    """The change counts, and the index learns of it from the files."""


T = TypeVar("T")
# A request waits so long for the store lock before it leaves the files to the background: seconds.
REQUEST_WAIT_S = 0.2
WRITE_WAIT_S = 15.0  # in `json` mode the files are the only side, so a write waits its turn


class Backend(Protocol):
    """What a repository stands on. ``loader`` reads whole records, wherever they come from."""

    loader: Loader

    def reading(self, entities: Iterable[Entity] = ()) -> contextlib.AbstractContextManager[Connection]:
        """A snapshot to read from; the records named will be looked at, so they have to be fresh."""

    def changing(self, work: Callable[[Connection], T], entities: Callable[[T], Iterable[Entity]]) -> Result[T]:
        """Carry out ``work`` as one unit, on every side. ``entities`` tells from its value which records it was
        about."""

    def doubt(self, kind: str, record_id: str) -> StoreError | None:
        """Why a record that was not found may be there all the same."""

    def problems(self, *kinds: str) -> list[StoreError]:
        """What of these kinds is there and cannot be read."""


class SqlBackend:
    """``sql``: the database alone."""

    def __init__(self, database: Database, loader: Loader, turn: Turn) -> None:
        self._database, self.loader, self._turn = database, loader, turn
        self._audit = Audit(database)

    def reading(self, entities: Iterable[Entity] = ()) -> contextlib.AbstractContextManager[Connection]:
        return self._database.read()

    def changing(self, work: Callable[[Connection], T], entities: Callable[[T], Iterable[Entity]]) -> Result[T]:
        with self._database.write() as connection, gathering() as gathered:
            self._turn.check(connection)
            value = work(connection)
            self._audit.write(connection, gathered.changes, summary=gathered.summary)
        return Result(value, Sources(sql=True, json=None, consistent=True))

    def doubt(self, kind: str, record_id: str) -> StoreError | None:
        return None

    def problems(self, *kinds: str) -> list[StoreError]:
        return []


class DualBackend(SqlBackend):
    """``dual``: SQL first, in one transaction with the outbox; then the files.

    Reads are answered by SQL, so that a record whose file lags is never seen old, whoever changed it.
    """

    def __init__(self, database: Database, outbox: Outbox, turn: Turn, *, verbose: bool = False) -> None:
        super().__init__(database, outbox.loader, turn)
        self._outbox, self._verbose = outbox, verbose

    def changing(self, work: Callable[[Connection], T], entities: Callable[[T], Iterable[Entity]]) -> Result[T]:
        error: StoreError | None = None
        with self._database.session() as session:
            with session.write() as connection, gathering() as gathered:
                (before,) = self._turn.check(connection, self._outbox.highest)
                value = work(connection)
                self._audit.write(connection, gathered.changes, summary=gathered.summary)
                # A write may change other records too: of a tag that goes, those that had it.
                touched = self._outbox.entities_since(connection, before)
            try:
                self._outbox.apply(REQUEST_WAIT_S, totals=False, session=session)
            except StoreError as blocked:
                # SQL stands and the entry waits: the background loop brings it over.
                error = blocked
        about = list(entities(value))
        error = error or next((problem for one in touched if (problem := self._outbox.problem(one))), None)
        if self._verbose or error:
            log.log(
                logging.WARNING if error else logging.INFO,
                "dual write of %s: %s",
                ", ".join(spoken(*one) for one in about[:5]) or "nothing",
                error.message if error else "both sides hold the same",
            )
        return Result(value, Sources(sql=True, json=error is None, consistent=error is None, error=error))


class JsonBackend:
    """``json``: the files are the truth. The index, made fresh first, answers and carries SQL's rules; what a change
    means for several files is carried out wholly or not at all."""

    def __init__(self, index: JsonIndex, side: JsonSide, loader: Loader, turn: Turn, spool: Spool) -> None:
        self._index, self._side, self.loader, self._turn, self._spool = index, side, loader, turn, spool

    @contextlib.contextmanager
    def reading(self, entities: Iterable[Entity] = ()) -> Iterator[Connection]:
        self._index.refresh(entities)
        with self._index.database.read() as connection:
            yield connection

    def changing(self, work: Callable[[Connection], T], entities: Callable[[T], Iterable[Entity]]) -> Result[T]:
        with self._side.lock.hold(WRITE_WAIT_S):
            self._get_ready()
            kept: list[T] = []
            written: Written | None = None
            try:
                with self._index.database.write() as connection, gathering() as gathered:
                    # The files are written before the index commits: a reader is never shown what may not come to be.
                    kept.append(work(connection))
                    marked = self._marked(connection)
                    files = self._planned(connection, marked)
                    intent = self._spool.announce(gathered.changes, gathered.summary, files)
                    written = self._side.commit(files)
                    self._spool.confirm(intent)
                    if not written.finished:
                        raise _TakenInLater
                    self._note(connection, marked, files, written)
            except _TakenInLater:
                pass
            except StoreError as error:
                if written is None:
                    raise
                # The files say it, so it is done; the next look at them tells the index.
                log.error("The index does not know yet what was written: %s", error.message)
        return Result(kept[0], Sources(sql=None, json=True, consistent=True))

    def bring_totals_over(self, timeout: float = 0) -> None:
        """Bring up to date what the lines of chats say about their messages. Raises JsonSideError."""
        with self._side.lock.hold(timeout):
            self._get_ready()
            with self._index.database.write() as connection:
                marked = self._marked(connection, totals=True)
                there = set(connection.scalars(sa.select(chats.c.id)))
                changes, unfit = current_state(connection, self.loader, {one for one in marked if one[1] in there})
                files, refused = self._side.plan(changes)
                for (_, chat_id), problem in {**unfit, **refused}.items():
                    log.warning("The line of chat %s stays as it is: %s", chat_id, problem.message)
                written = self._side.commit(files)
                if written.finished:
                    self._note(connection, marked, files, written)

    def totals_wait(self) -> bool:
        """Whether the line of any chat may not be up to date."""
        outbox = self._index.database.own.outbox
        with self._index.database.read() as connection:
            return connection.execute(sa.select(outbox.c.seq).limit(1)).first() is not None

    def _get_ready(self) -> None:
        self._turn.check_files()
        self._side.journal.recover(changing=True)
        self._spool.settle()
        self._index.take_in()

    def _marked(self, connection: Connection, *, totals: bool = False) -> set[Entity]:
        """The records whose rows changed; with ``totals`` the chats whose lines may say something old."""
        outbox = self._index.database.own.outbox
        found = connection.execute(sa.select(outbox).where((outbox.c.kind == capture.TOTALS) == totals))
        return {(row.kind, row.entity_id) for row in found}

    def _planned(self, connection: Connection, marked: set[Entity]) -> dict[str, Write]:
        """What to write. Raises when any of it cannot be written: then nothing is."""
        with told_as_json_side(self._side.data_dir):
            files, unwritable = plan_logs(connection, self._side, marked, gone=self._gone(marked))
        changes, unfit = current_state(connection, self.loader, marked)
        others, refused = self._side.plan(changes, files)
        hidden = (*self._hiding_from(changes), *self._hiding_attachments(files))
        for problem in (*unwritable.values(), *unfit.values(), *refused.values(), *hidden):
            raise problem
        self._check_logs(connection, files)
        return {**files, **others}

    def _gone(self, marked: set[Entity]) -> set[str]:
        """The chats of which this change may have deleted the row. Without one is also a chat whose line could not be
        read, and its messages stay."""
        return {record_id for kind, record_id in marked if kind == "chat"}

    def _check_logs(self, connection: Connection, files: dict[str, Write]) -> None:
        """Raise when a chat's file would be written anew, or go, that is not the one whose messages the index holds: it
        could not be read when it was taken in, or somebody has written to it since. What the index lacks would go."""
        for path, data in files.items():
            if isinstance(data, Append):
                continue
            if problem := self._index.problem_in(connection, capture.LOG, logs.chat_of(path)):
                raise problem
            if not self._index.knows(connection, path):
                raise ConflictError(
                    f"{path} was changed by another program at this very moment.",
                    hint="Nothing was written. Try again: the change is then taken in first.",
                )

    def _note(self, connection: Connection, marked: set[Entity], files: dict[str, Write], written: Written) -> None:
        """Remember in the index what the files hold now, and that SQL does not have it yet."""
        outbox = self._index.database.own.outbox
        self._index.wrote(connection, files, written.signatures)
        totals = {one for one in marked if one[0] == capture.TOTALS}
        behind.add(connection, sorted(marked - totals))
        connection.execute(sa.delete(outbox).where((outbox.c.kind == capture.TOTALS) == bool(totals)))

    def _hiding_from(self, changes: dict[str, Changes]) -> list[UnreadableError]:
        """What cannot be read and may be one of the records that seem to be gone, or point at one of them."""
        kinds = list(MAPPINGS)  # later ones point at earlier ones
        gone = [(kind, one) for kind, records in changes.items() for one, record in records.items() if record is None]
        if not gone or not self._index.problems():
            return []
        pointers = kinds[min(kinds.index(kind) for kind, _ in gone) + 1 :]
        found = [problem for entity in gone if (problem := self._index.problem(*entity))]
        return found or self._index.problems(pointers)

    def _hiding_attachments(self, logs: dict[str, Write]) -> list[UnreadableError]:
        """What cannot be read and may be an attachment of a message whose line would be written anew without it."""
        if not any(isinstance(data, bytes) for data in logs.values()):
            return []
        return self._index.problems(["attachment"])

    def doubt(self, kind: str, record_id: str) -> StoreError | None:
        return self._index.problem(kind, record_id)

    def problems(self, *kinds: str) -> list[StoreError]:
        return list(self._index.problems(kinds))
