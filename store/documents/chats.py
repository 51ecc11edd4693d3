"""Chats."""

from typing import Annotated, ClassVar

from pydantic import Field

from store.documents.base import Document, FreeForm, FreeFormObject, Id, Many, Moment, Part, TagLink, Text

Count = Annotated[int, Field(ge=0, lt=2**63)]


class Log(Part):
    """How long the chat's file is; with ``messageCount`` it shows a lost end."""

    bytes: Count


class ChatExtras(Part):
    """What of a chat Quilltap's shape has no home for."""

    tagLinks: Many[TagLink] = ()
    log: Log | None = None
    raw: dict[str, FreeForm] | None = None


class Chat(Document):
    """A chat without its messages, which have a file of their own; ``messageCount`` and ``lastMessageAt`` follow from
    them."""

    kind: ClassVar[str] = "chat"

    id: Id
    userId: Id
    characterId: Id
    personaId: Id | None = None
    connectionProfileId: Id
    imageProfileId: Id | None = None
    title: Text
    contextSummary: Text | None = None
    sillyTavernMetadata: FreeFormObject = None
    tags: Many[Id] = ()
    messageCount: Count = 0
    lastMessageAt: Moment | None = None
    createdAt: Moment
    updatedAt: Moment
    extras: ChatExtras | None = None
