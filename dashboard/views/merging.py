"""Two people changed one record: what it was, what it is now, what was to be saved, field by field. Pure functions."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup, escape
from werkzeug.datastructures import MultiDict

from dashboard.forms import Sent, Snapshot
from dashboard.views.marking import are_comparable, in_pieces

Side = Literal["mine", "theirs"]
LONGEST_MARKED = 20_000  # characters; marking single words in more than that is slower than it is useful


@dataclass(frozen=True)
class Difference:
    """One field on which both disagree. ``chosen`` is None as long as nobody can know which one is right."""

    name: str
    base: Sent | None
    theirs: Sent
    mine: Sent
    chosen: Side | None

    @property
    def changed_by(self) -> str:
        if self.base is None:
            return "unknown"
        if self.mine == self.base:
            return "theirs"
        return "mine" if self.theirs == self.base else "both"


def differences(base: Snapshot, theirs: Snapshot, mine: Snapshot, choices: Mapping[str, str]) -> list[Difference]:
    """The fields on which ``theirs`` and ``mine`` differ. A choice already made stands.

    Otherwise the only one who changed the field is right; where both did, or the base is not known, a person chooses.
    """
    found = []
    for name, sent in mine.items():
        if name not in theirs or theirs[name] == sent:
            continue
        was = base.get(name)
        chosen: Side | None = None
        if (given := choices.get(name)) in ("mine", "theirs"):
            chosen = given  # type: ignore[assignment]  # one of the two
        elif was is not None and sent == was:
            chosen = "theirs"
        elif was is not None and theirs[name] == was:
            chosen = "mine"
        found.append(Difference(name, was, theirs[name], sent, chosen))
    return found


def choices_in(form: MultiDict[str, str]) -> dict[str, str]:
    """field -> chosen side, as the merge page sends them."""
    return {key.removeprefix("choice-"): value for key, value in form.items() if key.startswith("choice-")}


def resolved(form: MultiDict[str, str], found: Iterable[Difference]) -> MultiDict[str, str]:
    """The form as if the person had typed what was chosen."""
    merged: MultiDict[str, str] = MultiDict(form)
    for difference in found:
        if difference.chosen == "theirs":
            for name in difference.mine:
                merged.poplist(name)
            for name, values in difference.theirs.items():
                merged.setlist(name, values)
    return merged


def marked(base: str, text: str) -> Markup:
    """The text with the words marked that are not in ``base``."""
    if base == text or len(base) + len(text) > LONGEST_MARKED:
        return escape(text)
    old, new = in_pieces(base), in_pieces(text)
    if not are_comparable(old, new):
        return escape(text)
    told = Markup("")
    for operation, _, _, start, end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        words = "".join(new[start:end])
        told += escape(words) if operation == "equal" or not words.strip() else Markup("<mark>{}</mark>").format(words)
    return told
