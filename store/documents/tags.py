"""Tags."""

from typing import ClassVar

from store.documents.base import Document, Id, Moment, Text


class Tag(Document):
    """A tag; ``nameLower`` is its name in lower case and unique per user."""

    kind: ClassVar[str] = "tag"

    id: Id
    userId: Id
    name: Text
    nameLower: Text
    createdAt: Moment
    updatedAt: Moment
