"""Records in Quilltap's JSON shape, checked by pydantic; one file per noun."""

from store.documents.base import EPOCH, Document, now
from store.documents.characters import Character
from store.documents.personas import Persona
from store.documents.tags import Tag
from store.documents.users import User

__all__ = ["EPOCH", "Character", "Document", "Persona", "Tag", "User", "now"]
