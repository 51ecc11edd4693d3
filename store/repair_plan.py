"""What a repair would do, record by record and file by file, and why; and what it could not do from that side."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy import Connection

from store import Store, capture, identity, rows
from store.audit import Change
from store.bonds import reached
from store.discretion import shown_id
from store.errors import NotInStepError, StoreError
from store.files import logs
from store.files.layout import SHELVES
from store.files.shelves import Entity, Shelf, read_or_none
from store.giving import GIVEN
from store.mapping import MAPPINGS, spoken
from store.steps import sql_is_empty
from store.tables.messages import messages
from store.validation.secrets import SecretsCheck
from store.validation.tally import FILE

Side = Literal["sql", "json"]
Action = Literal["write", "delete", "set aside"]
_ACTIONS: Final[dict[Action, str]] = {
    "write": "Write",
    "delete": "Delete",
    "set aside": "Set aside and make anew",
}
_SPOKEN: Final = {"sql": "SQL", "json": "JSON"}
_FROM_SQL = "Repair it from the database, or mend the file."
MOST_NAMED = 5  # records in one sentence
_NOBODYS = "Take it away, or repair from the database: that sets it aside."


@dataclass(frozen=True)
class RepairStep:
    """What happens to one record on ``target``: ``write``, ``delete``, or ``set aside`` (a file of it cannot be read).
    Of the kind ``file``, ``id`` is the path of a file of the JSON side."""

    kind: str
    id: str
    model: str
    action: Action
    target: Side
    why: str

    @property
    def is_nobodys(self) -> bool:
        """Whether it is about a file that belongs to no record."""
        return self.kind == FILE and not self.model and shelf_of(self.id) is None

    @property
    def words(self) -> str:
        """What happens, for a person."""
        return "Set aside" if self.is_nobodys else _ACTIONS[self.action]

    @property
    def name(self) -> str:
        """What it happens to, for a person."""
        what = "the messages of chat" if self.kind == capture.LOG else self.model or "the file"
        return f"{what} {self.shown_id or '(its id is not shown)'}"

    @property
    def shown_id(self) -> str:
        """The id; of a record whose id is a secret, nothing."""
        return "" if self.kind in MAPPINGS and MAPPINGS[self.kind].document.secret_id else self.id


@dataclass
class RepairPlan:
    """The steps of a repair from ``source``. ``left``: what cannot be repaired from there, as sentences."""

    source: Side
    steps: list[RepairStep] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The plan as one JSON object; ids that are secrets are not shown."""
        shown = [{**vars(step), "id": step.shown_id} for step in self.steps]
        return {"source": self.source, "steps": shown, "left": self.left}

    def as_text(self) -> str:
        """The plan for a person."""
        lines = [f"{step.words} on the {_SPOKEN[step.target]} side: {step.name}: {step.why}" for step in self.steps]
        records = "1 record" if len(self.steps) == 1 else f"{len(self.steps)} records"
        return "\n".join([*lines, *(f"Left: {one}" for one in self.left), f"{records} to repair."])


def plan_repair(entities: Iterable[Entity], source: Side, store: Store) -> RepairPlan:
    """What would be done about these records (``log``: the messages of a chat; ``file``: a file). Nothing is written.

    Raises NotInStepError when the side that shall be right holds nothing, and the other one does.
    """
    empty = {"sql": sql_is_empty(store.database), "json": store.side.is_empty()}
    if empty[source] and not all(empty.values()):
        which = f"The folder {store.side.data_dir}" if source == "json" else "The database"
        raise NotInStepError(
            f"{which} holds no record: from it the other side would be emptied, not repaired.",
            hint="Is the right disk in its place, and do DATABASE_URL and DATA_DIR name the right ones? To begin anew, "
            "name an empty database and an empty folder.",
        )
    return _Planning(source, store).plan(dict.fromkeys(map(_named, entities)))


def shelf_of(path: str) -> Shelf | None:
    """Whose file this is; None for nobody's, and for chats' files."""
    return next((shelf for shelf in SHELVES.values() if shelf.owns(path)), None)


def _named(entity: Entity) -> Entity:
    """A file of a chat is named by the chat."""
    kind, path = entity
    is_log = kind == FILE and shelf_of(path) is None and path.startswith(f"{logs.FOLDER}/") and path.endswith(".jsonl")
    return (capture.LOG, logs.chat_of(path)) if is_log else entity


