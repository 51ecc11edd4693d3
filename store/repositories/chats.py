"""Chats: the record, what characters wear in it, and under Quilltap's names its messages."""

import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from store.audit.differences import note_worn
from store.documents import Chat, now
from store.repositories.contract import Found, Result
from store.repositories.messages import Conversations
from store.repositories.tagged import TaggedRepository
from store.tables.avatars import chat_avatar_overrides as overrides
from store.tables.chats import chats
from store.tables.messages import messages

_OF_CHAT = messages.c.chatId == chats.c.id


class ChatsRepository(Conversations, TaggedRepository[Chat]):
    """Chats with their messages."""

    kind = "chat"
    short = (
        "id",
        "userId",
        "title",
        "characterId",
        "personaId",
        "connectionProfileId",
        "imageProfileId",
        "messageCount",
        "lastMessageAt",
        "createdAt",
        "updatedAt",
    )
    sortable = ("title", "lastMessageAt", "createdAt", "updatedAt")
    searched = ("title",)
    derived = {  # noqa: RUF012  # read only, see the base class
        "messageCount": sa.select(sa.func.count()).select_from(messages).where(_OF_CHAT).scalar_subquery(),
        "lastMessageAt": sa.select(sa.func.max(messages.c.createdAt, type_=messages.c.createdAt.type))
        .where(_OF_CHAT)
        .scalar_subquery(),
    }

    def find_by_character_id(self, character_id: str) -> Found[Chat]:
        """The chats with a character, by (createdAt, id)."""
        return self._find(self._main.c.characterId == character_id)

    def find_by_persona_id(self, persona_id: str) -> Found[Chat]:
        """The chats in which the user is this persona, by (createdAt, id)."""
        return self._find(self._main.c.personaId == persona_id)

    # ------------------------------------------------------------------ what characters wear
    def avatar_overrides(self, chat_id: str) -> dict[str, str]:
        """character id -> image id, for this chat."""
        worn = sa.select(overrides.c.characterId, overrides.c.imageId).where(overrides.c.chatId == chat_id)
        with self._backend.reading() as connection:
            return {row.characterId: row.imageId for row in connection.execute(worn)}

    def set_avatar_override(self, chat_id: str, character_id: str, image_id: str) -> Result[Any]:
        """Have a character wear an image in this chat. Raises NotFoundError, MissingReferenceError."""

        def work(connection: Connection) -> None:
            chat = self._locked(connection, chat_id)
            pair = (overrides.c.chatId == chat_id, overrides.c.characterId == character_id)
            before = connection.scalar(sa.select(overrides.c.imageId).where(*pair))
            note_worn(chat, character_id, before, image_id)
            if not connection.execute(sa.update(overrides).where(*pair).values(imageId=image_id)).rowcount:
                made = {"id": str(uuid.uuid4()), "chatId": chat_id, "characterId": character_id, "imageId": image_id}
                connection.execute(sa.insert(overrides).values(**made, createdAt=now()))

        return self._backend.changing(work, lambda _: [("chat", chat_id), ("character", character_id)])

    def remove_avatar_override(self, chat_id: str, character_id: str) -> Result[Any]:
        """Have a character wear its own picture again; nothing changes when it does."""

        def work(connection: Connection) -> None:
            pair = (overrides.c.chatId == chat_id, overrides.c.characterId == character_id)
            before = connection.scalar(sa.select(overrides.c.imageId).where(*pair))
            if before is not None:
                note_worn(self._locked(connection, chat_id), character_id, before, None)
            connection.execute(sa.delete(overrides).where(*pair))

        return self._backend.changing(work, lambda _: [("chat", chat_id), ("character", character_id)])
