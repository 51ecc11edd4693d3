"""What a validation found: counts of every model, each difference, and what could not be judged."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

from store.mapping import MAPPINGS
from store.mapping.messages import MESSAGES
from store.tables import MODELS
from store.validation.values import shown_id

# The bits of the exit status; 1 is left for what could not run at all.
DIFFERENT: Final = 2
UNREADABLE: Final = 4
DANGLING: Final = 8
UNDECRYPTABLE: Final = 16
SHOWN = 100  # lines of one kind in the text; the JSON has them all
_VALUE = 60  # characters of a value in the text


@dataclass(frozen=True)
class Difference:
    """A field that is not the same on both sides; ``field`` None: a record that is there on one side only (its value
    there is True).

    ``kind`` and ``record_id`` name the record whose file holds it: of a link the character, of a message itself. Of a
    ``secret`` neither value is told. ``unreadable``: the record is in the files, but cannot be read as it should; then
    it counts as such, and the field is what can be told of it all the same.
    """

    model: str
    id: str
    field: str | None
    sql: Any
    json: Any
    kind: str
    record_id: str
    secret: bool = False
    unreadable: bool = False


@dataclass(frozen=True)
class Dangling:
    """A link to a record that is not there on that side (``sql`` or ``json``)."""

    side: str
    model: str
    id: str
    field: str
    target: str


@dataclass(frozen=True)
class Rejected:
    """A record that Quilltap 1.3 would refuse: a warning."""

    model: str
    id: str
    reason: str


@dataclass(frozen=True)
class Unreadable:
    """A file, line or record that cannot be read, or was passed over. ``path`` is below the data folder, or ``SQL``.
    ``fields``: what is known to be wrong in it."""

    path: str
    line: int | None
    kind: str
    id: str | None
    reason: str
    fields: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        """The model of its kind; empty for a file that belongs to none."""
        return model_of(self.kind)


@dataclass
class ModelCount:
    """Rows of one model. Those that are ``unreadable`` are on one side at least."""

    sql: int = 0
    json: int = 0
    equal: int = 0
    different: int = 0
    only_sql: int = 0
    only_json: int = 0
    unreadable: int = 0

    @property
    def checked(self) -> int:
        """Rows looked at, each once for both sides."""
        return self.equal + self.inconsistent + self.unreadable

    @property
    def inconsistent(self) -> int:
        """Rows that are not the same on both sides."""
        return self.different + self.only_sql + self.only_json


@dataclass(frozen=True)
class FailedSecret:
    """A secret that does not decrypt. ``field`` is the column of its ciphertext."""

    model: str
    id: str
    field: str
    side: str


@dataclass
class SecretCount:
    """Encrypted values that were decrypted, on both sides together."""

    checked: int = 0
    failures: list[FailedSecret] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """How many do not decrypt."""
        return len(self.failures)


@dataclass
class Report:
    """Everything one validation found. ``affected``: every record whose file is not what SQL says, also where that
    only follows from another difference: (kind, id)."""

    models: dict[str, ModelCount] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    dangling: list[Dangling] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    secrets: SecretCount = field(default_factory=SecretCount)
    rejected: list[Rejected] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    skipped: int = 0
    affected: list[tuple[str, str]] = field(default_factory=list, repr=False)
    seconds: float = 0.0
    started_at: str = ""
    only: tuple[str, ...] = ()
    quick: bool = False

    @property
    def exit_status(self) -> int:
        """0 when both sides hold the same; else bits for what was found."""
        different = self.inconsistent or any(not one.unreadable for one in self.differences)
        return sum(
            bit
            for bit, found in (
                (DIFFERENT, different),
                (UNREADABLE, self.errors or self.unreadable or self.skipped),
                (DANGLING, self.dangling),
                (UNDECRYPTABLE, self.secrets.failed),
            )
            if found
        )

    @property
    def checked(self) -> int:
        """Rows of all models."""
        return sum(one.checked for one in self.models.values()) + self.skipped

    @property
    def consistent(self) -> int:
        """Rows that are the same on both sides."""
        return sum(one.equal for one in self.models.values())

    @property
    def inconsistent(self) -> int:
        """Rows that are not."""
        return sum(one.inconsistent for one in self.models.values())

    @property
    def errors(self) -> int:
        """Rows of which that cannot be said."""
        return sum(one.unreadable for one in self.models.values())

    # ------------------------------------------------------------------ as JSON
    def as_json(self) -> dict[str, Any]:
        """Everything in plain JSON; no secret is in it."""
        return {
            "checked": self.checked,
            "consistent": self.consistent,
            "inconsistent": self.inconsistent,
            "errors": self.errors,
            "skipped": self.skipped,
            "exit_status": self.exit_status,
            "models": {model: asdict(count) for model, count in self.models.items()},
            "differences": [asdict(one) for one in self.differences],
            "dangling": [asdict(one) for one in self.dangling],
            "secrets": {
                "checked": self.secrets.checked,
                "failed": self.secrets.failed,
                "failures": [asdict(one) for one in self.secrets.failures],
            },
            "rejected_by_quilltap": [asdict(one) for one in self.rejected],
            "unreadable": [{"model": one.model, **asdict(one), "fields": list(one.fields)} for one in self.unreadable],
            "notes": list(self.notes),
            "affected": [[kind, shown_id(kind, record_id)] for kind, record_id in self.affected],
            "seconds": self.seconds,
            "started_at": self.started_at,
            "only": list(self.only),
            "quick": self.quick,
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Self:
        """The report that ``as_json`` told."""
        secrets = told["secrets"]
        keys = ("path", "line", "kind", "id", "reason")
        return cls(
            models={model: ModelCount(**count) for model, count in told["models"].items()},
            differences=[Difference(**one) for one in told["differences"]],
            dangling=[Dangling(**one) for one in told["dangling"]],
            notes=list(told["notes"]),
            secrets=SecretCount(secrets["checked"], [FailedSecret(**one) for one in secrets["failures"]]),
            rejected=[Rejected(**one) for one in told["rejected_by_quilltap"]],
            unreadable=[
                Unreadable(**{key: one[key] for key in keys}, fields=tuple(one["fields"])) for one in told["unreadable"]
            ],
            skipped=told["skipped"],
            affected=[(kind, record_id) for kind, record_id in told["affected"]],
            seconds=told["seconds"],
            started_at=told["started_at"],
            only=tuple(told["only"]),
            quick=told["quick"],
        )

    # ------------------------------------------------------------------ as text
    def as_text(self) -> str:
        """For people: what is not as it should be, and at the end the sums."""
        parts = [
            self._table(),
            _part("Different", [_of_difference(one) for one in self.differences]),
            _part("Cannot be read", [_of_unreadable(one) for one in self.unreadable]),
            _part("Links to nothing", [f"{one.side}: {_row(one)} names {one.target}" for one in self.dangling]),
            _part(
                "Secrets that do not decrypt (why: secrets check)",
                [f"{one.side}: {_row(one)}" for one in self.secrets.failures],
            ),
            _part("Quilltap 1.3 would refuse", [f"{one.model} {one.id}: {one.reason}" for one in self.rejected]),
            _part("Notes", self.notes),
            f"{self.verdict}\n",
            f"Total Checked: {self.checked}",
            f"Consistent: {self.consistent}",
            f"Inconsistent: {self.inconsistent}",
            f"Errors: {self.errors}",
        ]
        return "\n".join(part for part in parts if part)

    @property
    def verdict(self) -> str:
        """What was found, in a sentence."""
        what = "the same records" if self.quick else "the same"
        if self.quick and MESSAGES.model in self.models:  # which a quick look only counts
            what += " and as many messages"
        if not self.exit_status:
            return f"Both sides hold {what}."
        found = (
            (DIFFERENT, "both sides differ"),
            (UNREADABLE, "something could not be read or was passed over"),
            (DANGLING, "links lead to nothing"),
            (UNDECRYPTABLE, "secrets do not decrypt"),
        )
        told = "; ".join(words for bit, words in found if self.exit_status & bit)
        return f"{told[0].upper()}{told[1:]}."

    def _table(self) -> str:
        names = ("sql", "json", "equal", "different", "only_sql", "only_json", "unreadable")
        heads = ("SQL", "JSON", "equal", "different", "only SQL", "only JSON", "unreadable")
        lines = [f"{'':<22}" + "".join(f"{head:>11}" for head in heads)]
        for model, count in self.models.items():
            lines.append(f"{model:<22}" + "".join(f"{getattr(count, name):>11}" for name in names))
        return "\n".join([*lines, ""])


def model_of(kind: str) -> str:
    """The model whose rows a kind's main records are; empty for none."""
    if kind == MESSAGES.kind:
        return MESSAGES.model
    return MAPPINGS[kind].model if kind in MAPPINGS else ""


