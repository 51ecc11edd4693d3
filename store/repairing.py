"""Making both sides equal where they are not, from the side that is right: a plan first, then the writes, then a look.

Nothing is lost by it: a file that cannot be read, and a record that goes, are set aside in the quarantine before.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import Connection

from store import Store, capture
from store.audit import Change, noted, sum_up
from store.discretion import shown_id
from store.errors import JsonSideError, NotInStepError, StoreError
from store.files import logs
from store.files.index import JsonIndex
from store.files.layout import SHELVES
from store.files.shelves import Entity, OwnFiles
from store.following import records_in_files
from store.giving import GIVEN, Giving, records_in_sql
from store.mapping import MAPPINGS
from store.progress import Progress
from store.tables.messages import messages
from store.validation import Report, validate_all_data

Side = Literal["sql", "json"]
LOCK_WAIT_S = 15.0
_ACTIONS = {"write": "Write", "delete": "Delete", "set aside": "Set aside and make anew"}


@dataclass(frozen=True)
class RepairStep:
    """What happens to one record on ``target``: ``write``, ``delete``, or ``set aside`` (a file of it cannot be
    read)."""

    kind: str
    id: str
    model: str
    action: str
    target: Side
    why: str


@dataclass
class RepairPlan:
    """The steps of a repair from ``source``. ``left``: what cannot be repaired from there, as sentences."""

    source: Side
    steps: list[RepairStep] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The plan as one JSON object; ids that are secrets are not shown."""
        shown = [{**vars(step), "id": "" if _is_secret(step.kind) else step.id} for step in self.steps]
        return {"source": self.source, "steps": shown, "left": self.left}

    def as_text(self) -> str:
        """The plan for a person."""
        lines = [
            f"{_ACTIONS[step.action]} on the {_SPOKEN[step.target]} side: {step.model} "
            f"{'(its id is not shown)' if _is_secret(step.kind) else step.id}: {step.why}"
            for step in self.steps
        ]
        return "\n".join([*lines, *(f"Left: {one}" for one in self.left), f"{len(self.steps)} records to repair."])


_SPOKEN = {"sql": "SQL", "json": "JSON"}


def plan_repair(entities: Iterable[Entity], source: Side, store: Store) -> RepairPlan:
    """What would be done about these records (``log``: the messages of a chat). Nothing is written."""
    plan = RepairPlan(source)
    store.index.refresh(full=True)
    wanted = dict.fromkeys(entities)
    with store.database.read() as sql, store.index.database.read() as files:
        for kind, record_id in wanted:
            in_sql = _is_there(sql, kind, record_id)
            problem = store.index.problem_in(files, kind, record_id)
            in_files = _is_there(files, kind, record_id)
            step = _step(plan, (kind, record_id), in_sql, in_files, problem)
            if step:
                plan.steps.append(step)
    return plan


def _step(
    plan: RepairPlan, entity: Entity, in_sql: bool, in_files: bool, problem: StoreError | None
) -> RepairStep | None:
    kind, record_id = entity
    model = GIVEN["message" if kind == capture.LOG else kind].model
    if plan.source == "sql":
        if problem:
            return RepairStep(kind, record_id, model, "set aside", "json", problem.message)
        if in_sql:
            why = "The files have something else." if in_files else "It is not in the files."
            return RepairStep(kind, record_id, model, "write", "json", why)
        return RepairStep(kind, record_id, model, "delete", "json", "It is not in the database.") if in_files else None
    if problem:
        plan.left.append(f"{problem.message} Repair it from the database, or mend the file.")
        return None
    if in_files:
        why = "The database has something else." if in_sql else "It is not in the database."
        return RepairStep(kind, record_id, model, "write", "sql", why)
    return RepairStep(kind, record_id, model, "delete", "sql", "It is not in the files.") if in_sql else None


def _is_there(connection: Connection, kind: str, record_id: str) -> bool:
    mapping = MAPPINGS["chat"] if kind == capture.LOG else GIVEN[kind]
    if mapping.derived:
        return True
    here = sa.select(sa.literal(1)).where(mapping.main.c[mapping.key] == record_id)
    return connection.execute(here).first() is not None


def repair(store: Store, plan: RepairPlan, *, only: Sequence[str] = (), progress: Progress | None = None) -> Report:
    """Carry the plan out, and validate again: everything, or the models named in ``only``.

    Raises JsonSideError, DatabaseError, NotInStepError: what was written by then stands, and the rest can be planned
    anew.
    """
    progress = progress or Progress()
    progress.phase("Repairing", len(plan.steps), share=0.3)
    if plan.source == "sql":
        _set_aside(store, plan)
        if store.settings.data_backend == "json":
            _files_from_sql_in_json_mode(store, plan)
        else:
            _files_from_sql(store, plan.steps, plan)
    else:
        _sql_from_files(store, plan)
    progress.step(len(plan.steps))
    return validate_all_data(store, only=only, progress=progress)


