"""What one look at a record found, and the sum of all looks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

from sqlalchemy import Table

from store.files.shelves import Entity
from store.mapping import Record, Row, Rows
from store.mapping.messages import MESSAGES
from store.quilltap import rejection
from store.validation.report import (
    Dangling,
    Difference,
    ModelCount,
    Rejected,
    Report,
    SecretCount,
    Unreadable,
    counted,
    model_of,
)
from store.validation.values import MODEL_OF, row_id, shown_id

State = Literal["equal", "different", "only_sql", "only_json", "unreadable"]
WHOLE_VALUES: Final = 2_000  # differences whose values are kept whole
CUT: Final = 200  # characters of the values of the others
FILE: Final = "file"  # the entity of what is found in a file, and is no record's: (FILE, the shelf's first kind)
SQL: Final = "SQL"  # the path of what cannot be read there
RowName = tuple[str, str]  # model, id


class Link(NamedTuple):
    """A link that a row of the files bears."""

    model: str
    id: str
    field: str
    table: str
    target: str


class Moved(NamedTuple):
    """A message that is in another chat's file than SQL says: or once more there."""

    id: str
    in_sql: str
    in_json: str
    path: str


@dataclass(frozen=True)
class Derived:
    """A field of a file that follows from rows. It is no difference of its own where it follows from the files' own
    rows: where any of ``causes`` (``all_of_them``: each) is not equal itself."""

    difference: Difference
    causes: tuple[RowName, ...] = ()
    all_of_them: bool = False


@dataclass
class Outcome:
    """What a look at one record, or one chat's file, found. ``rows``: what became of each of its rows. ``settled``: no
    writer that is under way can be the reason."""

    entity: Entity
    settled: bool = False
    rows: list[tuple[str, str, State]] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    derived: list[Derived] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    secrets: SecretCount = field(default_factory=SecretCount)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.differences or self.derived or self.unreadable or self.moved) and all(
            state == "equal" for _, _, state in self.rows
        )

    def put(self, table: Table, row: Row, state: State) -> None:
        """Say what became of a row."""
        self.rows.append((MODEL_OF[table.name], row_id(table, row), state))

    def one_sided(self, table: Table, row: Row, state: Literal["only_sql", "only_json"], kind: str, shown: str) -> None:
        """A row that is on one side only."""
        self.put(table, row, state)
        here = True if state == "only_sql" else None
        there = True if state == "only_json" else None
        self.differences.append(Difference(MODEL_OF[table.name], row_id(table, row), None, here, there, kind, shown))

    def add_links(self, table: Table, row: Row) -> None:
        """Remember where a row of the files leads to."""
        for key in table.foreign_keys:
            column, target = key.parent.name, row.get(key.parent.name)
            if isinstance(target, str):
                named = (MODEL_OF[table.name], row_id(table, row), column)
                self.links.append(Link(*named, key.column.table.name, target))

    def judge(self, kind: str, record_id: str, record: Record) -> None:
        """Whether Quilltap would take the record."""
        if reason := rejection(kind, record):
            self.rejected.append(Rejected(model_of(kind), shown_id(kind, record_id), reason))


