"""The events of a chat's file: messages, and summaries that Quilltap 1.3 defines but never writes."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from store.documents.base import Document, FreeForm, FreeFormObject, Id, Integer, Many, Moment, Part, Text

# Of the line's bytes as they would be without it; a line that Quilltap appended has none.
Crc = Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]


class MessageExtras(Part):
    """What of a message Quilltap's shape has no home for."""

    raw: dict[str, FreeForm] | None = None
    crc: Crc | None = None


class Message(Document):
    """A message; the file's name says in which chat. Swipes of one answer share ``swipeGroupId`` and ``createdAt``."""

    kind: ClassVar[str] = "message"

    type: Literal["message"]
    id: Id
    role: Literal["SYSTEM", "USER", "ASSISTANT", "TOOL"]
    content: Text
    rawResponse: FreeFormObject = None
    tokenCount: Integer | None = None
    swipeGroupId: Text | None = None
    swipeIndex: Integer | None = None
    attachments: Many[Id] = ()
    createdAt: Moment
    extras: MessageExtras | None = None


class SummaryExtras(Part):
    """What of a summary Quilltap's shape has no home for."""

    crc: Crc | None = None


class ContextSummary(Document):
    """A summary of what was said before it. SQL has no table for it."""

    kind: ClassVar[str] = "context-summary"
    noun: ClassVar[str] = "context summary"

    type: Literal["context-summary"]
    id: Id
    context: Text
    createdAt: Moment
    extras: SummaryExtras | None = None
