"""The records of NextAuth: OAuth accounts, sessions, verification tokens. Quilltap's files hold them unchecked."""

from typing import Any, ClassVar

from store.documents.base import Document, Id, Integer, Moment, Text, derived_id


class Account(Document):
    """An account at a provider by which a user signs in. Its key names are those of the OAuth answer."""

    kind: ClassVar[str] = "account"

    id: Id
    userId: Id
    type: Text
    provider: Text
    providerAccountId: Text
    refresh_token: Text | None = None
    access_token: Text | None = None
    expires_at: Integer | None = None
    token_type: Text | None = None
    scope: Text | None = None
    id_token: Text | None = None
    session_state: Text | None = None

    @classmethod
    def completed(cls, record: dict[str, Any]) -> dict[str, Any]:
        """Quilltap stores what NextAuth gives, and that has no id; provider and account there are unique."""
        if record.get("id") is not None:
            return record
        at, account = record.get("provider"), record.get("providerAccountId")
        if not isinstance(at, str) or not isinstance(account, str):
            return record
        try:
            return {**record, "id": derived_id("account", at, account)}
        except UnicodeEncodeError:  # half of a surrogate pair, which the check will name
            return record

    @classmethod
    def id_of(cls, record: Any) -> str | None:
        return super().id_of(cls.completed(record) if isinstance(record, dict) else record)


class Session(Document):
    """Somebody who is signed in to Quilltap. Who knows ``sessionToken`` is that user."""

    kind: ClassVar[str] = "session"

    id: Id
    sessionToken: Text
    userId: Id
    expires: Moment


class VerificationToken(Document):
    """A link sent by mail. It has no id of its own: the token is unique."""

    kind: ClassVar[str] = "token"
    noun: ClassVar[str] = "verification token"
    secret_id: ClassVar[bool] = True

    identifier: Text
    token: Id
    expires: Moment

    @property
    def id(self) -> str:
        """The token itself, which is a secret until it expires."""
        return self.token

    @classmethod
    def id_of(cls, record: Any) -> str | None:
        return super().id_of({"id": record.get("token")} if isinstance(record, dict) else record)

    @classmethod
    def called(cls, record: dict[str, Any]) -> str:
        """Names the receiver: who reads a message must not learn the token."""
        return super().called({"name": record.get("identifier"), "id": "its token is not shown"})
