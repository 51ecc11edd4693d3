"""SQL -> JSON, as a whole: a new generation, made from one snapshot, checked against it, and put in place at once.

The source may go on changing all the while: what changed leaves an entry in the outbox (triggers come before the
snapshot), and is applied after the switch. Killed anywhere, the files in use are the old ones or the new ones, whole.
"""

import math
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from store import Store, capture, inventory, rows
from store.deriving import current_state, plan_logs
from store.errors import JsonSideError, NotInStepError, StorageFullError, StoreError
from store.files import logs
from store.files.generations import Generations
from store.files.layout import SHELVES
from store.files.replace import Append, Write
from store.files.shelves import Changes, Entity, OwnFiles, Shelf, read_or_none
from store.files.staging import Staging
from store.mapping import MAPPINGS
from store.progress import Progress
from store.steps import FolderBond, Step
from store.validation import Report, validate_side

LOCK_WAIT_S = 15.0
CHATS_AT_ONCE = 20
_SPARE = 1.1  # of the room that is needed, so much has to be free
_BLOCK = 4096  # bytes that most disks take for the smallest file
_ONE_FILE_EACH = ("User", "Character", "Persona", "Chat")
_MAKE_ROOM = "Free some space and export again; the files in use are as they were."


@dataclass(frozen=True)
class Change:
    """What the export does to a record in the files: ``added``, ``changed`` or ``removed``."""

    kind: str
    id: str
    what: str


@dataclass
class ExportReport:
    """What an export did. ``models``: rows in SQL, how many of them were read back from the new files, and of how
    many a warning tells. ``changes`` is what a dry run found; ``problems`` keep the switch from happening."""

    generation: str | None = None
    switched: bool = False
    unchanged: bool = False
    models: dict[str, dict[str, int]] = field(default_factory=dict)
    files: int = 0
    written: int = 0
    bytes: int = 0
    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    problems: list[StoreError] = field(default_factory=list)
    report: Report | None = None

    @property
    def exit_status(self) -> int:
        """0 when everything is there and was checked."""
        return 1 if self.problems else 0

    def as_json(self) -> dict[str, Any]:
        """The report as one JSON object."""
        return {
            "generation": self.generation,
            "switched": self.switched,
            "unchanged": self.unchanged,
            "models": self.models,
            "files": self.files,
            "filesWritten": self.written,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "warnings": self.warnings,
            "changes": [vars(change) for change in self.changes],
            "problems": [problem.sentence for problem in self.problems],
        }

    def as_text(self) -> str:
        """The report for a person; success is only said when it was checked."""
        lines = [f"{model:<22}{one['rows']:>9} rows{one['written']:>9} written" for model, one in self.models.items()]
        lines += [f"{change.what.capitalize()}: {change.kind} {change.id}" for change in self.changes]
        lines += [f"Warning: {warning}" for warning in self.warnings]
        lines += [f"Problem: {problem.sentence}" for problem in self.problems]
        size = f"{self.files} files, {self.written} of them written, {self.bytes} bytes, {self.seconds:.1f} s."
        if self.problems:
            lines.append(f"Not switched because of {len(self.problems)} problems: the files in use are as they were.")
        elif self.unchanged:
            lines.append("Nothing to do: the files in use hold just this.")
        elif self.switched:
            lines.append(f"Exported, checked, and in use: {self.generation}.")
        elif self.generation:
            lines.append(f"Exported, checked, and not in use yet: {self.generation}.")
        else:
            lines.append(f"A dry run: {len(self.changes)} records would change.")
        return "\n".join([*lines, size])


def export(
    store: Store, *, dry_run: bool = False, switch: bool = True, progress: Progress | None = None
) -> ExportReport:
    """Export everything. ``dry_run`` does everything but writing; without ``switch`` the generation is made and not put
    in use.

    Raises NotInStepError in ``json`` mode, StorageFullError before anything is written, CancelledError, JsonSideError,
    DatabaseError; then the files in use are as they were.
    """
    if store.settings.data_backend == "json":
        raise NotInStepError(
            "The files are what counts here (DATA_BACKEND=json).", hint="To bring them to the database, import instead."
        )
    return _Export(store, dry_run, switch, progress or Progress()).run()


