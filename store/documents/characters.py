"""Characters."""

from typing import ClassVar

from store.documents.base import Document, FreeForm, FreeFormObject, Id, Many, Moment, Part, TagLink, Text


class PersonaLink(Part):
    """A persona the character knows; at most one is the default."""

    personaId: Id
    isDefault: bool = False


class AvatarOverride(Part):
    """The image the character wears in one chat."""

    chatId: Id
    imageId: Id


class AvatarOverrideRow(AvatarOverride):
    """The same with what Quilltap's shape drops."""

    id: Id
    createdAt: Moment


class CharacterExtras(Part):
    """What of a character Quilltap's shape has no home for."""

    tagLinks: Many[TagLink] = ()
    avatarOverrides: Many[AvatarOverrideRow] = ()
    raw: dict[str, FreeForm] | None = None


class Character(Document):
    """A character with its links."""

    kind: ClassVar[str] = "character"

    id: Id
    userId: Id
    name: Text
    title: Text | None = None
    description: Text
    personality: Text
    scenario: Text
    firstMessage: Text
    exampleDialogues: Text | None = None
    systemPrompt: Text | None = None
    avatarUrl: Text | None = None
    defaultImageId: Id | None = None
    sillyTavernData: FreeFormObject = None
    isFavorite: bool = False
    personaLinks: Many[PersonaLink] = ()
    tags: Many[Id] = ()
    avatarOverrides: Many[AvatarOverride] = ()
    createdAt: Moment
    updatedAt: Moment
    extras: CharacterExtras | None = None
