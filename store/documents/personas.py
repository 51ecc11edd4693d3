"""Personas."""

from typing import ClassVar

from store.documents.base import Document, FreeForm, FreeFormObject, Id, Many, Moment, Part, TagLink, Text


class PersonaExtras(Part):
    """What of a persona Quilltap's shape has no home for."""

    tagLinks: Many[TagLink] = ()
    raw: dict[str, FreeForm] | None = None


class Persona(Document):
    """A persona; ``characterLinks`` is the reverse of the characters' ``personaLinks``."""

    kind: ClassVar[str] = "persona"

    id: Id
    userId: Id
    name: Text
    title: Text | None = None
    description: Text
    personalityTraits: Text | None = None
    avatarUrl: Text | None = None
    defaultImageId: Id | None = None
    sillyTavernData: FreeFormObject = None
    characterLinks: Many[Id] = ()
    tags: Many[Id] = ()
    createdAt: Moment
    updatedAt: Moment
    extras: PersonaExtras | None = None
