"""Making both sides equal where they are not, from the side that is right: a plan first, then the writes, then a look.

Nothing is lost by it: a file that cannot be read, a record that goes, and what the database says where it is written
over, are set aside in the quarantine before.
"""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from store import Store, capture
from store.audit import noted, sum_up
from store.deriving import current_state, plan_logs
from store.errors import JsonSideError, StoreError
from store.files import logs
from store.files.index import JsonIndex
from store.files.layout import SHELVES
from store.files.mending import bad_copies, mend
from store.files.replace import Write
from store.files.shelves import Entity, OwnFiles
from store.files.side import JsonSide
from store.following import records_in_files
from store.giving import Giving, records_in_sql
from store.keeping import keep
from store.mapping import MAPPINGS
from store.progress import Progress
from store.repair_plan import RepairPlan, RepairStep, entries_of, paths_of, shelf_of, summary_of
from store.tables.messages import messages
from store.validation import Report, validate_all_data
from store.validation.tally import FILE

LOCK_WAIT_S = 15.0


def repair(store: Store, plan: RepairPlan, *, only: Sequence[str] = (), progress: Progress | None = None) -> Report:
    """Carry the plan out, and validate again: everything, or the models named in ``only``. A record that the database
    does not take is told in the report's notes and stops no other.

    Raises JsonSideError, DatabaseError, NotInStepError: what was written by then stands, and the rest can be planned
    anew.
    """
    progress = progress or Progress()
    progress.phase("Repairing", len(plan.steps), share=0.3)
    _mend(store, plan.steps)
    refused: list[StoreError] = []
    if plan.source == "json":
        refused = _sql_from_files(store, plan)
    elif store.settings.data_backend == "json":
        _files_from_sql_in_json_mode(store, plan)
    else:
        _files_from_sql(store, plan.steps, plan)
    progress.step(len(plan.steps))
    with progress.within(0.7):
        report = validate_all_data(store, only=only, progress=progress)
    report.notes[:0] = [problem.sentence for problem in refused]
    return report


# ------------------------------------------------------------------ files
def _mend(store: Store, steps: Sequence[RepairStep]) -> None:
    """Set aside what cannot be read, what is nobody's and what will go, and write anew what SQL still has of it."""
    side, files = store.side, dict[str, Write]()
    with side.lock.hold(LOCK_WAIT_S):
        side.journal.recover(changing=True)
        bad = [step for step in steps if step.action == "set aside"]
        with store.database.read() as connection:
            changes, _ = current_state(connection, store.loader, [(step.kind, step.id) for step in bad])
            fresh = [(step.kind, step.id) for step in bad if step.kind == capture.LOG]
            nowhere = JsonSide(side.own_dir / "nowhere", side.own_dir, side.system)
            files.update(dict.fromkeys(logs.log_path(one) for _, one in fresh))
            files.update(plan_logs(connection, nowhere, fresh)[0])
        for step in steps:
            if step.action == "delete" and step.target == "json":
                _set_aside(side, step)
            elif step.kind == FILE and step.action == "write":
                side.quarantine({step.id: side.system.read(side.data_dir / step.id)})
            if step.kind in MAPPINGS and MAPPINGS[step.kind].bytes_path and step.action == "write":
                files.update(dict.fromkeys(bad_copies(side, step.kind, step.id)))
        files.update({step.id: None for step in bad if step.kind == FILE and shelf_of(step.id) is None})
        paths = {path for step in bad for path in paths_of(step)}
        if paths or files:
            mend(side, paths, changes, files)


def _set_aside(side: JsonSide, step: RepairStep) -> None:
    if step.kind == capture.LOG:
        side.set_logs_aside([step.id])
    elif step.kind in MAPPINGS:
        side.set_aside(step.kind, [step.id])


# ------------------------------------------------------------------ from SQL
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
        shelf = shelf_of(step.id) if step.kind == FILE else SHELVES.get(step.kind)
        whole = step.kind == FILE or step.action == "set aside"
        if whole and shelf and not isinstance(shelf, OwnFiles):  # everything in it has to come back
            marked.update(dict.fromkeys((kind, capture.EVERYTHING) for kind in shelf.kinds))
    return list(marked)


def _files_from_sql(store: Store, steps: list[RepairStep], plan: RepairPlan | None = None) -> None:
    """``plan``: what is to be noted in the audit, where that was not done yet."""
    outbox = store.database.own.outbox
    with store.database.write() as connection:
        store.turn.check(connection)
        if plan:
            store.audit.write_many(connection, entries_of(plan, steps), summary_of(plan, steps))
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
        for entry in entries_of(plan, plan.steps):
            noted(entry)
        sum_up(summary_of(plan, plan.steps))

    store.json_backend.changing(work, lambda _: [])
    store.catch_up()


# ------------------------------------------------------------------ from the files
def _sql_from_files(store: Store, plan: RepairPlan) -> list[StoreError]:
    """Give the database what the files have; what it does not take."""
    steps = plan.steps
    with store.side.lock.hold(LOCK_WAIT_S):
        store.side.journal.recover(changing=False)
        store.index.take_in()
    with store.index.database.read() as files:
        wanted, doubts = records_in_files(files, store.index, {(step.kind, step.id) for step in steps})
    if doubts:
        raise JsonSideError(next(iter(doubts.values())).message, hint="Repair it from the database, or mend the file.")
    keep(store, [(step.kind, step.id) for step in steps])
    with store.database.write() as connection:
        store.turn.check(connection)
        giving = Giving(connection, store.database.own.outbox, wanted, heed=False)
        refused = giving.give()
        done = [step for step in steps if not _is_among(step, refused)]
        store.audit.write_many(connection, entries_of(plan, done), summary_of(plan, done))
    if store.settings.data_backend == "dual":  # what follows from them in other files
        _files_from_sql(store, done)
    elif store.settings.data_backend == "json":
        store.catch_up()
    return list(dict.fromkeys(refused.values()))


def _is_among(step: RepairStep, refused: Iterable[Entity]) -> bool:
    """Whether SQL did not take the record, or one that lies in the file."""
    shelf = shelf_of(step.id) if step.kind == FILE else None
    kinds = shelf.kinds if shelf else ()
    return any((step.kind, step.id) == one or one[0] in kinds for one in refused)
