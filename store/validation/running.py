"""The course of a validation: every record in one snapshot of SQL, and what is not equal once more, when nothing of it
waits any longer."""

import contextlib
import time
from collections import ChainMap
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from store import capture, inventory, rows
from store.database import Database
from store.deriving import Loader
from store.documents.base import now
from store.errors import InvalidValueError, LockedError, StoreError
from store.files.index import JsonIndex
from store.files.layout import SHELVES
from store.files.shelves import Entity, Shelf
from store.files.side import JsonSide
from store.following import Following
from store.hands import Hands, hands
from store.mapping import MAPPINGS
from store.mapping.messages import MESSAGES
from store.outbox import Outbox
from store.progress import Progress
from store.secrets import Secrets
from store.settings import Settings
from store.tables import MODELS
from store.tables.messages import messages
from store.tables.users import users
from store.validation import quick as quickly
from store.validation.bytes import BytesCheck
from store.validation.messages import Begun, Messages
from store.validation.records import Records, Wanted
from store.validation.relations import check_relations, lost_rows
from store.validation.report import Report, Unreadable
from store.validation.rows import own_tables
from store.validation.secrets import SecretsCheck
from store.validation.strays import strays
from store.validation.tally import FILE, Outcome, Tally
from store.validation.values import MODEL_OF
from store.validation.vouching import NOTHING, Vouched

ROUNDS: Final = 20  # so often what is not equal is looked at anew while others go on writing
LOCK_WAIT_S: Final = 5.0
_AT_ONCE: Final = 200  # records looked at anew while the files stand still
_STRAY: Final = "it belongs to no record and was passed over"
_NOT_FOLLOWED: Final = "Another process held the files: links to models that were not chosen were followed in SQL only."
_PAUSE_S: Final = 0.05
_LOG: Final = capture.LOG


class Sides(Protocol):
    """What of an open store a validation needs."""

    @property
    def database(self) -> Database: ...
    @property
    def side(self) -> JsonSide: ...
    @property
    def loader(self) -> Loader: ...
    @property
    def secrets(self) -> Secrets: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def index(self) -> JsonIndex: ...
    @property
    def following(self) -> Following: ...

    def catch_up(self, totals: bool = True) -> None: ...


