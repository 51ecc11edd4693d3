"""API keys. What is kept is encrypted; encrypting and decrypting is the business of ``store.secrets``."""

import sqlalchemy as sa

from store.documents import ApiKey, now
from store.repositories.contract import Result, Users
from store.repositories.sealed import SealedRepository
from store.repositories.uses import users_of


class KeysRepository(SealedRepository[ApiKey]):
    """API keys. Deleting one leaves the profiles that used it without a key."""

    kind = "key"
    short = ("id", "userId", "label", "provider", "isActive", "lastUsed", "createdAt", "updatedAt")
    sortable = ("label", "provider", "lastUsed", "createdAt", "updatedAt")
    searched = ("label",)

    def record_usage(self, key_id: str) -> Result[ApiKey]:
        """Remember that the key was used just now."""
        moment = now()
        return self.update(key_id, {"lastUsed": moment})

    def used_by(self, key_id: str) -> Users:
        """The profiles of both sorts that use the key."""
        with self._backend.reading() as connection:
            return users_of(connection, self.kind, [key_id])

    def active(self, user_id: str, provider: str) -> list[tuple[str, str]]:
        """The user's keys for a provider that are in use: (id, label), by label."""
        columns = self._main.c
        mine = sa.select(columns.id, columns.label).where(columns.userId == user_id, columns.provider == provider)
        with self._backend.reading() as connection:
            found = connection.execute(mine.where(columns.isActive)).all()
        return sorted(((row.id, row.label) for row in found), key=lambda one: (one[1].casefold(), one[0]))
