"""Users with their chat settings."""

import uuid
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from store import rows
from store.audit.differences import note_updated
from store.documents import User, now
from store.documents.users import ChatSettings
from store.errors import InvalidRecordError
from store.mapping.base import plain
from store.mapping.users import synthetic_settings
from store.repositories.contract import Found, Result
from store.repositories.sealed import SealedRepository
from store.tables.characters import characters
from store.tables.chats import chats
from store.tables.users import chat_settings


class UsersRepository(SealedRepository[User]):
    """Users. Deleting one deletes everything that is theirs, as SQL's rules say."""

    kind = "user"
    short = ("id", "email", "name", "image", "totpEnabled", "createdAt", "updatedAt")
    sortable = ("email", "name", "createdAt", "updatedAt")
    searched = ("email", "name")

    def _before_delete(self, connection: Connection, ids: Sequence[str]) -> None:
        """SQLite refuses to delete a user whose chats use the user's own connection profiles, in some orders of making
        the tables; PostgreSQL never does. Without those chats there is nothing to refuse."""
        for some in rows.chunks(ids):
            mine = sa.select(characters.c.id).where(characters.c.userId.in_(some))
            theirs = sa.or_(chats.c.userId.in_(some), chats.c.characterId.in_(mine))
            connection.execute(sa.delete(chats).where(theirs))

    def find_by_user_id(self, user_id: str) -> Found[User]:
        """The user itself."""
        return self._find(self._main.c.id == user_id)

    def find_by_email(self, email: str) -> User | None:
        """The user with this address, exactly."""
        found = self._find(self._main.c.email == email)
        return found[0] if found else None

    def get_current_user(self) -> User | None:
        """The oldest user, whom Quilltap 1.3 takes for the only one. Raises UnreadableError when the file is torn."""
        with self._backend.reading() as connection:
            oldest = sa.select(self._main.c.id).order_by(self._main.c.createdAt, self._main.c.id).limit(1)
            record_id = connection.scalar(oldest)
        if doubt := self._backend.doubt(self.kind, ""):  # the file of the oldest itself cannot be read
            raise doubt
        return self.find_by_id(record_id) if record_id is not None else None

    def get_chat_settings(self, user_id: str) -> ChatSettings | None:
        """The user's chat settings, made-up defaults where there is no row; None without the user."""
        user = self.find_by_id(user_id)
        return user.chatSettings if user else None

    def update_chat_settings(self, user_id: str, fields: dict[str, Any]) -> Result[User]:
        """Change some settings; the row is made when there is none."""

        def work(connection: Connection) -> User:
            old = self._locked(connection, user_id)
            moment = now()
            # The made-up block becomes a real row: with an id of its own and today's date.
            made_up = {**synthetic_settings(old["users"][0]), "id": str(uuid.uuid4()), "createdAt": moment}
            before = old["chat_settings"][0] if old["chat_settings"] else made_up
            if unknown := fields.keys() - before.keys():
                raise InvalidRecordError("The chat settings", dict.fromkeys(unknown, "there is no such field"))
            if fixed := [name for name in ("id", "userId") if fields.get(name, before[name]) != before[name]]:
                raise InvalidRecordError("The chat settings", dict.fromkeys(fixed, "it cannot be changed"))
            given = {name: plain(chat_settings.c[name].type, value) for name, value in fields.items()}
            new = {**old, "chat_settings": [{**before, "updatedAt": moment, **given}]}
            self._mapping.check(new)
            rows.save(connection, self._mapping, old, new)
            note_updated(self._mapping, old, new)
            return self._reload(connection, user_id)

        return self._change(work, [user_id])