# ------------------------------------------------------------------ from SQL
def _set_aside(store: Store, plan: RepairPlan) -> None:
    """Move what cannot be read out of the way, and copy what will go."""
    side = store.side
    with side.lock.hold(LOCK_WAIT_S):
        side.journal.recover(changing=True)
        for step in plan.steps:
            if step.kind == capture.LOG:
                if step.action == "set aside" or step.action == "delete":
                    side.set_logs_aside([step.id])
                if step.action == "set aside":
                    side.write({logs.log_path(step.id): None})
            elif step.action == "delete":
                side.set_aside(step.kind, [step.id])
            elif step.action == "set aside":
                side.set_bad_files_aside(step.kind, step.id)


def _marks(connection: Connection, steps: Iterable[RepairStep], index: JsonIndex) -> list[Entity]:
    """What has to be derived anew so that the files of these records are right, with what follows from them."""
    marked: dict[Entity, None] = {}
    for step in steps:
        chats = {step.id} if step.kind == capture.LOG else set()
        if step.kind == capture.MESSAGE:
            of_message = sa.select(messages.c.chatId).where(messages.c.id == step.id)
            with index.database.read() as files:
                chats = {str(one) for one in (connection.scalar(of_message), files.scalar(of_message)) if one}
        for chat_id in chats:
            marked[capture.LOG, chat_id] = marked[capture.TOTALS, chat_id] = None
        if step.kind in MAPPINGS:
            marked[step.kind, step.id] = None
            shelf = SHELVES[step.kind]
            if step.action == "set aside" and not isinstance(shelf, OwnFiles):  # everything in it has to come back
                marked.update(dict.fromkeys((kind, capture.EVERYTHING) for kind in shelf.kinds))
    return list(marked)


def _entries(plan: RepairPlan) -> list[Change]:
    """The repair as the audit has it, record by record."""
    side = _SPOKEN[plan.source]
    return [
        Change(
            "repair",
            "chat" if step.kind == capture.LOG else step.kind,
            shown_id(step.kind, step.id),
            message=f"{_ACTIONS[step.action]}, from the {side} side.",
        )
        for step in plan.steps
    ]


def _summary(plan: RepairPlan) -> str:
    return f"{len(plan.steps):,} records were repaired from the {_SPOKEN[plan.source]} side."


def _files_from_sql(store: Store, steps: list[RepairStep], plan: RepairPlan | None = None) -> None:
    """``plan``: what is to be noted in the audit, where that was not done yet."""
    outbox = store.database.own.outbox
    with store.database.write() as connection:
        store.turn.check(connection)
        if plan:
            store.audit.write_many(connection, _entries(plan), _summary(plan))
        marked = _marks(connection, steps, store.index)
        if marked:
            connection.execute(sa.insert(outbox), [{"kind": kind, "entity_id": one} for kind, one in marked])
    apart, store.outbox.apart = store.outbox.apart, None  # a person has said which side is right
    try:
        store.outbox.apply(LOCK_WAIT_S)
    finally:
        store.outbox.apart = apart
    if store.settings.data_backend == "dual":
        store.look()


def _files_from_sql_in_json_mode(store: Store, plan: RepairPlan) -> None:
    """The index is given what SQL has, and the files follow from it as from any other change."""
    with store.database.read() as sql:
        wanted = records_in_sql(sql, [(step.kind, step.id) for step in plan.steps])

    def work(connection: Connection) -> None:
        refused = Giving(connection, store.index.database.own.outbox, wanted, heed=False).give()
        for problem in refused.values():
            raise problem
        for entry in _entries(plan):
            noted(entry)
        sum_up(_summary(plan))

    store.json_backend.changing(work, lambda _: [])
    store.catch_up()


# ------------------------------------------------------------------ from the files
def _sql_from_files(store: Store, plan: RepairPlan) -> None:
    steps = plan.steps
    with store.side.lock.hold(LOCK_WAIT_S):
        store.side.journal.recover(changing=False)
        store.index.take_in()
    with store.index.database.read() as files:
        wanted, doubts = records_in_files(files, store.index, {(step.kind, step.id) for step in steps})
    if doubts:
        raise JsonSideError(next(iter(doubts.values())).message, hint="Repair it from the database, or mend the file.")
    with store.database.write() as connection:
        store.turn.check(connection)
        giving = Giving(connection, store.database.own.outbox, wanted, heed=False)
        refused = giving.give()
        if refused:
            problem = next(iter(refused.values()))
            raise NotInStepError(f"{problem.message} Nothing was written.", hint=problem.hint)
        store.audit.write_many(connection, _entries(plan), _summary(plan))
    if store.settings.data_backend == "dual":
        _files_from_sql(store, steps)  # what follows from them in other files
    elif store.settings.data_backend == "json":
        store.catch_up()


def _is_secret(kind: str) -> bool:
    return kind in MAPPINGS and MAPPINGS[kind].document.secret_id
