"""API keys of language and image models."""

from typing import ClassVar

from store.documents.base import Document, Id, Moment, Part, Text
from store.documents.profiles import Provider


class ApiKeyExtras(Part):
    """What of an API key Quilltap's shape has no home for."""

    userId: Id | None = None


class ApiKey(Document):
    """An API key, encrypted with a key that its owner's id is part of.

    Quilltap's shape names no owner: without ``extras.userId`` it is the one user, the oldest.
    """

    kind: ClassVar[str] = "key"
    noun: ClassVar[str] = "API key"
    renamed: ClassVar[dict[str, str]] = {"keyEncrypted": "ciphertext", "keyIv": "iv", "keyAuthTag": "authTag"}

    id: Id
    label: Text
    provider: Provider
    ciphertext: Text
    iv: Text
    authTag: Text
    isActive: bool = True
    lastUsed: Moment | None = None
    createdAt: Moment
    updatedAt: Moment
    extras: ApiKeyExtras | None = None

    @property
    def userId(self) -> str | None:
        """The owner; None where only the installation's one user can be meant."""
        return self.extras.userId if self.extras else None
