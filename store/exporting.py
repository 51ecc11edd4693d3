"""SQL -> JSON, as a whole: a new generation, made from one snapshot, checked against it, and put in place at once.

The source may go on changing all the while: what changed leaves an entry in the outbox (triggers come before the
snapshot), and is applied after the switch. Killed anywhere, the files in use are the old ones or the new ones, whole.
"""

import math
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import Connection

from store import Store, inventory
from store.deriving import Loader
from store.errors import JsonSideError, NotInStepError, StorageFullError, StoreError
from store.export_report import ExportReport
from store.files import logs
from store.files.generations import Generations
from store.files.layout import SHELVES
from store.files.side import JsonSide
from store.files.staging import Staging
from store.files.system import told_as_json_side
from store.generating import Generating
from store.hands import Hands, hands
from store.progress import Progress
from store.steps import FolderBond, Step
from store.validation import Report, Unreadable, validate_side
from store.validation.tally import SQL
from store.validation.vouching import Known, Vouched

LOCK_WAIT_S = 15.0
_SPARE = 1.1  # of the room that is needed, so much has to be free
_BLOCK = 4096  # bytes that most disks take for the smallest file
_ONE_FILE_EACH = ("User", "Character", "Persona", "Chat")
_NAMED = 20  # files that problems name, at most
_MAKE_ROOM = "Free some space and export again; the files in use are as they were."


