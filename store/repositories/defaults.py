"""What both sorts of profiles share: one default per user, and the tags they carry."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection

from store import rows
from store.audit.differences import note_set
from store.documents import Document, now
from store.mapping import Rows
from store.repositories.contract import Result, Users
from store.repositories.tagged import TaggedRepository
from store.repositories.uses import users_of
from store.tables.users import users

D = TypeVar("D", bound=Document)


class ProfileRepository(TaggedRepository[D]):
    """Profiles. A user has at most one default: who becomes it takes the place of the one before, as one unit."""

    short = (
        "id",
        "userId",
        "name",
        "provider",
        "apiKeyId",
        "baseUrl",
        "modelName",
        "isDefault",
        "createdAt",
        "updatedAt",
    )
    sortable = ("name", "provider", "modelName", "isDefault", "createdAt", "updatedAt")
    searched = ("name", "modelName")

    def find_default(self, user_id: str) -> D | None:
        """The user's default. Should another program have made several, the oldest."""
        found = self._find(sa.and_(self._main.c.userId == user_id, self._main.c.isDefault))
        return found[0] if found else None

    def set_default(self, profile_id: str) -> Result[D]:
        """Make a profile its user's default; the one before is none any more."""
        return self.update(profile_id, {"isDefault": True})

    def update_many(self, profile_ids: Iterable[str], fields: dict[str, Any]) -> Result[int]:
        """Change the same fields of several profiles as one unit; how many were different before. Raises NotFoundError
        when one is gone."""
        ids = sorted(set(profile_ids))

        def work(connection: Connection) -> int:
            # All users before any profile, in one order: two such changes never wait for each other in a circle.
            owners: set[str] = set()
            for some in rows.chunks(ids):
                asked = sa.select(self._main.c.userId).where(self._main.c.id.in_(some))
                owners.update(connection.scalars(asked))
            for owner in sorted(owners):
                self._hold(connection, owner)
            return sum(self._written(connection, one, self._locked(connection, one), fields)[1] for one in ids)

        return self._change(work, ids)

    def unset_all_defaults(self, user_id: str) -> Result[int]:
        """Leave the user without a default; how many were one."""

        def work(connection: Connection) -> int:
            self._hold(connection, user_id)
            return self._unset(connection, user_id, "")

        mine = sa.and_(self._main.c.userId == user_id, self._main.c.isDefault)
        with self._backend.reading() as connection:
            ids = list(connection.scalars(sa.select(self._main.c.id).where(mine)))
        return self._change(work, ids)

    def used_by(self, profile_id: str) -> Users:
        """The chats that use the profile."""
        with self._backend.reading() as connection:
            return users_of(connection, self.kind, [profile_id])

    def _unset(self, connection: Connection, user_id: str, but: str) -> int:
        column = self._main.c
        others = sa.and_(column.userId == user_id, column.isDefault, column.id != but)
        names = self._names(connection, others)
        changed = sa.update(self._main).where(others).values(isDefault=False, updatedAt=now())
        note_set(self.kind, names, "isDefault", True, False)
        return connection.execute(changed).rowcount

    def _locked(self, connection: Connection, record_id: str) -> Rows:
        owner = sa.select(self._main.c.userId).where(self._main.c.id == record_id)
        self._hold(connection, owner.scalar_subquery())
        return super()._locked(connection, record_id)

    @staticmethod
    def _hold(connection: Connection, user_id: Any) -> None:
        """One at a time decides on a user's default; who holds the user before any profile never waits in a circle."""
        connection.execute(sa.select(users.c.id).where(users.c.id == user_id).with_for_update(key_share=True))

    def _before_write(self, connection: Connection, new: Rows) -> None:
        row = new[self._main.name][0]
        if row["isDefault"]:
            self._hold(connection, row["userId"])
            self._unset(connection, row["userId"], row["id"])

    def _before_delete(self, connection: Connection, ids: Sequence[str]) -> None:
        """Nothing stands in the way of an image profile: its chats go on without one."""