class Look:
    """One validation: which kinds, against which side."""

    def __init__(
        self,
        side: JsonSide,
        loader: Loader,
        only: Sequence[str],
        secrets: Secrets | None,
        *,
        owner: str | None = None,
        with_derived: bool = True,
        vouched: Vouched = NOTHING,
        counted: dict[str, int] | None = None,
    ) -> None:
        """``counted``: the rows of each model, in the only snapshot that will be looked at."""
        self._counted = counted
        self.models = _known(only)
        self.side = side
        self.tally = Tally(self.models, with_derived=with_derived)
        check = SecretsCheck(secrets) if secrets and {"User", "ApiKey"} & set(self.models) else None
        self._messages = Messages(side, vouched)
        loader = Loader(loader.public, ChainMap(self._messages.totals, loader.totals))
        self._records = Records(side, loader, check, BytesCheck(side, side.public), owner, vouched)
        self._messages.facts = self._records.facts
        self.shelves = [shelf for shelf in _shelves() if self._wants(shelf.kinds)]
        self.with_messages = bool({"Message", "Chat"} & set(self.models))

    def _wants(self, kinds: Iterable[str]) -> bool:
        return any(
            MODEL_OF[table.name] in self.models
            for kind in kinds
            for table in (MAPPINGS[kind].main, *own_tables(MAPPINGS[kind]))
        )

    @property
    def tables(self) -> list[Table]:
        """The tables whose rows are compared."""
        found = [table for shelf in self.shelves for kind in shelf.kinds for table in own_tables(MAPPINGS[kind])]
        return [*found, MESSAGES.main] if self.with_messages else found

    # ------------------------------------------------------------------ everything
    def everything(self, connection: Connection, progress: Progress, workers: Hands) -> Iterator[Outcome]:
        """Each record once; what is not equal."""
        sizes = self._counted or inventory.count_rows(connection)
        whole = max(sum(sizes[MODEL_OF[table.name]] for table in self.tables), 1)
        begun: Begun | None = None
        if self.with_messages:
            begun = self._messages.begin(self._messages.chat_ids(connection), self.tally, workers)

        def compare_messages() -> Iterator[Outcome]:
            nonlocal begun
            if begun is not None:
                total = len(begun.chat_ids) + begun.vouched
                progress.phase("Comparing messages", total, share=sizes["Message"] / whole * 0.9)
                yield from self._messages.compare(connection, self.tally, begun, progress.step)
                begun = None

        for shelf in self.shelves:
            if "chat" in shelf.kinds:  # what the lines of chats say is judged by their files
                yield from compare_messages()
            tables = [table for kind in shelf.kinds for table in own_tables(MAPPINGS[kind])]
            total = sum(sizes[MAPPINGS[kind].model] for kind in shelf.kinds)
            share = sum(sizes[MODEL_OF[table.name]] for table in tables) / whole * 0.9
            nouns = " and ".join(f"{MAPPINGS[kind].document.noun}s" for kind in shelf.kinds)
            progress.phase(f"Comparing {nouns}", total, share=share)
            yield from self._records.compare(connection, shelf, None, self.tally, progress.step)
        yield from compare_messages()

    def some(self, connection: Connection, entities: Iterable[Entity]) -> Iterator[Outcome]:
        """These records; what is not equal."""
        by_kind: dict[str, set[str]] = {}
        for kind, record_id in entities:
            by_kind.setdefault(kind, set()).add(record_id)
        alone = Hands.alone(connection, self.side.system)
        begun = self._messages.begin(sorted(by_kind.pop(_LOG, ())), self.tally, alone)
        yield from self._messages.compare(connection, self.tally, begun)
        files = by_kind.pop(FILE, set())
        for shelf in self.shelves:
            wanted: Wanted = {kind: by_kind[kind] for kind in shelf.kinds if kind in by_kind}
            if wanted or files & set(shelf.kinds):
                for out in self._records.compare(connection, shelf, wanted, self.tally):
                    if out.entity[0] != FILE or shelf.kinds[0] in files:
                        yield out

    # ------------------------------------------------------------------ the end
    @property
    def is_partial(self) -> bool:
        """Whether only some models are looked at."""
        return len(self.models) < len(MODELS)

    def finish(self, connection: Connection, progress: Progress, waits: Iterable[Entity] | None = ()) -> Report:
        """What can be told only when every record was looked at. ``waits``: what is not yet on both sides; None: links
        of the files into other models cannot be followed now."""
        progress.phase("Following links", 1, share=0.1)
        lost_rows(connection, self.tally)
        tables = self.tables
        if waits is not None:
            tables += quickly.look_at_targets(connection, self.side, self.tally, tables, waits)
        check_relations(connection, self.tally, tables)
        self.tally.settle(self._counted or inventory.count_rows(connection))
        report = self.tally.report
        if not self.is_partial:
            found = strays(self.side)
            report.unreadable += [Unreadable(path, None, FILE, None, _STRAY) for path in found.files]
            report.affected += [(FILE, path) for path in found.files]
            report.notes += found.notes
        progress.step()
        return report


def _known(only: Sequence[str]) -> tuple[str, ...]:
    """The models named, or all. Raises InvalidValueError for one that is none."""
    by_name = {model.lower(): model for model in MODELS}
    if strange := [name for name in only if name.lower() not in by_name]:
        raise InvalidValueError(f"There is no model {', '.join(strange)}.", hint=f"Name some of: {', '.join(MODELS)}.")
    return tuple(by_name[name.lower()] for name in only) or tuple(MODELS)


