"""Connection profiles: how a language model is reached."""

from typing import ClassVar, Literal

from pydantic import Field

from store.documents.base import Document, FreeForm, Id, Many, Moment, Parameters, Part, TagLink, Text

Provider = Literal["OPENAI", "ANTHROPIC", "OLLAMA", "OPENROUTER", "OPENAI_COMPATIBLE", "GROK", "GAB_AI"]


class ProfileExtras(Part):
    """What of a profile Quilltap's shape has no home for."""

    tagLinks: Many[TagLink] = ()
    raw: dict[str, FreeForm] | None = None


class ConnectionProfile(Document):
    """A provider, a model and its parameters; at most one of a user's is the default."""

    kind: ClassVar[str] = "profile"
    noun: ClassVar[str] = "connection profile"

    id: Id
    userId: Id
    name: Text
    provider: Provider
    apiKeyId: Id | None = None
    baseUrl: Text | None = None
    modelName: Text
    parameters: Parameters = Field(default_factory=dict)
    isDefault: bool = False
    tags: Many[Id] = ()
    createdAt: Moment
    updatedAt: Moment
    extras: ProfileExtras | None = None
