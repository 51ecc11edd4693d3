"""What an import would do, before anything is done: for a person to look at and say yes to."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256

from store import codec
from store.cards.errors import CardError
from store.cards.limits import DEFAULT_LIMITS, Limits, in_words
from store.cards.reader import Card, read_card


@dataclass(frozen=True)
class PlannedCard:
    """A card that can be imported, its tags parted into those to create and those there already.

    ``duplicate_of`` is the filename of an earlier card of the same import that says the same, where this one brings no
    other picture; None otherwise.
    """

    card: Card
    new_tags: list[str]
    known_tags: list[str]
    duplicate_of: str | None


@dataclass(frozen=True)
class Unreadable:
    """A file that cannot be imported: why, as a sentence, and what a person can do next."""

    filename: str
    reason: str
    hint: str


@dataclass(frozen=True)
class ImportPlan:
    """Every file of an import, once, either in ``cards`` or in ``unreadable``; each in the order they came."""

    cards: list[PlannedCard] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)


def plan_import(
    files: Iterable[tuple[str, bytes]],
    known_tags: Callable[[list[str]], set[str]],
    limits: Limits = DEFAULT_LIMITS,
) -> ImportPlan:
    """Read all files (filename, content) and say what importing them means. Nothing is written.

    ``known_tags`` is asked once, with the names of all tags, and returns those there are already; upper and lower case
    do not count. A file that cannot be read, or is beyond a limit, is listed with its reason and stops no other. Raises
    nothing of its own.
    """
    plan = ImportPlan()
    cards: list[Card] = []
    total = 0
    for count, (filename, data) in enumerate(files, start=1):
        try:
            _check_room(filename, count, total + len(data), limits)
            cards.append(read_card(data, filename, limits))
            total += len(data)
        except CardError as error:
            plan.unreadable.append(Unreadable(filename, str(error), error.hint))
    names = list({tag.lower(): tag for card in cards for tag in card.tags}.values())
    known = {name.lower() for name in known_tags(names)} if names else set()
    seen: dict[tuple[bytes, bytes | None], str] = {}
    for card in cards:
        plan.cards.append(
            PlannedCard(
                card=card,
                new_tags=[tag for tag in card.tags if tag.lower() not in known],
                known_tags=[tag for tag in card.tags if tag.lower() in known],
                duplicate_of=_earlier(card, seen),
            )
        )
    return plan


def _check_room(filename: str, count: int, total: int, limits: Limits) -> None:
    hint = "Import the others first, then this one."
    if count > limits.max_files:
        raise CardError(f"{filename} was not read: one import takes {limits.max_files} files.", hint=hint)
    if total > limits.max_total_bytes:
        allowed = in_words(limits.max_total_bytes)
        raise CardError(f"{filename} was not read: with it the import would be larger than {allowed}.", hint=hint)


def _earlier(card: Card, seen: dict[tuple[bytes, bytes | None], str]) -> str | None:
    """The filename under which the same was seen, and remember this one. Without a picture, any earlier one will do."""
    # Compared as bytes: Python finds 1, 1.0 and True equal, and they are not the same card.
    said = sha256(codec.dumps(codec.canonical(card.source))).digest()
    shown = None if card.image is None else sha256(card.image).digest()
    earlier = seen.get((said, shown))
    seen.setdefault((said, shown), card.filename)
    seen.setdefault((said, None), card.filename)
    return earlier