def counted(models: Iterable[str]) -> dict[str, ModelCount]:
    """A count for each model, in the order of the schema; all of them when none is named."""
    wanted = set(models)
    return {model: ModelCount() for model in MODELS if model in wanted or not wanted}


def _row(one: Dangling | FailedSecret) -> str:
    return f"{one.model} {one.id}, {one.field}"


def _part(head: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    more = [f"  … and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n".join([f"{head}:", *(f"  {line}" for line in lines[:SHOWN]), *more, ""])


def _of_difference(one: Difference) -> str:
    if one.field is None:
        return f"{one.model} {one.id} is only in {'SQL' if one.sql else 'the files'}"
    values = "the values are secret" if one.secret else f"{_short(one.sql)} in SQL, {_short(one.json)} in the files"
    return f"{one.model} {one.id}, {one.field}: {values}"


def _of_unreadable(one: Unreadable) -> str:
    place = one.path if one.line is None else f"{one.path}, line {one.line}"
    named = f" ({one.model} {one.id})" if one.id is not None and one.model else ""
    return f"{place}{named}: {one.reason}"


def _short(value: Any) -> str:
    told = "nothing" if value is None else repr(value) if isinstance(value, str) else str(value)
    return told if len(told) <= _VALUE else f"{told[: _VALUE - 1]}…"