def _shelves() -> list[Shelf]:
    return list({id(shelf): shelf for shelf in SHELVES.values()}.values())


# ------------------------------------------------------------------ a side that nobody writes
def validate_side(
    connection: Connection,
    loader: Loader,
    side: JsonSide,
    *,
    secrets: Secrets | None = None,
    only: Sequence[str] = (),
    quick: bool = False,
    progress: Progress | None = None,
    vouched: Vouched = NOTHING,
    counted: dict[str, int] | None = None,
) -> Report:
    """Compare a snapshot of SQL with a JSON side that stands still: nothing is looked at twice, no lock is taken.
    ``vouched``: files of which it is known what they hold; ``counted``: the rows of each model."""
    began, started_at = time.monotonic(), now()
    progress = progress or Progress()
    if quick:
        report = quickly.validate(connection, side, _known(only), progress)
    else:
        look = Look(side, loader, only, secrets, vouched=vouched, counted=counted)
        for outcome in look.everything(connection, progress, Hands.alone(connection, side.system)):
            look.tally.take(outcome)
        report = look.finish(connection, progress)
    return _dated(report, began, started_at, only, quick)


def _dated(report: Report, began: float, started_at: str, only: Sequence[str], quick: bool) -> Report:
    report.seconds, report.started_at = round(time.monotonic() - began, 3), started_at
    report.only, report.quick = tuple(only and _known(only)), quick
    return report


# ------------------------------------------------------------------ both sides of an open store
def validate_store(
    store: Sides, *, only: Sequence[str] = (), quick: bool = False, progress: Progress | None = None
) -> Report:
    """Compare both sides of a store while others may go on writing."""
    began, started_at = time.monotonic(), now()
    progress = progress or Progress()
    _known(only)
    notes = _catch_up(store)
    if quick:
        with store.database.read() as connection:
            report = quickly.validate(connection, store.side, _known(only), progress)
    else:
        report = _Validation(store, only, progress).run()
    report.notes[:0] = notes
    return _dated(report, began, started_at, only, quick)


def _catch_up(store: Sides) -> list[str]:
    """Bring over what waits. What stands in the way of that is told."""
    if store.settings.data_backend == "sql":
        return []
    try:
        store.catch_up()
    except StoreError as error:
        return [f"What waits could not be brought over first: {error.message}"]
    return []