class Tally:
    """The sum. ``with_derived`` False: what follows from rows is only noted, for the files' own writer may not keep it
    up to date."""

    def __init__(self, models: Iterable[str], *, with_derived: bool) -> None:
        self.report = Report(models=counted(models))
        self._with_derived = with_derived
        self._derived: list[Derived] = []
        self.links: list[Link] = []
        self._moved: list[Moved] = []
        # Rows that are not equal, by model: id -> state.
        self.not_equal: dict[str, dict[str, State]] = {}
        self._affected: dict[Entity, None] = {}

    def equal(self, table: Table, rows: int) -> None:
        """So many rows more are the same on both sides."""
        if count := self.report.models.get(MODEL_OF[table.name]):
            count.sql += rows
            count.json += rows
            count.equal += rows

    def equal_rows(self, tables: Iterable[Table], rows: Rows) -> None:
        """All of a record's own rows are the same on both sides."""
        for table in tables:
            if several := rows.get(table.name):
                self.equal(table, len(several))

    def reject(self, rejected: Iterable[Rejected]) -> None:
        """Add what Quilltap would refuse of rows that are the same on both sides."""
        self.report.rejected += [one for one in rejected if one.model in self.report.models]

    def take(self, outcome: Outcome) -> None:
        """Add what a look found."""
        for model, name, state in outcome.rows:
            self._count(model, name, state)
        report, models = self.report, self.report.models
        if not outcome.is_clean and outcome.entity[0] != FILE and outcome.entity[1]:
            self._affected[outcome.entity] = None
        self._affected.update({(FILE, one.path): None for one in outcome.unreadable if _is_of_a_file(outcome, one)})
        report.differences += [
            _kept(one, len(report.differences)) for one in outcome.differences if one.model in models
        ]
        self._derived += outcome.derived
        report.unreadable += [one for one in outcome.unreadable if not one.model or one.model in models]
        self.reject(outcome.rejected)
        report.notes += outcome.notes
        self._moved += outcome.moved
        self.links += [one for one in outcome.links if one.model in models]
        if outcome.secrets.checked:
            report.secrets.checked += outcome.secrets.checked
            report.secrets.failures += outcome.secrets.failures

    def _count(self, model: str, name: str, state: State) -> None:
        if state != "equal":
            self.not_equal.setdefault(model, {})[name] = state
        if count := self.report.models.get(model):
            setattr(count, state, getattr(count, state) + 1)
            count.sql += state in ("equal", "different", "only_sql")
            count.json += state in ("equal", "different", "only_json")

    def count_of(self, model: str) -> ModelCount | None:
        """The model's count, if it is looked at."""
        return self.report.models.get(model)

    def in_state(self, model: str, *states: State) -> Iterator[str]:
        """Ids of rows in one of these states."""
        return (name for name, state in self.not_equal.get(model, {}).items() if state in states)

    # ------------------------------------------------------------------ at the end
    def settle(self, in_sql: dict[str, int]) -> None:
        """Decide what of the derived fields is a difference of its own. The rows are all known by now; ``in_sql``: how
        many of each model SQL has, also of those that the files do not tell."""
        for model, count in self.report.models.items():
            count.sql = in_sql[model]
        for moved in self._moved:
            self._settle_moved(moved)
        noted: dict[tuple[str, str], int] = {}
        for derived in self._derived:
            one = derived.difference
            if one.model not in self.report.models or self._follows(derived):
                continue
            if not self._with_derived:
                noted[one.model, one.field or ""] = noted.get((one.model, one.field or ""), 0) + 1
                continue
            self.report.differences.append(_kept(one, len(self.report.differences)))
            self._demote(one)
            if one.kind == FILE:
                self._affected[FILE, one.record_id] = None
        for (model, name), number in noted.items():
            self.report.notes.append(
                f"{model}: in {number} records “{name}” is not what follows from the rest; the files are what counts."
            )
        self.report.affected = list(self._affected)
        self._derived = []

    def _settle_moved(self, moved: Moved) -> None:
        model = MESSAGES.model
        count, states = self.report.models.get(model), self.not_equal.setdefault(model, {})
        if count is None:
            return
        if states.get(moved.id) != "only_sql":  # it is in its own chat's file too
            reason = f"the message {moved.id} has an id that another chat's message has"
            self.report.unreadable.append(Unreadable(moved.path, None, MESSAGES.kind, moved.id, reason))
            count.unreadable += 1
            return
        states[moved.id] = "different"
        count.only_sql, count.different, count.json = count.only_sql - 1, count.different + 1, count.json + 1
        differences = self.report.differences
        place = next(
            n for n, one in enumerate(differences) if (one.model, one.id, one.field) == (model, moved.id, None)
        )
        chats = shown_id("chat", moved.in_sql), shown_id("chat", moved.in_json)
        differences[place] = Difference(model, moved.id, "chatId", *chats, MESSAGES.kind, moved.id)

    def _follows(self, derived: Derived) -> bool:
        if not derived.causes:
            return False
        told = [name in self.not_equal.get(model, {}) for model, name in derived.causes]
        return all(told) if derived.all_of_them else any(told)

    def _demote(self, one: Difference) -> None:
        """A row that is the same on both sides is different in what follows from it. A file is no row, and counts as
        one more."""
        states = self.not_equal.setdefault(one.model, {})
        if one.id in states:
            return
        states[one.id] = "different"
        count = self.report.models[one.model]
        count.different += 1
        if one.kind != FILE and count.equal:
            count.equal -= 1

    def dangle(self, side: Literal["sql", "json"], link: Link) -> None:
        """A link leads to nothing."""
        if link.model in self.report.models:
            self.report.dangling.append(Dangling(side, link.model, link.id, link.field, link.target))


def _is_of_a_file(outcome: Outcome, lost: Unreadable) -> bool:
    """Whether it lies in a file, and belongs to no record that could be made anew."""
    return lost.path != SQL and (outcome.entity[0] == FILE or not outcome.entity[1])


def _kept(one: Difference, before: int) -> Difference:
    """A difference as it is kept: of very many not the whole texts, which may be as much as there is data."""
    if before < WHOLE_VALUES:
        return one
    here, there = (f"{value[:CUT]}…" if _is_long(value) else value for value in (one.sql, one.json))
    if here == there and one.sql != one.json:  # they differ further on
        here, there = f"{len(one.sql)} characters, {here}", f"{len(one.json)} characters, {there}"
    return replace(one, sql=here, json=there)


def _is_long(value: object) -> bool:
    return isinstance(value, str) and len(value) > CUT
