"""What a validation found, as its pages show it: record by record, model by model, run by run. Pure functions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from store.jobs import DONE, Job
from store.validation.report import Difference, ModelCount, Report
from store.validation.tally import FILE, SQL

Entity = tuple[str, str]
# What a bar shows, in its order: the count's name, and the words for it.
PARTS: Final = (
    ("equal", "equal"),
    ("different", "different"),
    ("only_sql", "only in the database"),
    ("only_json", "only in the files"),
    ("unreadable", "unreadable"),
)
STATES: Final = dict(PARTS)
LEAST_SHOWN = 0.8  # per cent of a bar: one among ten thousand is seen too


@dataclass
class Row:
    """A row that is not the same on both sides. ``entity``: the record whose file holds it, which is what is repaired;
    ``number``: its place in the report, for addresses."""

    number: int
    model: str
    id: str
    entity: Entity
    state: str
    fields: list[Difference] = field(default_factory=list)
    reason: str = ""
    place: str = ""

    @property
    def words(self) -> str:
        return STATES[self.state]


@dataclass(frozen=True)
class Segment:
    """One part of a bar: where it begins and how wide it is, in per cent."""

    name: str
    words: str
    count: int
    start: float
    width: float


class Findings:
    """A report, looked at row by row."""

    def __init__(self, report: Report) -> None:
        self.report = report

    @cached_property
    def rows(self) -> list[Row]:
        """Every row that is not equal, in the report's order."""
        found: dict[tuple[str, str], Row] = {}
        for one in self.report.differences:
            key = (one.model, one.id)
            if key not in found:
                found[key] = Row(len(found), one.model, one.id, (one.kind, one.record_id), _state(one))
            if one.field is not None:
                found[key].fields.append(one)
        rows = list(found.values())
        for lost in self.report.unreadable:
            place = lost.path if lost.line is None else f"{lost.path}, line {lost.line}"
            known = found.get((lost.model, lost.id)) if lost.id is not None else None
            if known:
                known.state, known.reason, known.place = "unreadable", lost.reason, place
                continue
            entity = (lost.kind, lost.id) if lost.id else (FILE, lost.path if lost.path != SQL else "")
            rows.append(Row(len(rows), lost.model, lost.id or "", entity, "unreadable", [], lost.reason, place))
        return rows

    def of_model(self, model: str) -> list[Row]:
        return [row for row in self.rows if row.model == model]

    @property
    def without_model(self) -> list[Row]:
        """What belongs to no model: files that nobody knows."""
        return [row for row in self.rows if not row.model]

    def row(self, number: int) -> Row | None:
        return self.rows[number] if 0 <= number < len(self.rows) else None

    def entities(self, numbers: Iterable[int] | None = None) -> list[Entity]:
        """The records to repair: those of these rows, or all of them with what follows from them."""
        if numbers is not None:
            chosen = [row.entity for number in numbers if (row := self.row(number))]
        else:
            chosen = [row.entity for row in self.rows] + list(self.report.affected)
        return [entity for entity in dict.fromkeys(chosen) if entity[1]]

    def models(self) -> list[tuple[str, ModelCount, list[Segment]]]:
        """Each model with its bar."""
        return [(model, count, bar(count)) for model, count in self.report.models.items()]


def _state(one: Difference) -> str:
    if one.unreadable:
        return "unreadable"
    if one.field is not None:
        return "different"
    return "only_sql" if one.sql else "only_json"


def bar(count: ModelCount) -> list[Segment]:
    """The parts of a model's bar, together 100 per cent; what is there at all is wide enough to be seen."""
    numbers = [(name, words, getattr(count, name)) for name, words in PARTS]
    total = sum(number for _, _, number in numbers)
    if not total:
        return []
    widths = [max(100 * number / total, LEAST_SHOWN) if number else 0.0 for _, _, number in numbers]
    scale, start, segments = 100 / sum(widths), 0.0, []
    for (name, words, number), width in zip(numbers, widths, strict=True):
        if number:
            segments.append(Segment(name, words, number, round(start, 2), round(width * scale, 2)))
            start += width * scale
    return segments


@dataclass(frozen=True)
class Run:
    """One validation in the trend: what was wrong, and how high its column is, in per cent."""

    job: Job
    wrong: int
    height: float


def trend(jobs: Sequence[Job], at_most: int = 30, *, with_secrets: bool = True) -> list[Run]:
    """The validations that ended, the oldest first; ``with_secrets`` counts those that do not decrypt as well."""
    ended = [job for job in jobs if job.state == DONE and job.summary][:at_most]
    counted = ("inconsistent", "errors", "dangling", *(["secrets"] if with_secrets else []))
    wrong = [sum(int(job.summary.get(name, 0)) for name in counted) for job in ended]
    highest = max(wrong, default=0)
    runs = [Run(job, number, _height(number, highest)) for job, number in zip(ended, wrong, strict=True)]
    return runs[::-1]


def _height(number: int, highest: int) -> float:
    # A root, so that a single difference is seen beside a thousand.
    return round(100 * (number / highest) ** 0.5, 1) if number else 0.0