def export(
    store: Store, *, dry_run: bool = False, switch: bool = True, progress: Progress | None = None
) -> ExportReport:
    """Export everything. ``dry_run`` does everything but writing, also the checks; without ``switch`` the generation is
    made and not put in use.

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
        self._report = ExportReport(dry_run=dry_run)

    def run(self) -> ExportReport:
        began = time.monotonic()
        if not self._dry_run:
            self._store.capture_on()  # before the snapshot: what changes from now on leaves an entry
        with self._side.lock.hold(LOCK_WAIT_S) as lock:
            self._side.make_folder()
            self._side.clean()
            path = self._side.own_dir / "nowhere" if self._dry_run else self._generations.begin()
            staging = Staging(self._side, path, keep=not self._dry_run)
            try:
                with (
                    hands(self._store.database, self._side.system, lock) as workers,
                    workers.snapshot(self._store.database) as connection,
                ):
                    counted = inventory.count_rows(connection)
                    self._check_space(connection, counted)
                    generating = Generating(self._store, staging, self._report, self._progress, workers)
                    with self._progress.within(0.6):
                        generating.run(connection, counted)
                    self._finish(connection, staging, generating, workers, counted)
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

    def _check_space(self, connection: Connection, counted: dict[str, int]) -> None:
        """What is copied from the files in use, and everything in SQL, which may come anew."""
        if self._dry_run:
            return
        blocks = sum(counted[model] for model in _ONE_FILE_EACH) * _BLOCK
        needed = (self._store.database.size(connection) + self._side.room_for_copies() + blocks) * _SPARE
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

    # ------------------------------------------------------------------ checking
    def _finish(
        self,
        connection: Connection,
        staging: Staging,
        generating: Generating,
        workers: Hands,
        counted: dict[str, int],
    ) -> None:
        report = self._report
        # A folder of its own becomes a generation whatever it holds: who exports can then go back to it.
        # So does one whose manifest was lost: there is a whole one then.
        is_generation = self._generations.is_complete(self._generations.current())
        report.unchanged = is_generation and not staging.changed and not report.problems
        report.models = {model: {"rows": count, "written": 0, "warnings": 0} for model, count in counted.items()}
        if not (report.unchanged or self._dry_run):
            staging.complete()
        report.files, report.bytes = staging.totals()
        report.written = sum(map(bool, staging.changed.values()))
        is_new = not (report.unchanged or self._dry_run)
        side = staging.foreseen if self._dry_run else staging.side if is_new else self._side
        vouched = Vouched(self._read_back(staging, generating, workers) if is_new else generating.known)
        checked = self._compare(connection, side, generating.loader, vouched, counted)
        if self._dry_run:
            _pass_over_bytes_to_come(checked, staging)
        self._judge(checked)
        staging.manifest.counts = counted
        if report.problems or not is_new:
            return
        with told_as_json_side(staging.path):
            workers.end_sync()
        self._generations.finish(staging.path, staging.manifest)
        report.generation = staging.path.name
        if self._switch:
            self._generations.switch(staging.path.name)
            report.switched = True

    def _read_back(self, staging: Staging, generating: Generating, workers: Hands) -> dict[str, Known]:
        """Of the files that are known those that lie on the disk as they were made."""
        known, found = generating.known, dict[str, Known]()
        self._progress.phase("Reading files back", len(known), share=0.1)
        brought = {path: one.entry for path, one in known.items() if path not in staging.changed}
        for work in (generating.reading_back, workers.begin_to_read_back(staging.path, brought)):
            for paths in work.results() if work else ():
                found.update((path, known[path]) for path in paths)
                self._progress.step(len(paths))
        return found

    def _compare(
        self, connection: Connection, side: JsonSide, loader: Loader, vouched: Vouched, counted: dict[str, int]
    ) -> Report:
        """Read everything back and compare it with the same snapshot."""
        with self._progress.within(0.3):
            return validate_side(
                connection,
                loader,
                side,
                secrets=self._store.secrets,
                progress=self._progress,
                vouched=vouched,
                counted=counted,
            )

    def _judge(self, checked: Report) -> None:
        """What was found becomes warnings, and problems, which keep the switch from happening."""
        report, were, do = self._report, *(("would be", "would") if self._dry_run else ("were", "do"))
        noted = Counter(one.model for one in checked.rejected)
        noted.update(one.model for one in checked.dangling)
        noted.update(one.model for one in checked.secrets.failures)
        for model, one in report.models.items():
            one["warnings"] = noted[model]
        for model, number in Counter(one.model for one in checked.rejected).items():
            report.warnings.append(f"Quilltap 1.3 would refuse {number} of {model}; they {were} exported as they are.")
        strays = [one for one in checked.unreadable if _is_stray(one.path)]  # nobody's, and brought along as they were
        report.warnings += [f"{one.path}: {one.reason}." for one in strays]
        named = self._in_the_way([one for one in checked.unreadable if one.path != SQL and not _is_stray(one.path)])
        of_sql = any(one.path == SQL for one in checked.unreadable)
        if checked.inconsistent or checked.skipped or of_sql or (checked.errors and not named):
            sentence = f"The new files {do} not hold what the database does: {checked.inconsistent} rows differ."
            report.problems.append(JsonSideError(sentence, hint="See the report; nothing was switched."))
        report.problems += named
        if failed := checked.secrets.failed:  # they are what they were: also in the database
            report.warnings.append(
                f"{failed} secrets do not decrypt with this pepper; they {were} exported as they are."
            )
        if checked.dangling:
            report.warnings.append(f"{len(checked.dangling)} links name a record that is not there.")
        for model, one in report.models.items():
            there = checked.models[model].json
            if one["rows"] != there:
                sentence = f"{one['rows']} rows of {model} are in the database, and {there} {were} read back."
                report.problems.append(JsonSideError(sentence, hint="See the report; nothing was switched."))
        if not self._dry_run:
            report.report = checked
            for model, one in report.models.items():
                one["written"] = checked.models[model].json

    def _in_the_way(self, unreadable: Sequence[Unreadable]) -> list[JsonSideError]:
        """Files that lie where records do and are none, or hold what is none: each once."""
        first: dict[str, Unreadable] = {}
        for one in unreadable:
            first.setdefault(one.path, one)
        hint = f"Mend it, or move it out of {self._side.data_dir}, and export again."
        told = []
        for path, one in list(first.items())[:_NAMED]:
            place = path if one.line is None else f"{path}, line {one.line},"
            told.append(JsonSideError(f"{place} is in the way of the export: {one.reason}.", hint=hint))
        if more := len(first) - len(told):
            told.append(JsonSideError(f"So are {more} more files.", hint="To see all, validate: data validate --json."))
        return told


def _is_stray(path: str) -> bool:
    return not path.startswith(f"{logs.FOLDER}/") and not any(shelf.owns(path) for shelf in SHELVES.values())


def _pass_over_bytes_to_come(checked: Report, staging: Staging) -> None:
    """Bytes of images that an export brings are not missing."""
    come = [one for one in checked.differences if one.field == "bytes" and staging.brings(f"binaries/{one.sql}/raw")]
    if not come:
        return
    spared = set(map(id, come))
    checked.differences = [one for one in checked.differences if id(one) not in spared]
    others = {(one.model, one.id) for one in checked.differences}
    for model, _ in {(one.model, one.id) for one in come} - others:
        checked.models[model].different -= 1
        checked.models[model].equal += 1


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
        return Step(
            False,
            "These files count now, and the database comes to hold what they do.",
            "What still waits is on the home page; validate afterwards.",
        )
    if store.following.belongs():
        store.following.end()  # or a later start in `json` mode would take from SQL what the older files lack
    if store.settings.data_backend == "sql":
        return Step(
            False,
            "Tandem works on the database alone, which was not touched.",
            "The files may differ from it: validate, then export, or import them with --merge.",
        )
    return store.look()
