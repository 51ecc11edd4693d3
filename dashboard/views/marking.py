"""Two values side by side, with the characters marked that differ. Pure functions."""

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from store import codec

LONGEST_BY_CHARACTER = 1_500  # characters of both together; beyond, words are compared
LONGEST_BY_WORD = 20_000  # beyond, only what both begin and end with is left out
MOST_PAIRS = 4_000_000  # of equal parts, one of each text: comparing looks at each of them more than once
AROUND = 200  # characters shown before and after the only difference of two long texts


@dataclass(frozen=True)
class Told:
    """A value as a person reads it. ``sort``: text, number, yes or no, JSON, nothing."""

    sort: str
    text: str

    @property
    def is_nothing(self) -> bool:
        return self.sort == "nothing"

    @property
    def is_empty(self) -> bool:
        return self.sort == "text" and not self.text


def told(value: Any) -> Told:
    """What a value is and says."""
    if value is None:
        return Told("nothing", "")
    if isinstance(value, str):
        return Told("text", value)
    if isinstance(value, bool):
        return Told("yes or no", "true" if value else "false")
    if isinstance(value, dict | list):
        return Told("JSON", codec.dumps_pretty(value).decode())
    return Told("number", codec.dumps(value).decode())


def both_marked(one: str, other: str, *, by_word: bool = False) -> tuple[Markup, Markup]:
    """Both texts, each with the characters marked that the other has not, or the words: where a person wrote them."""
    if one == other:
        return escape(one), escape(other)
    if not by_word and len(one) + len(other) <= LONGEST_BY_CHARACTER:
        return _by_parts(list(one), list(other))
    if len(one) + len(other) <= LONGEST_BY_WORD:
        mine, theirs = in_pieces(one), in_pieces(other)
        if are_comparable(mine, theirs):
            return _by_parts(mine, theirs)
    return _middles(one, other)


def in_pieces(text: str) -> list[str]:
    """The text in pieces: words, and what is between them."""
    return re.findall(r"\s+|\w+|[^\w\s]", text)


def are_comparable(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether comparing them part by part ends soon; the same word over and over is what it does not end soon for."""
    there = Counter(other)
    return sum(count * there[part] for part, count in Counter(one).items()) <= MOST_PAIRS


def _by_parts(one: list[str], other: list[str]) -> tuple[Markup, Markup]:
    left, right = Markup(""), Markup("")
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    for operation, start, end, from_, to in matcher.get_opcodes():
        mine, theirs = "".join(one[start:end]), "".join(other[from_:to])
        left += escape(mine) if operation == "equal" else _mark(mine)
        right += escape(theirs) if operation == "equal" else _mark(theirs)
    return left, right


def _middles(one: str, other: str) -> tuple[Markup, Markup]:
    """What both begin and end with is not looked at, and mostly not shown."""
    shortest = min(len(one), len(other))
    start = next((at for at in range(shortest) if one[at] != other[at]), shortest)
    end = next((at for at in range(shortest - start) if one[-1 - at] != other[-1 - at]), shortest - start)
    return _middle(one, start, end), _middle(other, start, end)


def _middle(text: str, start: int, end: int) -> Markup:
    last = len(text) - end
    before = text[max(start - AROUND, 0) : start]
    after = text[last : last + AROUND]
    told = escape("…" if start > AROUND else "") + escape(before) + _mark(text[start:last]) + escape(after)
    return told + escape("…" if end > AROUND else "")


def _mark(text: str) -> Markup:
    # A space or a line end alone would be a mark that nobody sees.
    seen = re.sub(r"\n", "↵\n", text) if not text.strip() else text
    return Markup("<mark>{}</mark>").format(seen) if text else Markup("")
