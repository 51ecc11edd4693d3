"""Images of the gallery, and what all lines of Quilltap's binary index have in common."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from store.documents.base import Document, Id, Integer, Many, Moment, Part, Text

Sha256 = Annotated[Text, Field(min_length=64, max_length=64)]
ImageTagType = Literal["CHARACTER", "PERSONA", "CHAT", "THEME"]


class Binary(Document):
    """A line of the binary index. ``relativePath`` leads to the bytes, below Quilltap's public folder."""

    renamed: ClassVar[dict[str, str]] = {"filepath": "relativePath"}

    id: Id
    sha256: Sha256
    type: str
    userId: Id
    filename: Text
    relativePath: Text
    mimeType: Text
    size: Integer
    width: Integer | None = None
    height: Integer | None = None
    source: Literal["upload", "import", "generated"] = "upload"
    generationPrompt: Text | None = None
    generationModel: Text | None = None
    chatId: Id | None = None
    characterId: Id | None = None
    messageId: Id | None = None
    tags: Many[Id] = ()
    createdAt: Moment
    updatedAt: Moment
    extras: Any = None


class ImageTag(Part):
    """What an image is tagged with. ``tagId`` names a character, persona, chat or theme, or is a theme itself."""

    id: Text
    tagType: ImageTagType
    tagId: Text
    createdAt: Moment


@with_config(ConfigDict(strict=True, extra="forbid"))
class RawColumns(TypedDict, total=False):
    """A source that is none of the three words."""

    source: Text


class ImageExtras(Part):
    """What of an image Quilltap's shape has no home for."""

    url: Text | None = None
    imageTags: Many[ImageTag] = ()
    bytesMissing: Literal[True] | None = None
    raw: RawColumns | None = None


class Image(Binary):
    """An image; ``tags`` are the UUIDs among what it is tagged with, ``extras.imageTags`` are all of them."""

    kind: ClassVar[str] = "image"
    in_extras: ClassVar[dict[str, Any]] = {"url": None}

    type: Literal["image"]
    extras: ImageExtras | None = None
