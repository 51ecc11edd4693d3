"""Connection profiles, and under Quilltap's names the API keys they use."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from store.backends import Backend
from store.documents import ApiKey, ConnectionProfile
from store.errors import StillInUseError
from store.repositories.contract import Found, Result
from store.repositories.defaults import ProfileRepository
from store.repositories.keys import KeysRepository
from store.repositories.uses import users_of


class ConnectionProfilesRepository(ProfileRepository[ConnectionProfile]):
    """Connection profiles. One that a chat uses cannot be deleted."""

    kind = "profile"

    def __init__(self, backend: Backend, keys: KeysRepository) -> None:
        super().__init__(backend)
        self._keys = keys

    def _before_delete(self, connection: Connection, ids: Sequence[str]) -> None:
        if users := users_of(connection, self.kind, ids):
            named = ", ".join(f"“{name}”" for _, _, name in users[:3])
            more = f" and {len(users) - 3} more" if len(users) > 3 else ""
            raise StillInUseError(
                f"Chats still use this {self.noun}: {named}{more}.",
                hint="Give those chats another connection profile, or delete them, and try again; nothing was deleted.",
                users=users,
            )

    # ------------------------------------------------------------------ Quilltap's names for what keys can do
    def get_all_api_keys(self) -> Found[ApiKey]:
        """Every API key, by (createdAt, id)."""
        return self._keys.find_all()

    def find_api_key_by_id(self, key_id: str) -> ApiKey | None:
        """The API key, or None."""
        return self._keys.find_by_id(key_id)

    def create_api_key(self, fields: dict[str, Any]) -> Result[ApiKey]:
        """A new API key; its value comes encrypted, in three parts."""
        return self._keys.create(fields)

    def update_api_key(self, key_id: str, fields: dict[str, Any]) -> Result[ApiKey]:
        """Change some fields of an API key."""
        return self._keys.update(key_id, fields)

    def delete_api_key(self, key_id: str) -> Result[bool]:
        """Delete an API key; the profiles that used it go on without one."""
        return self._keys.delete(key_id)

    def record_api_key_usage(self, key_id: str) -> Result[ApiKey]:
        """Remember that the key was used just now."""
        return self._keys.record_usage(key_id)
