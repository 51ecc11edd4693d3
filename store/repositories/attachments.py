"""Files attached to messages of chats."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy import Connection

from store import rows
from store.audit.differences import note_updated
from store.documents import Attachment
from store.errors import MissingReferenceError, NotFoundError
from store.mapping.images import NO_BYTES
from store.mapping.messages import MESSAGES
from store.repositories.base import Repository
from store.repositories.contract import Found, Result
from store.tables.attachments import chat_files
from store.tables.messages import messages


class AttachmentsRepository(Repository[Attachment]):
    """Attachments; each belongs to a chat and, once it was sent, to one of its messages."""

    kind = "attachment"
    short = (
        "id",
        "chatId",
        "messageId",
        "filename",
        "mimeType",
        "size",
        "sentToProvider",
        "providerError",
        "createdAt",
    )
    sortable = ("filename", "size", "createdAt")
    searched = ("filename",)

    def find_by_user_id(self, user_id: str) -> Found[Attachment]:
        """The attachments of a user's chats."""
        chats = self._mapping.parents[0].table
        return self._find(self._main.c.chatId.in_(sa.select(chats.c.id).where(chats.c.userId == user_id)))

    def find_by_chat_id(self, chat_id: str) -> Found[Attachment]:
        """A chat's attachments, sent or not, by (createdAt, id)."""
        return self._find(self._main.c.chatId == chat_id)

    def find_by_message_id(self, message_id: str) -> Found[Attachment]:
        """The attachments of a message, by (createdAt, id)."""
        return self._find(self._main.c.messageId == message_id)

    def find_by_sha256(self, sha256: str) -> Found[Attachment]:
        """The attachments with these bytes; those whose bytes are missing are none of them."""
        found = self.find_all()
        return Found([one for one in found if one.sha256 == sha256 != NO_BYTES], found.problems)

    def attach(self, message_id: str, attachment_ids: Iterable[str]) -> Result[int]:
        """Give a message these attachments of its chat, and no others; how many changed. Raises NotFoundError,
        MissingReferenceError."""
        ids = list(dict.fromkeys(attachment_ids))

        def work(connection: Connection) -> int:
            chat_id = connection.scalar(sa.select(messages.c.chatId).where(messages.c.id == message_id))
            if chat_id is None:
                raise NotFoundError(f"There is no message {message_id} (any more).")
            old = rows.load(connection, MESSAGES, [message_id])[message_id]
            changed = attach(connection, chat_id, message_id, ids)
            note_updated(MESSAGES, old, rows.load(connection, MESSAGES, [message_id])[message_id])
            return changed

        return self._change(work, ids)


def attach(connection: Connection, chat_id: str, message_id: str, ids: list[str]) -> int:
    """Within the caller's transaction: the message has exactly these attachments."""
    table = chat_files
    there: set[str] = set()
    for some in rows.chunks(ids):
        there.update(connection.scalars(sa.select(table.c.id).where(table.c.id.in_(some), table.c.chatId == chat_id)))
    if gone := [one for one in ids if one not in there]:
        raise MissingReferenceError(f"The chat has no attachment {gone[0]} (any more).")
    others = sa.update(table).where(table.c.messageId == message_id, table.c.id.not_in(ids))
    changed = connection.execute(others.values(messageId=None)).rowcount
    for some in rows.chunks(ids):
        other = sa.or_(table.c.messageId.is_(None), table.c.messageId != message_id)
        these = sa.update(table).where(table.c.id.in_(some), other)
        changed += connection.execute(these.values(messageId=message_id)).rowcount
    return changed
