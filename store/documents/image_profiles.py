"""Image profiles: how an image model is reached."""

from typing import ClassVar, Literal

from pydantic import Field

from store.documents.base import Document, Id, Many, Moment, Parameters, Text
from store.documents.profiles import ProfileExtras

ImageProvider = Literal["OPENAI", "GROK", "GOOGLE_IMAGEN"]


class ImageProfile(Document):
    """As a connection profile, for images; its name is unique per user."""

    kind: ClassVar[str] = "image_profile"
    noun: ClassVar[str] = "image profile"

    id: Id
    userId: Id
    name: Text
    provider: ImageProvider
    apiKeyId: Id | None = None
    baseUrl: Text | None = None
    modelName: Text
    parameters: Parameters = Field(default_factory=dict)
    isDefault: bool = False
    tags: Many[Id] = ()
    createdAt: Moment
    updatedAt: Moment
    extras: ProfileExtras | None = None
