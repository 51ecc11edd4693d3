"""Character cards of other programs: reading them, saying what an import of them would do, and writing them."""

from store.cards.errors import CardError, PngError
from store.cards.exporting import CardFile, export_card
from store.cards.limits import DEFAULT_LIMITS, Limits
from store.cards.plan import ImportPlan, PlannedCard, Unreadable, plan_import
from store.cards.png import with_text_chunks
from store.cards.reader import Card, read_card
from store.cards.saving import Saved, known_tags, owner, save_card
from store.cards.writing import card_file_name, card_json, card_png

__all__ = [
    "DEFAULT_LIMITS",
    "Card",
    "CardError",
    "CardFile",
    "ImportPlan",
    "Limits",
    "PlannedCard",
    "PngError",
    "Saved",
    "Unreadable",
    "card_file_name",
    "card_json",
    "card_png",
    "export_card",
    "known_tags",
    "owner",
    "plan_import",
    "read_card",
    "save_card",
    "with_text_chunks",
]
