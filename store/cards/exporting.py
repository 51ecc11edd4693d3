"""A character as a card file: with the names of its tags, and its picture where there is one."""

from dataclasses import dataclass
from typing import Literal, Protocol

from store.cards.writing import card_file_name, card_json, card_png
from store.documents import Character
from store.errors import PictureError, StoreError
from store.repositories.contract import TagsRepository
from store.uploads import Gallery, picture_of

Format = Literal["png", "json"]


class Library(Gallery, Protocol):
    """What a card is made of: a Store has it."""

    @property
    def tags(self) -> TagsRepository: ...


@dataclass(frozen=True)
class CardFile:
    """A file to hand out. ``note`` says what a person should know about it; mostly nothing."""

    name: str
    mime_type: str
    data: bytes
    note: str = ""


def export_card(library: Library, character: Character, form: Format) -> CardFile:
    """The character's card. Raises CardError where it cannot be made."""
    tags = [name for tag_id in character.tags if (name := _tag_name(library, tag_id))]
    name = card_file_name(character, form)
    if form == "json":
        return CardFile(name, "application/json", card_json(character, tags))
    image_id = character.defaultImageId
    picture = picture_of(library, image_id)
    note = f"The picture of “{character.name}” is missing, so the card has a plain one." if image_id else ""
    try:
        return CardFile(name, "image/png", card_png(character, tags, picture), "" if picture else note)
    except PictureError:
        note = f"The picture of “{character.name}” cannot be read, so the card has a plain one."
        return CardFile(name, "image/png", card_png(character, tags, None), note)


def _tag_name(library: Library, tag_id: str) -> str:
    try:
        found = library.tags.find_by_id(tag_id)
    except StoreError:  # a tag that cannot be read must not keep the character from its owner
        return ""
    return found.name if found else ""
