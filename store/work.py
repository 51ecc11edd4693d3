"""What each kind of background work does: the functions that the commands call, and what is kept of what they say."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from store import Store, codec, rows
from store.errors import ConflictError, JsonSideError, NotFoundError
from store.export_report import ExportReport
from store.exporting import export, roll_back
from store.files.generations import Generations
from store.files.layout import SHELVES
from store.importing import ImportPlan, import_json, plan_import
from store.jobs import Job, Outcome
from store.mapping import MAPPINGS
from store.mapping.messages import MESSAGES
from store.progress import Progress
from store.repair_plan import RepairPlan, plan_repair
from store.repairing import repair
from store.steps import Step
from store.validation import Report, validate_all_data
from store.validation.values import real_ids

KEPT = 5000  # of each list in a report; a report of everything belongs in a file (`data validate --report`)
LOCK_WAIT_S = 15.0
Entity = tuple[str, str]


def run(store: Store, job_id: int, stopping: Callable[[], bool] = lambda: False) -> Job | None:
    """Do a job now, in this thread; None when somebody else has it. It never raises what the work raised: the job says
    so."""
    return store.jobs.carry_out(job_id, lambda job, progress: WORK[job.kind](store, job.arguments, progress), stopping)


def _export(store: Store, arguments: dict[str, Any], progress: Progress) -> Outcome:
    return of_export(store, export(store, progress=progress))


def _dry_run(store: Store, arguments: dict[str, Any], progress: Progress) -> Outcome:
    return of_export(store, export(store, dry_run=True, progress=progress), dry_run=True)


def of_export(store: Store, report: ExportReport, *, dry_run: bool = False) -> Outcome:
    """An export that was not put in use because of problems has not done what it was for."""
    told = _shortened(report.as_json())
    generations = Generations(store.side)
    if name := report.generation or (generations.current() if report.unchanged else None):
        told["places"] = places(generations.manifest(name).files)
    summary = {key: told[key] for key in ("generation", "switched", "unchanged", "files", "bytes")}
    summary["seconds"] = round(report.seconds, 2)
    summary |= {key: len(getattr(report, key)) for key in ("warnings", "changes", "problems")}
    summary["rows"] = sum(one["rows"] for one in report.models.values())
    error = None
    if report.problems:
        count = len(report.problems)
        what = "an export would not be put in use" if dry_run else "nothing was switched"
        error = JsonSideError(
            f"{count} {'problem stands' if count == 1 else 'problems stand'} in the way: {what}.",
            hint="The files in use are as they were; each problem says what to do.",
        )
    return Outcome(told, summary, error)


def places(files: Mapping[str, tuple[int, str]]) -> dict[str, dict[str, int]]:
    """Model -> how many files its records lie in, and their bytes. Several models share some files."""
    found: dict[str, dict[str, int]] = {}
    shelves = list({id(shelf): shelf for shelf in SHELVES.values()}.values())
    for path, (size, _) in files.items():
        models: list[str] = []
        if shelf := next((one for one in shelves if one.owns(path)), None):
            models = [MAPPINGS[kind].model for kind in shelf.kinds]
        elif path.startswith("chats/"):
            models = [MESSAGES.model]
        elif path.startswith("binaries/"):
            models = [MAPPINGS["image"].model]
        for model in models:
            place = found.setdefault(model, {"files": 0, "bytes": 0})
            place["files"] += 1
            place["bytes"] += size
    return found


def validate(store: Store, only: Sequence[str], quick: bool, progress: Progress) -> tuple[Report, Outcome]:
    """Compare both sides; with what is kept of that: also which folder it was about, and the last change before it
    that the outbox knows of."""
    about = {"folder": str(store.settings.data_dir), "change": store.outbox.newest()}
    report = validate_all_data(store, only=only, quick=quick, progress=progress)
    outcome = of_report(report)
    return report, Outcome(outcome.result, {**outcome.summary, **about}, outcome.error)


def _validate(store: Store, arguments: dict[str, Any], progress: Progress) -> Outcome:
    return validate(store, arguments.get("only", ()), False, progress)[1]


def _quick_validate(store: Store, arguments: dict[str, Any], progress: Progress) -> Outcome:
    return validate(store, arguments.get("only", ()), True, progress)[1]


def of_report(report: Report) -> Outcome:
    """A validation that ran has done what it was for, whatever it found."""
    names = ("checked", "consistent", "inconsistent", "errors")
    summary: dict[str, Any] = {name: getattr(report, name) for name in names}
    summary |= {"exit": report.exit_status, "dangling": len(report.dangling), "secrets": report.secrets.failed}
    return Outcome(_shortened(report.as_json()), summary | {"seconds": round(report.seconds, 2)})


def planned_repair(store: Store, entities: Iterable[Entity], source: str) -> RepairPlan:
    """What would be written, from where, and why. Raises NotFoundError for a side that there is not."""
    if source not in ("sql", "json"):
        raise NotFoundError(f"There is no side “{source}”.", hint="It is sql or json.")
    return plan_repair(_with_real_ids(store, entities), "sql" if source == "sql" else "json", store)


def _with_real_ids(store: Store, entities: Iterable[Entity]) -> Iterator[Entity]:
    """Reports name some records by a hash, because the id itself is a secret."""
    for kind, record_id in entities:
        if kind in MAPPINGS and MAPPINGS[kind].document.secret_id:
            mapping = MAPPINGS[kind]
            known: set[str] = set()
            for database in (store.database, store.index.database):
                with database.read() as connection:
                    known.update(rows.all_ids(connection, mapping))
            yield from ((kind, one) for one in real_ids(kind, [record_id], known) or [record_id])
        else:
            yield kind, record_id


def fingerprint(plan: RepairPlan) -> str:
    """Says whether a plan is still the one that was looked at."""
    steps = [[step.kind, step.id, step.model, step.action, step.target] for step in plan.steps]
    return hashlib.sha256(codec.dumps(steps)).hexdigest()


def _repair(store: Store, arguments: dict[str, Any], progress: Progress) -> Outcome:
    entities = [(kind, record_id) for kind, record_id in arguments["entities"]]
    plan = planned_repair(store, entities, arguments["source"])
    if arguments.get("plan") not in (None, fingerprint(plan)):
        raise ConflictError(
            "The records are not any more as they were when the plan was shown.", hint="Look at the plan once more."
        )
    return of_report(repair(store, plan, progress=progress))


def _import(store: Store, arguments: dict[str, Any], progress: Progress) -> Outcome:
    merge = bool(arguments.get("merge"))
    if arguments.get("dry_run"):
        plan = plan_import(store, merge=merge)
    else:
        plan = import_json(store, merge=merge, progress=progress)
    return of_import(plan)


def of_import(plan: ImportPlan) -> Outcome:
    """What was brought to the database, or would be."""
    summary = {name: len(getattr(plan, name)) for name in ("inserts", "updates", "problems")}
    return Outcome(_shortened({**plan.as_json(), "text": plan.as_text()}), summary)


def _roll_back(store: Store, arguments: dict[str, Any], progress: Progress) -> Outcome:
    return put_back(store, str(arguments["generation"]))[1]


def put_back(store: Store, name: str) -> tuple[Step, Outcome]:
    """Put a generation in use; where both sides stand then."""
    before = Generations(store.side).current()
    step = roll_back(store, name)
    told = {"generation": name, "before": before, "step": step.sentence, "hint": step.hint}
    return step, Outcome(told, told)


def _prune(store: Store, arguments: dict[str, Any], progress: Progress) -> Outcome:
    with store.side.lock.hold(LOCK_WAIT_S):
        gone = Generations(store.side).prune(int(arguments.get("keep", 5)))
    return Outcome({"removed": gone}, {"removed": len(gone)})


def _shortened(told: dict[str, Any]) -> dict[str, Any]:
    """A report without the far end of its long lists; ``cut`` says how long they were."""
    cut = {name: len(value) for name, value in told.items() if isinstance(value, list) and len(value) > KEPT}
    return {**told, **{name: told[name][:KEPT] for name in cut}, "cut": cut}


WORK: Final[dict[str, Callable[[Store, dict[str, Any], Progress], Outcome]]] = {
    "export": _export,
    "dry-run": _dry_run,
    "validate": _validate,
    "quick-validate": _quick_validate,
    "repair": _repair,
    "import": _import,
    "rollback": _roll_back,
    "prune": _prune,
}
