"""Character cards of other programs: reading them, and saying what an import of them would do."""

from store.cards.errors import CardError, PngError
from store.cards.limits import DEFAULT_LIMITS, Limits
from store.cards.plan import ImportPlan, PlannedCard, Unreadable, plan_import
from store.cards.png import with_text_chunks
from store.cards.reader import Card, read_card
from store.cards.saving import known_tags, owner, save_card

__all__ = [
    "DEFAULT_LIMITS",
    "Card",
    "CardError",
    "ImportPlan",
    "Limits",
    "PlannedCard",
    "PngError",
    "Unreadable",
    "known_tags",
    "owner",
    "plan_import",
    "read_card",
    "save_card",
    "with_text_chunks",
]