class _Planning:
    def __init__(self, source: Side, store: Store) -> None:
        self._store, self._source = store, source
        self._plan = RepairPlan(source)
        self._secrets = SecretsCheck(store.secrets)
        self._logs = set(store.side.log_ids())

    def plan(self, wanted: Collection[Entity]) -> RepairPlan:
        self._store.index.refresh(thorough=True)
        with self._store.database.read() as sql, self._store.index.database.read() as files:
            changed = identity.changed_ids(files, sql) if self._source == "json" else {}
            # With the old id would go everything that is the user's.
            left = {("user", one) for one in (*changed, *changed.values())}
            steps: list[RepairStep | None] = [
                self._of_record(sql, files, one) for one in wanted if one[0] != FILE and one not in left
            ]
        self._plan.left += [identity.refusal(new, old).sentence for new, old in changed.items()]
        if self._source == "json":
            with self._store.database.read() as sql, self._store.index.database.read() as files:
                steps = list(self._heeding_bonds(sql, files, [step for step in steps if step]))
        made_anew = {path for step in steps if step and step.action == "set aside" for path in paths_of(step)}
        steps += [self._of_file(path) for kind, path in wanted if kind == FILE and path not in made_anew]
        self._plan.steps = [step for step in steps if step]
        self._plan.left = list(dict.fromkeys(self._plan.left))
        return self._plan

    def _heeding_bonds(self, sql: Connection, files: Connection, steps: list[RepairStep]) -> Iterator[RepairStep]:
        """The steps without deletes with which would go what the files hold, or what the plan does not name; and those
        with which others lose a link say so."""
        planned = {(step.kind, step.id): step.action for step in steps}
        deletes: dict[str, list[str]] = {}
        for step in steps:
            if step.action == "delete" and step.kind in GIVEN:
                deletes.setdefault(step.kind, []).append(step.id)
        bound = {kind for kind, ids in deletes.items() if any(self._reached(sql, files, kind, ids, planned))}
        for step in steps:
            if step.action != "delete" or step.kind not in bound:
                yield step
                continue
            gone, cut = self._reached(sql, files, step.kind, [step.id], planned)
            if gone:
                self._plan.left.append(
                    f"The {spoken(step.kind, step.id)} is not in the files, and with it would go: {_few(gone)}. "
                    "Put it back into the files, repair it from the database, or delete it on its page."
                )
            else:
                yield replace(step, why=f"{step.why} A link to it lose: {_few(cut)}.") if cut else step

    @staticmethod
    def _reached(
        sql: Connection, files: Connection, kind: str, ids: list[str], planned: dict[Entity, Action]
    ) -> tuple[set[Entity], set[Entity]]:
        (gone, cut), (still, named) = reached(sql, kind, ids), reached(files, kind, ids)
        chats = {one for (of, one), does in planned.items() if of == capture.LOG or (of, does) == ("chat", "delete")}
        of_message = sa.select(messages.c.id, messages.c.chatId)
        for some in rows.chunks([one for of, one in gone if of == capture.MESSAGE]):
            told = sql.execute(of_message.where(messages.c.id.in_(some)))
            gone -= {(capture.MESSAGE, row.id) for row in told if row.chatId in chats}  # the chat speaks for them
        return still | (gone - planned.keys()), (named | cut) - planned.keys()

    # ------------------------------------------------------------------ files
    def _of_file(self, path: str) -> RepairStep | None:
        """A file in which something is wrong that belongs to no record."""
        side, shelf = self._store.side, shelf_of(path)
        try:
            data = read_or_none(side.system, side.data_dir, path)
            if data is None:
                return None
            bad: list[StoreError] = [error for _, error in shelf.parse(path, data)[1]] if shelf else []
        except StoreError as error:
            bad = [error]
        if bad or shelf is None:
            why = bad[0].message if bad else f"{path} belongs to no record."
            if self._source == "json":
                self._plan.left.append(f"{why} {_FROM_SQL if bad else _NOBODYS}")
                return None
            return RepairStep(FILE, path, "", "set aside", "json", why)
        model = MAPPINGS[shelf.kinds[0]].model
        return RepairStep(FILE, path, model, "write", "json", "It is not what follows from its records.")

    # ------------------------------------------------------------------ records
    def _of_record(self, sql: Connection, files: Connection, entity: Entity) -> RepairStep | None:
        kind, record_id = entity
        if self._would_lose_secret(sql, files, entity):
            other = "files" if self._source == "sql" else "database"
            secret = f"The secret of the {spoken(kind, record_id)} does not decrypt on that side"
            self._plan.left.append(f"{secret}, and that of the {other} does. Repair it from the {other}.")
            return None
        in_sql, in_files = self._is_there(sql, entity), self._is_there(files, entity)
        problem = self._store.index.problem_in(files, kind, record_id)
        model = GIVEN["message" if kind == capture.LOG else kind].model
        if self._source == "sql":
            return self._from_sql(entity, model, in_sql, in_files or self._is_lone_log(entity), problem)
        if self._is_lone_log(entity) and not in_files:
            path = logs.log_path(record_id)
            self._plan.left.append(f"{path} has no chat. Take the file away, or repair it from the database.")
            return None
        return self._from_json(entity, model, in_sql, in_files, problem)

    @staticmethod
    def _from_sql(
        entity: Entity, model: str, in_sql: bool, in_files: bool, problem: StoreError | None
    ) -> RepairStep | None:
        if problem:
            return RepairStep(*entity, model, "set aside", "json", problem.message)
        if in_sql:
            why = "The files have something else." if in_files else "It is not in the files."
            return RepairStep(*entity, model, "write", "json", why)
        return RepairStep(*entity, model, "delete", "json", "It is not in the database.") if in_files else None

    def _from_json(
        self, entity: Entity, model: str, in_sql: bool, in_files: bool, problem: StoreError | None
    ) -> RepairStep | None:
        if problem:
            self._plan.left.append(f"{problem.message} {_FROM_SQL}")
            return None
        if in_files:
            why = "The database has something else." if in_sql else "It is not in the database."
            return RepairStep(*entity, model, "write", "sql", why)
        return RepairStep(*entity, model, "delete", "sql", "It is not in the files.") if in_sql else None

    def _is_lone_log(self, entity: Entity) -> bool:
        """Whether it is a chat's file, be there a chat or not."""
        return entity[0] == capture.LOG and entity[1] in self._logs

    @staticmethod
    def _is_there(connection: Connection, entity: Entity) -> bool:
        kind, record_id = entity
        mapping = MAPPINGS["chat"] if kind == capture.LOG else GIVEN[kind]
        if mapping.derived:
            return True
        here = sa.select(sa.literal(1)).where(mapping.main.c[mapping.key] == record_id)
        return connection.execute(here).first() is not None

    def _would_lose_secret(self, sql: Connection, files: Connection, entity: Entity) -> bool:
        """Whether a secret that decrypts would be written over by one that does not."""
        kind, record_id = entity
        if kind not in ("user", "key"):
            return False
        failed: dict[Side, set[str]] = {}
        sides: tuple[tuple[Side, Connection], ...] = (("sql", sql), ("json", files))
        for side, connection in sides:
            mapping = GIVEN[kind]
            loaded = rows.load(connection, mapping, [record_id]).get(record_id)
            row = loaded[mapping.main.name][0] if loaded else None
            looked = self._secrets.look(kind, mapping.model, record_id, row, None)
            failed[side] = {one.field for one in looked.count.failures}
        other: Side = "json" if self._source == "sql" else "sql"
        return bool(failed[self._source] - failed[other]) and self._is_there(files if other == "json" else sql, entity)


def _few(entities: Collection[Entity]) -> str:
    """Some of them, by name."""
    first = [spoken(*one) for one in sorted(entities)[:MOST_NAMED]]
    more = len(entities) - len(first)
    return ", ".join([*first, *([f"and {more:,} more"] if more else [])])


def paths_of(step: RepairStep) -> tuple[str, ...]:
    """The files that may hold what a step is about."""
    if step.kind == FILE:
        return (step.id,)
    return SHELVES[step.kind].paths(step.id) if step.kind in MAPPINGS else ()


def entries_of(plan: RepairPlan, steps: Iterable[RepairStep]) -> list[Change]:
    """Steps that were carried out, as the audit has them."""
    side = _SPOKEN[plan.source]
    return [
        Change(
            "repair",
            "chat" if step.kind == capture.LOG else step.kind,
            shown_id(step.kind, step.id),
            message=f"{step.words}, from the {side} side.",
        )
        for step in steps
    ]


def summary_of(plan: RepairPlan, steps: Collection[RepairStep]) -> str:
    """How many that were, in a sentence."""
    return f"{len(steps):,} records were repaired from the {_SPOKEN[plan.source]} side."
