"""What an export did, and what a dry run of one found."""

from dataclasses import dataclass, field
from typing import Any

from store.errors import StoreError
from store.mapping import MAPPINGS
from store.validation import Report


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
    dry_run: bool = False

    def note(self, kind: str, record_id: str, what: str) -> None:
        """Add what a dry run found; an id that is a secret is not told."""
        secret = kind in MAPPINGS and MAPPINGS[kind].document.secret_id
        self.changes.append(Change(kind, "(its id is not shown)" if secret else record_id, what))

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
        if self.problems and self.dry_run:
            lines.append(f"A dry run: an export would not switch because of {len(self.problems)} problems.")
        elif self.problems:
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
