"""Files attached to chats."""

from typing import Any, ClassVar, Literal

from store.documents.base import Id, Part, Text
from store.documents.images import Binary


class AttachmentExtras(Part):
    """What of an attached file Quilltap's shape has no home for."""

    sentToProvider: bool = False
    providerError: Text | None = None
    bytesMissing: Literal[True] | None = None


class Attachment(Binary):
    """A file in a chat; ``messageId`` is known once it was sent. ``userId`` is the chat's."""

    kind: ClassVar[str] = "attachment"
    in_extras: ClassVar[dict[str, Any]] = {"sentToProvider": False, "providerError": None}

    type: Literal["chat_file"]
    chatId: Id
    extras: AttachmentExtras | None = None
