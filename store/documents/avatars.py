"""The avatars that characters wear in single chats, as Quilltap's binary index lists them."""

from typing import ClassVar, Literal

from store.documents.base import Id, Part
from store.documents.images import Binary


class AvatarExtras(Part):
    """``derived``: the line follows from a character's override and an image, and holds nothing of its own."""

    derived: Literal[True] | None = None
    bytesMissing: Literal[True] | None = None


class Avatar(Binary):
    """The image a character wears in a chat, under the override's id and with its date."""

    kind: ClassVar[str] = "avatar"

    type: Literal["avatar"]
    chatId: Id
    characterId: Id
    extras: AvatarExtras | None = None
