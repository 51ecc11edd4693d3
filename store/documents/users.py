"""Users with their chat settings: together one document, because one file holds both."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from store.documents.base import Document, Id, Moment, Part, Text

# SQL spells out what Quilltap's JSON gathers in blocks: column -> (block, key).
BLOCK_COLUMNS: Final[dict[str, tuple[str, str]]] = {
    "totpSecret": ("totp", "ciphertext"),
    "totpSecretIv": ("totp", "iv"),
    "totpSecretAuthTag": ("totp", "authTag"),
    "totpEnabled": ("totp", "enabled"),
    "totpVerifiedAt": ("totp", "verifiedAt"),
    "backupCodes": ("backupCodes", "ciphertext"),
    "backupCodesIv": ("backupCodes", "iv"),
    "backupCodesAuthTag": ("backupCodes", "authTag"),
}


class Totp(Part):
    """The encrypted TOTP secret; three hex strings."""

    ciphertext: Text
    iv: Text
    authTag: Text
    enabled: bool = False
    verifiedAt: Moment | None = None


class BackupCodes(Part):
    """The encrypted backup codes; three hex strings."""

    ciphertext: Text
    iv: Text
    authTag: Text
    createdAt: Moment


@with_config(ConfigDict(strict=True, extra="forbid"))
class RawColumns(TypedDict, total=False):
    """Columns of a secret that is not complete; Quilltap's blocks hold whole ones only."""

    totpSecret: Text | None
    totpSecretIv: Text | None
    totpSecretAuthTag: Text | None
    totpEnabled: bool
    totpVerifiedAt: Moment | None
    backupCodes: Text | None
    backupCodesIv: Text | None
    backupCodesAuthTag: Text | None


class UserExtras(Part):
    """What of a user Quilltap's shape has no home for."""

    syntheticChatSettings: Literal[True] | None = None
    raw: RawColumns | None = None


class ChatSettings(Part):
    """How avatars look in chats."""

    id: Id
    userId: Id
    avatarDisplayMode: Literal["ALWAYS", "GROUP_ONLY", "NEVER"] = "ALWAYS"
    avatarDisplayStyle: Text = "CIRCULAR"
    createdAt: Moment
    updatedAt: Moment


class Person(Part):
    """The user as Quilltap's settings file tells it. A block that is not there is absent, never null."""

    id: Id
    email: Text
    name: Text | None = None
    image: Text | None = None
    emailVerified: Moment | None = None
    passwordHash: Text | None = None
    totp: Totp | None = None
    backupCodes: BackupCodes | None = None
    createdAt: Moment
    updatedAt: Moment
    extras: UserExtras | None = None


class User(Document):
    """A user with settings: ``user`` and ``chatSettings`` of one settings file."""

    kind: ClassVar[str] = "user"

    user: Person
    chatSettings: ChatSettings

    @property
    def id(self) -> str:
        """The user's own id; it is part of the key that encrypts the user's secrets."""
        return self.user.id

    def value(self, column: str) -> Any:
        """The value of a column of ``users``, also of one that lies in a block or in ``extras.raw``."""
        raw: Mapping[str, Any] = (self.user.extras and self.user.extras.raw) or {}
        if column in raw:
            return raw[column]
        block, name = BLOCK_COLUMNS.get(column, (None, column))
        if block is None:
            return getattr(self.user, name)
        return getattr(getattr(self.user, block), name, False if column == "totpEnabled" else None)

    @classmethod
    def called(cls, record: dict[str, Any]) -> str:
        person = record.get("user")
        return super().called(person if isinstance(person, dict) else record)