class _Export:
    def __init__(self, store: Store, dry_run: bool, switch: bool, progress: Progress) -> None:
        self._store, self._side, self._progress = store, store.side, progress
        self._dry_run, self._switch = dry_run, switch
        self._generations = Generations(store.side)
        self._report = ExportReport()

    def run(self) -> ExportReport:
        began = time.monotonic()
        if not self._dry_run:
            self._store.capture_on()  # before the snapshot: what changes from now on leaves an entry
        with self._side.lock.hold(LOCK_WAIT_S):
            self._side.make_folder()
            self._side.clean()
            self._check_space()
            path = self._side.own_dir / "nowhere" if self._dry_run else self._generations.begin()
            staging = Staging(self._side, path, keep=not self._dry_run)
            try:
                with self._store.database.read() as connection:
                    self._render(connection, staging)
                    self._finish(connection, staging)
            except StorageFullError as error:  # others filled it meanwhile
                raise StorageFullError(error.message, hint=_MAKE_ROOM) from error
            finally:
                if self._report.generation is None and not self._dry_run:
                    self._generations.drop(path)
            if self._report.switched:
                self._put_in_use()
        if self._report.switched and self._store.settings.data_backend == "dual":
            with suppress(StoreError):  # what changed meanwhile; if that cannot be now, it waits as always
                self._store.look()
                self._store.outbox.apply(LOCK_WAIT_S)
        self._report.seconds = time.monotonic() - began
        return self._report

    def _check_space(self) -> None:
        """What is copied from the files in use, and everything in SQL, which may come anew."""
        if self._dry_run:
            return
        with self._store.database.read() as connection:
            counted = inventory.count_rows(connection)
        blocks = sum(counted[model] for model in _ONE_FILE_EACH) * _BLOCK
        needed = (self._store.database.size() + self._side.room_for_copies() + blocks) * _SPARE
        free = self._side.system.free_space(self._side.own_dir)
        if free < needed:
            room = f"{math.ceil(needed / 1e6)} MB below {self._side.own_dir}; {math.floor(free / 1e6)} MB are free."
            raise StorageFullError(f"The export may need {room}", hint=_MAKE_ROOM)

    def _put_in_use(self) -> None:
        """From now on both sides belong together, and what waits is for these files."""
        if self._store.settings.data_backend == "dual":
            self._store.outbox.bond = FolderBond(self._store.database, self._side)
            self._store.outbox.bond.renew()
            self._store.outbox.apart = None

    # ------------------------------------------------------------------ rendering
    def _render(self, connection: Connection, staging: Staging) -> None:
        sizes = self._render_logs(connection, staging)
        shelves = list({id(shelf): shelf for shelf in SHELVES.values()}.values())
        for shelf in shelves:
            self._render_shelf(connection, staging, shelf, sizes)

    def _render_logs(self, connection: Connection, staging: Staging) -> dict[str, Write]:
        """The files of chats; the lines of chats then tell how long each is."""
        ids = sorted(rows.all_ids(connection, MAPPINGS["chat"]))
        extra = sorted(set(self._side.log_ids()) - set(ids))
        self._progress.phase("Writing messages", len(ids) + len(extra), share=0.4)
        sizes: dict[str, Write] = {}
        for some in rows.chunks([*ids, *extra], CHATS_AT_ONCE):
            files, refused = plan_logs(connection, self._side, [(capture.LOG, one) for one in some])
            unreadable = [entity for entity, error in refused.items() if isinstance(error, JsonSideError)]
            files.update(self._fresh_logs(connection, staging, unreadable, refused))
            self._report.problems += refused.values()
            for path, data in files.items():
                if isinstance(data, bytes):
                    sizes[path] = Append(len(data), b"")
                elif isinstance(data, Append):  # as it is
                    sizes[path] = data
                    continue
                self._note(capture.LOG, logs.chat_of(path), self._there(path), data is not None)
                staging.put(path, data)
            self._progress.step(len(some))
        return sizes

    def _fresh_logs(
        self, connection: Connection, staging: Staging, unreadable: list[Entity], refused: dict[Entity, StoreError]
    ) -> dict[str, Write]:
        """Files that cannot be read are made anew; as they were, they stay in the generation before."""
        if not unreadable:
            return {}
        self._report.warnings += [f"{refused.pop(entity).message} It is made anew." for entity in unreadable]
        files, still = plan_logs(connection, staging.side, unreadable)
        refused.update(still)
        return files

    def _render_shelf(self, connection: Connection, staging: Staging, shelf: Shelf, sizes: dict[str, Write]) -> None:
        wanted = [(kind, one) for kind in shelf.kinds for one in sorted(rows.all_ids(connection, MAPPINGS[kind]))]
        there = {
            (kind, one.id)
            for kind in shelf.kinds
            for one in self._side.entries(kind)
            if not isinstance(one, StoreError)
        }
        entities = [*wanted, *sorted(there - set(wanted))]
        noun = MAPPINGS[shelf.kinds[0]].document.noun
        self._progress.phase(f"Writing {noun} records", len(entities), share=0.3 / len(SHELVES))
        at_once = rows.CHUNK if isinstance(shelf, OwnFiles) else max(len(entities), 1)
        for some in rows.chunks(entities, at_once):
            changes, unfit = current_state(connection, self._store.loader, some)
            self._report.problems += unfit.values()
            self._stage(staging, shelf, changes, sizes)
            self._progress.step(len(some))

    def _stage(self, staging: Staging, shelf: Shelf, changes: dict[str, Changes], sizes: dict[str, Write]) -> None:
        """Put what is not in the files in use already; what those hold besides our records stays with it."""
        files, refused = self._side.plan(changes, sizes)
        unreadable = {entity for entity, error in refused.items() if isinstance(error, JsonSideError)}
        if unreadable:
            told = {refused.pop(entity).message for entity in unreadable}
            self._report.warnings += [f"{message} It is made anew." for message in sorted(told)]
            again = {
                kind: {one: record for one, record in records.items() if (kind, one) in unreadable}
                for kind, records in changes.items()
            }
            fresh, still = staging.side.plan(again, sizes)
            refused.update(still)
            files.update(fresh)
        self._report.problems += refused.values()
        for path, data in files.items():
            if self._dry_run and shelf.owns(path):
                self._note_records(shelf, path, data)
            staging.put(path, data)

    def _note_records(self, shelf: Shelf, path: str, data: Write) -> None:
        """What becomes of each record in a file."""
        with suppress(JsonSideError):
            old = read_or_none(self._side.system, self._side.data_dir, path)
            before = {(one.kind, one.id): one.record for one in (shelf.parse(path, old)[0] if old is not None else ())}
            new = data if isinstance(data, bytes) else None
            after = {(one.kind, one.id): one.record for one in (shelf.parse(path, new)[0] if new is not None else ())}
            for kind, one in sorted(before.keys() | after.keys()):
                if before.get((kind, one)) != after.get((kind, one)):
                    self._note(kind, one, (kind, one) in before, (kind, one) in after)

    def _note(self, kind: str, record_id: str, before: bool, after: bool) -> None:
        if self._dry_run:
            what = "changed" if before and after else "added" if after else "removed"
            secret = kind in MAPPINGS and MAPPINGS[kind].document.secret_id
            self._report.changes.append(Change(kind, "(its id is not shown)" if secret else record_id, what))

    def _there(self, path: str) -> bool:
        return read_or_none(self._side.system, self._side.data_dir, path) is not None

    # ------------------------------------------------------------------ checking
    def _finish(self, connection: Connection, staging: Staging) -> None:
        report = self._report
        counted = inventory.count_rows(connection)
        # A folder of its own becomes a generation whatever it holds: who exports can then go back to it.
        is_generation = self._generations.current() is not None
        report.unchanged = is_generation and not staging.changed and not report.problems
        staging.complete()
        report.files, report.written = len(staging.manifest.files), sum(map(bool, staging.changed.values()))
        report.bytes = sum(size for size, _ in staging.manifest.files.values())
        if self._dry_run:
            report.models = {model: {"rows": count, "written": 0, "warnings": 0} for model, count in counted.items()}
            return
        side = self._side if report.unchanged else staging.side
        checked = validate_side(
            connection, self._store.loader, side, secrets=self._store.secrets, progress=self._progress
        )
        report.report = checked
        noted = Counter(one.model for one in checked.rejected)
        noted.update(one.model for one in checked.dangling)
        noted.update(one.model for one in checked.secrets.failures)
        report.models = {
            model: {"rows": count, "written": checked.models[model].json, "warnings": noted[model]}
            for model, count in counted.items()
        }
        for model, number in Counter(one.model for one in checked.rejected).items():
            report.warnings.append(f"Quilltap 1.3 would refuse {number} of {model}; they were exported as they are.")
        strays = [one for one in checked.unreadable if _is_stray(one.path)]  # nobody's, and brought along as they were
        report.warnings += [f"{one.path}: {one.reason}." for one in strays]
        if checked.inconsistent or checked.errors or checked.skipped or len(checked.unreadable) > len(strays):
            sentence = f"The new files do not hold what the database does: {checked.inconsistent} rows differ."
            report.problems.append(JsonSideError(sentence, hint="See the report; nothing was switched."))
        if failed := checked.secrets.failed:  # they are what they were: also in the database
            report.warnings.append(f"{failed} secrets do not decrypt with this pepper; they were exported as they are.")
        if checked.dangling:
            report.warnings.append(f"{len(checked.dangling)} links name a record that is not there.")
        for model, one in report.models.items():
            if one["rows"] != checked.models[model].sql:
                report.problems.append(
                    JsonSideError(f"{one['rows']} rows of {model} are there, and not all were read.")
                )
        staging.manifest.counts = counted
        if report.problems or report.unchanged:
            return
        self._generations.finish(staging.path, staging.manifest)
        report.generation = staging.path.name
        if self._switch:
            self._generations.switch(staging.path.name)
            report.switched = True


def _is_stray(path: str) -> bool:
    return not path.startswith(f"{logs.FOLDER}/") and not any(shelf.owns(path) for shelf in SHELVES.values())


def roll_back(store: Store, name: str) -> Step:
    """Put an earlier generation in use; where both sides stand to each other then. In ``dual`` mode nothing is written
    over either until a person has said which is right; in ``json`` mode the database follows.

    Raises NotFoundError, JsonSideError; then the files in use are as they were.
    """
    with store.side.lock.hold(LOCK_WAIT_S):
        store.side.journal.recover(changing=True)
        before = Generations(store.side).current()
        Generations(store.side).switch(name)
    store.audit.note("rollback", "generation", name, title=name, message=f"Before, {before} was in use.")
    if store.settings.data_backend == "json":
        store.following.tie()
    elif store.following.belongs():
        store.following.end()  # or a later start in `json` mode would take from SQL what the older files lack
    return store.look() if store.settings.data_backend == "dual" else store.step
