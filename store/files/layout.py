"""Which file holds what: the one list of shelves."""

from typing import Final

from store.documents import Character, Persona, Tag
from store.files.aggregates import Aggregate
from store.files.shelves import OwnFiles, Shelf
from store.files.user_files import UserFiles

SHELVES: Final[dict[str, Shelf]] = {
    shelf.kind: shelf
    for shelf in (
        UserFiles(),
        Aggregate("tag", "tags/tags.json", "tags", Tag),
        OwnFiles("persona", "personas", Persona),
        OwnFiles("character", "characters", Character),
    )
}
