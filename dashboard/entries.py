"""How an entry of the audit is told: what was done in words, and each field with both values side by side."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from markupsafe import Markup

from dashboard.formatters import counted
from dashboard.views.marking import Told, both_marked, told
from store import codec
from store.audit import CANCELLED, DONE, FAILED, REFUSED, STARTED, UNKNOWN, Entry
from store.audit.differences import NO_FIELDS, NotKept, value_of
from store.audit.going import along_in_words
from store.mapping import MAPPINGS
from store.tables import JSON_NULL

VERBS: Final = {
    "create": "Made",
    "update": "Changed",
    "delete": "Deleted",
    "clear": "Cleared",
    "sign-in": "Signed in",
    "sign-out": "Signed out",
    "prove": "Gave the password again",
    "recovery code": "Used a recovery code",
    "recovery codes": "Made new recovery codes",
    "set-up": "Tried the set-up",
    "two-factor on": "Switched two-factor sign-in on",
    "two-factor off": "Switched two-factor sign-in off",
    "two-factor reset": "Reset two-factor sign-in",
    "end sessions": "Ended sessions",
    "refused": "Was refused",
    "failed": "Failed",
    "import": "Imported",
    "repair": "Repaired",
    "export": "Export",
    "dry-run": "Dry run of an export",
    "validate": "Validation",
    "quick-validate": "Quick validation",
    "rollback": "Roll back",
    "prune": "Deletion of old generations",
    "download": "Downloaded",
    "capture on": "Put triggers in place",
    "capture off": "Took triggers away",
}
_TRIED: Final = {"sign-in": "Tried to sign in", "prove": "Tried to give the password again"}
# Outcome -> in words, the badge's kind, its icon; what was simply done needs none.
OUTCOMES: Final = {
    REFUSED: ("refused", "warn", "lock"),
    FAILED: ("failed", "error", "error"),
    STARTED: ("started", "info", "play"),
    CANCELLED: ("cancelled", "plain", "stop"),
    UNKNOWN: ("not known whether it counts", "warn", "warn"),
}
_COLUMNS: Final = (
    *("id", "at", "actor", "role", "address", "request_id", "action", "kind", "record_id", "title", "outcome"),
    *("message", "part_of", "undoes", "changes"),
)
# What a spreadsheet would take for one, also in the width of letters that East Asian keyboards type.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NOUNS: Final = {"tandem account": "account"}
_WORDS: Final = {"id": "Id", "userId": "User", "imageTags": "Tagged with", "isFavorite": "Favourite"}


@dataclass(frozen=True)
class Shown:
    """A field of an entry. ``sort``: ``both`` (``before`` and ``after``, ``marked`` likewise), ``one`` (only one of
    them), ``tags`` (``added``, ``removed``), ``secret``, ``measured`` (``characters`` of a new record)."""

    name: str
    label: str
    sort: str
    before: Told | None = None
    after: Told | None = None
    marked: tuple[Markup, Markup] | None = None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    characters: int = 0


def verb(entry: Entry) -> str:
    """What was done, as a sentence begins."""
    if entry.outcome != DONE and entry.action in _TRIED:
        return _TRIED[entry.action]
    return VERBS.get(entry.action, entry.action.capitalize())


def noun(kind: str) -> str:
    """What people call a record of a kind."""
    return MAPPINGS[kind].document.noun if kind in MAPPINGS else _NOUNS.get(kind, kind)


def label(name: str) -> str:
    """A field in words, where no form has a word for it: ``firstMessage`` is ``First message``."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    return _WORDS.get(name) or words[:1].upper() + words[1:]


def field_names(entry: Entry) -> list[str]:
    """The fields of which an entry tells something."""
    return [name for name in entry.changes if name not in NO_FIELDS]


def along(entry: Entry) -> str:
    """What went with a record that was deleted, in a sentence."""
    return along_in_words(entry.changes.get("along", {}))


def shown_fields(
    entry: Entry, called: Callable[[str, str], str], labels: Mapping[str, str] | None = None
) -> Iterator[Shown]:
    """Every field of an entry. ``called``: (kind, id) -> what a record is called now."""
    for name in field_names(entry):
        yield shown_field(name, entry.changes[name], called, (labels or {}).get(name) or label(name))


def shown_field(name: str, change: Mapping[str, Any], called: Callable[[str, str], str], words: str) -> Shown:
    """What became of one field."""
    if change.get("secret"):
        return Shown(name, words, "secret")
    if "characters" in change:
        return Shown(name, words, "measured", characters=change["characters"])
    if name == "tags":
        added, removed = (tuple(called("tag", one) for one in change.get(which, ())) for which in ("added", "removed"))
        return Shown(name, words, "tags", added=added, removed=removed)
    sides = [told(_plain(change, side)) for side in ("before", "after")]
    there = ["before" in change, "after" in change or "splice" in change]
    if not all(there):
        before, after = (one if known else None for one, known in zip(sides, there, strict=True))
        return Shown(name, words, "one", before, after)
    return Shown(name, words, "both", *sides, marked=both_marked(sides[0].text, sides[1].text, by_word=True))


def _plain(change: Mapping[str, Any], side: str) -> Any:
    try:
        value = value_of(change, side)
    except NotKept:
        return change.get(side)
    return "null (as JSON)" if value is JSON_NULL else value


def parts(entry: Entry) -> str:
    """``5,000 characters``, of an entry that stands for many."""
    number, _, rest = entry.title.partition(" ")
    count = number.replace(",", "")
    if entry.record_id or rest != "records" or not count.isdecimal():
        return ""
    return counted(int(count), noun(entry.kind) if entry.kind else "record")


# ------------------------------------------------------------------ files
def as_csv(found: Iterator[Entry]) -> Iterator[bytes]:
    """Lines of CSV. What a spreadsheet would take for a formula begins with an apostrophe."""
    yield _csv_line(_COLUMNS)
    for entry in found:
        values = plain(entry) | {"changes": codec.dumps(entry.changes).decode() if entry.changes else ""}
        yield _csv_line(["" if values[name] is None else str(values[name]) for name in _COLUMNS])


def _csv_line(values: Any) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerow([f"'{one}" if one.startswith(_FORMULA) else one for one in values])
    return written.getvalue().encode()


def as_lines(found: Iterator[Entry]) -> Iterator[bytes]:
    """One JSON object a line."""
    for entry in found:
        yield codec.dumps(plain(entry)) + b"\n"


def plain(entry: Entry) -> dict[str, Any]:
    """An entry as a JSON object."""
    values = asdict(entry)
    return {name: values[name] for name in _COLUMNS}