class _Validation:
    """The two passes over a store."""

    def __init__(self, store: Sides, only: Sequence[str], progress: Progress) -> None:
        self._store, self._progress, self._backend = store, progress, store.settings.data_backend
        self._files_count = self._backend == "json"
        with store.database.read() as connection:
            oldest = sa.select(users.c.id).order_by(users.c.createdAt, users.c.id).limit(1)
            owner = connection.scalar(oldest) if self._files_count else None
        self._look = Look(
            store.side, store.loader, only, store.secrets, owner=owner, with_derived=not self._files_count
        )

    def run(self) -> Report:
        candidates: dict[Entity, None] = {}
        tally = self._look.tally
        with self._hands() as workers, workers.snapshot(self._store.database) as connection:
            for out in self._look.everything(connection, self._progress, workers):
                if out.is_clean or out.settled:
                    tally.take(out)
                else:
                    candidates[out.entity] = None
        left = self._again(list(candidates))
        if left:
            tally.report.skipped += len(left)
            tally.report.notes.append(
                f"{len(left)} records changed all the while and could not be compared: validate again."
            )
        return self._finish()

    def _hands(self) -> contextlib.AbstractContextManager[Hands]:
        system = self._store.side.system
        if self._look.with_messages:
            return hands(self._store.database, system)
        return contextlib.nullcontext(Hands(system))

    def _finish(self) -> Report:
        if self._look.is_partial:  # of models that were not chosen nothing is known yet: it is looked up
            try:
                with self._standing_still():
                    waits = self._behind() if self._files_count else set[Entity]()
                    with self._store.database.read() as connection:
                        if self._backend == "dual":
                            waits = self._in_outbox(connection)
                        return self._look.finish(connection, self._progress, waits)
            except LockedError:
                self._look.tally.report.notes.append(_NOT_FOLLOWED)
        with self._store.database.read() as connection:
            return self._look.finish(connection, self._progress, None)

    def _again(self, candidates: list[Entity]) -> list[Entity]:
        """Look at candidates while the files stand still and nothing of them waits; those that always did."""
        for number in range(ROUNDS):
            if not candidates:
                break
            if number:
                time.sleep(_PAUSE_S)
            _catch_up(self._store)
            left: list[Entity] = []
            for some in _together(candidates):
                try:
                    with self._standing_still():
                        left += self._look_again(some)
                except LockedError:
                    left += some
            candidates = left
        return candidates

    def _standing_still(self) -> contextlib.AbstractContextManager[object]:
        side = self._store.side
        # Where there never was a writer, there is no folder for its lock.
        return side.lock.hold(LOCK_WAIT_S) if side.own_dir.is_dir() else contextlib.nullcontext()

    def _look_again(self, some: list[Entity]) -> list[Entity]:
        """Take what is found now of records of which nothing waits; the others."""
        waits = self._behind() if self._files_count else set[Entity]()
        with self._store.database.read() as connection:
            if self._backend == "dual":
                waits = self._in_outbox(connection)
            left = [one for one in some if _is_among(one, waits) and not self._is_stuck(one)]
            if left and any(kind == FILE for kind, _ in some):
                return some
            for out in self._look.some(connection, set(some) - set(left)):
                self._look.tally.take(out)
        return left

    def _in_outbox(self, connection: Connection) -> set[Entity]:
        """What SQL has and the files do not have yet, in the same snapshot in which it is compared."""
        table = self._store.database.own.outbox
        found = {(row.kind, row.entity_id) for row in connection.execute(sa.select(table))}
        fresh = [one for kind, one in found if kind == capture.MESSAGE and rows.is_sound(one)]
        for some in rows.chunks(fresh):
            chats = sa.select(messages.c.chatId).where(messages.c.id.in_(some)).distinct()
            found |= {(_LOG, chat_id) for chat_id in connection.scalars(chats)}
        return found

    def _behind(self) -> set[Entity]:
        """What the files have and SQL does not have yet."""
        index = self._store.index
        index.take_in()
        table = sa.table("index_behind", sa.column("kind"), sa.column("entity_id"))
        with index.database.read() as connection:
            return {(row.kind, row.entity_id) for row in connection.execute(sa.select(table).distinct())}

    def _is_stuck(self, entity: Entity) -> bool:
        """Whether what waits of a record will not come by itself."""
        if self._files_count:
            return bool(self._store.following.problems())
        return self._store.outbox.problem(entity) is not None


def _together(candidates: list[Entity]) -> Iterator[list[Entity]]:
    """Candidates in parts. What is wrong with a file of many goes with all of its records: one explains the other."""
    shelf_of = {kind: shelf.kinds[0] for shelf in _shelves() for kind in shelf.kinds}
    files = {first for kind, first in candidates if kind == FILE}
    for first in sorted(files):
        yield [one for one in candidates if one == (FILE, first) or shelf_of.get(one[0]) == first]
    yield from rows.chunks(
        (one for one in candidates if one[0] != FILE and shelf_of.get(one[0]) not in files), _AT_ONCE
    )


def _is_among(entity: Entity, waits: set[Entity]) -> bool:
    kind, record_id = entity
    kinds = {"chat": ("chat", capture.TOTALS, _LOG), _LOG: (_LOG, capture.MESSAGE)}.get(kind, (kind,))
    ids = (record_id, capture.EVERYTHING)
    return any((one, name) in waits for one in kinds for name in ids)
