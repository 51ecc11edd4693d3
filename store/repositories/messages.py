"""The messages of chats: read from the end in pages, added, changed, deleted, swiped."""

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from store import capture, codec, rows
from store.backends import Backend
from store.documents import Message, now
from store.documents.base import canonical_moment, spell_moment
from store.errors import (
    ConflictError,
    InvalidRecordError,
    InvalidValueError,
    NotFoundError,
    StoreError,
    UnreadableError,
)
from store.files import logs
from store.mapping import Row, Rows
from store.mapping.messages import MESSAGES
from store.repositories.attachments import attach
from store.repositories.contract import Found, MessagesPage, Result
from store.tables.chats import chats
from store.tables.messages import messages

NO_SWIPE = -(2**31)  # sorts before every swipeIndex: nothing comes before something
MAX_PAGE_SIZE = 500
_SWIPE = sa.func.coalesce(messages.c.swipeIndex, NO_SWIPE)


class Conversations:
    """What a repository of chats can do with their messages. The order is (createdAt, swipeIndex, id), and swipes share
    the moment of the message they are an alternative to."""

    _backend: Backend

    # ------------------------------------------------------------------ reading
    def get_messages(self, chat_id: str) -> Found[Message]:
        """Every message of a chat in its order. For long chats take pages instead."""
        found = self._found(self._ids(chat_id))
        found.problems += self._unread(chat_id)
        return found

    def get_message_count(self, chat_id: str) -> int:
        """How many messages a chat has."""
        with self._backend.reading([("chat", chat_id)]) as connection:
            counted = sa.select(sa.func.count()).select_from(messages).where(messages.c.chatId == chat_id)
            return int(connection.scalar(counted) or 0)

    def messages_page(self, chat_id: str, *, before: str | None = None, limit: int = 50) -> MessagesPage:
        """The last messages of a chat, or those before a page's ``before``; what else the chat holds is not read."""
        size = min(max(limit, 1), MAX_PAGE_SIZE)
        with self._backend.reading([("chat", chat_id)]) as connection:
            keys = connection.execute(_backwards(connection, chat_id, before).limit(size + 1)).all()
            loaded = rows.load(connection, MESSAGES, [key.id for key in keys[:size] if rows.is_sound(key.id)])
        page = _documents(loaded, [key.id for key in reversed(keys[:size])])
        more = len(keys) > size
        unread = [] if before else self._unread(chat_id)
        return MessagesPage(page, [*page.problems, *unread], _cursor(keys[size - 1]) if more else None)

    def find_message(self, message_id: str) -> tuple[str, Message] | None:
        """The message and the id of its chat. Raises InvalidRecordError when it is there and cannot be read."""
        with self._backend.reading() as connection:
            chat_id = connection.scalar(sa.select(messages.c.chatId).where(messages.c.id == message_id))
        if chat_id is None:
            return None
        # Only whose chat is known can be looked at in the files: they may have changed in place just now.
        with self._backend.reading([("chat", chat_id)]) as connection:
            loaded = rows.load(connection, MESSAGES, [message_id])
        if message_id not in loaded:
            return None
        return loaded[message_id]["messages"][0]["chatId"], _document(loaded[message_id])

    def swipes(self, chat_id: str, group_id: str) -> Found[Message]:
        """The alternatives to one another, by their swipeIndex. A group's name may come back in another chat."""
        return self._found(self._ids(chat_id, group_id))

    def message_version(self, message: Message) -> str:
        """A short text that changes whenever the message does."""
        return hashlib.blake2b(codec.dumps(message.model_dump()), digest_size=12).hexdigest()

    # ------------------------------------------------------------------ writing
    def add_message(self, chat_id: str, fields: dict[str, Any]) -> Result[Message]:
        """A new message. ``attachments``: ids of files of the chat. Raises NotFoundError without the chat."""
        result = self.add_messages(chat_id, [fields])
        return Result(result.value[0], result.sources)

    def add_messages(self, chat_id: str, several: Iterable[dict[str, Any]]) -> Result[list[Message]]:
        """New messages as one unit, in the order given where they share a moment and bring no ids."""
        given = list(several)
        ids = iter(sorted(str(uuid.uuid4()) for _ in given))  # what shares a moment is ordered by id
        new = [_new(chat_id, {**fields, "id": fields.get("id") or next(ids)}) for fields in given]
        undated = [made for fields, (made, _) in zip(given, new, strict=True) if "createdAt" not in fields]

        def work(connection: Connection) -> list[Message]:
            self._chat_there(connection, chat_id)
            _put_last(connection, chat_id, [made["messages"][0] for made in undated])
            if new:
                connection.execute(sa.insert(messages), [loaded["messages"][0] for loaded, _ in new])
            attached = [(loaded["messages"][0]["id"], ids) for loaded, ids in new if ids]
            for message_id, ids in attached:
                attach(connection, chat_id, message_id, ids)
            again = rows.load(connection, MESSAGES, [message_id for message_id, _ in attached]) if attached else {}
            return [_document(again.get(loaded["messages"][0]["id"], loaded)) for loaded, _ in new]

        return self._backend.changing(work, lambda _: [("chat", chat_id)])

    def update_message(
        self, message_id: str, fields: dict[str, Any], *, expected: str | None = None
    ) -> Result[Message]:
        """Change some fields of a message. ``expected`` is the ``message_version`` the caller saw."""

        def work(connection: Connection) -> tuple[str, Message]:
            chat_id, old = self._there(connection, message_id)
            if expected is not None and self.message_version(current := _document(old)) != expected:
                raise ConflictError("Somebody else changed this message in the meantime.", current=current)
            new = _with_fields(old, {key: value for key, value in fields.items() if key != "attachments"})
            _document(new)
            rows.save(connection, MESSAGES, old, new)
            if "attachments" in fields:
                attach(connection, chat_id, message_id, _ids_in(fields["attachments"]))
            return chat_id, _document(rows.load(connection, MESSAGES, [message_id])[message_id])

        result = self._backend.changing(work, lambda value: [("chat", value[0])])
        return Result(result.value[1], result.sources)

    def delete_message(self, message_id: str) -> Result[bool]:
        """Delete a message; its attachments stay with the chat. False when there was none. Raises UnreadableError when
        it may be in what cannot be read."""

        def work(connection: Connection) -> tuple[str | None, bool]:
            chat_id = connection.scalar(sa.select(messages.c.chatId).where(messages.c.id == message_id))
            gone = connection.execute(sa.delete(messages).where(messages.c.id == message_id)).rowcount
            if not gone and (doubt := self._backend.doubt(capture.MESSAGE, message_id)):
                raise doubt
            return chat_id, gone == 1

        result = self._backend.changing(work, lambda value: [("chat", value[0])] if value[0] else [])
        return Result(result.value[1], result.sources)

    def clear_messages(self, chat_id: str) -> Result[int]:
        """Delete every message of a chat; how many there were."""

        def work(connection: Connection) -> int:
            self._chat_there(connection, chat_id)
            if doubt := self._backend.doubt(capture.LOG, chat_id):
                raise doubt
            return connection.execute(sa.delete(messages).where(messages.c.chatId == chat_id)).rowcount

        return self._backend.changing(work, lambda _: [("chat", chat_id)])

    def add_swipe(self, message_id: str, fields: dict[str, Any]) -> Result[Message]:
        """Another version of a message: at its moment, in its group (made when it has none), with the next index."""
        new_id = fields.get("id") or str(uuid.uuid4())

        def work(connection: Connection) -> tuple[str, Message]:
            chat_id, old = self._there(connection, message_id)
            row = old["messages"][0]
            group = row["swipeGroupId"] or f"swipe-{message_id}"
            if row["swipeGroupId"] is None or row["swipeIndex"] is None:
                first = {"swipeGroupId": group, "swipeIndex": row["swipeIndex"] or 0}
                connection.execute(sa.update(messages).where(messages.c.id == message_id).values(**first))
            highest = sa.select(sa.func.max(messages.c.swipeIndex))
            mine = (messages.c.chatId == chat_id, messages.c.swipeGroupId == group)
            number = connection.scalar(highest.where(*mine))
            place = {"swipeGroupId": group, "swipeIndex": (number or 0) + 1, "createdAt": row["createdAt"]}
            loaded, ids = _new(chat_id, {"role": row["role"], **fields, **place, "id": new_id})
            connection.execute(sa.insert(messages), loaded["messages"])
            if ids:
                attach(connection, chat_id, new_id, ids)
            return chat_id, _document(rows.load(connection, MESSAGES, [new_id])[new_id])

        result = self._backend.changing(work, lambda value: [("chat", value[0])])
        return Result(result.value[1], result.sources)

    # ------------------------------------------------------------------ inside
    def _there(self, connection: Connection, message_id: str) -> tuple[str, Rows]:
        loaded = rows.load(connection, MESSAGES, [message_id], for_update=True)
        if message_id not in loaded:
            # It may lie in a chat's file that cannot be read.
            unreadable = [problem for problem in self._backend.problems("chat") if isinstance(problem, UnreadableError)]
            missing = NotFoundError(
                f"There is no message {message_id} (any more).", hint="Go back to the chat and reload it."
            )
            raise next((problem for problem in unreadable if problem.line is None), missing)
        return loaded[message_id]["messages"][0]["chatId"], loaded[message_id]

    def _chat_there(self, connection: Connection, chat_id: str) -> None:
        if connection.scalar(sa.select(chats.c.id).where(chats.c.id == chat_id)) is None:
            raise self._backend.doubt("chat", chat_id) or NotFoundError(f"There is no chat {chat_id} (any more).")

    def _unread(self, chat_id: str) -> list[StoreError]:
        """The lines of the chat's file that cannot be read; which messages they were cannot be told."""
        path = logs.log_path(chat_id)
        found = [problem for kind in ("chat", "log") for problem in self._backend.problems(kind)]
        return [problem for problem in found if isinstance(problem, UnreadableError) and problem.path == path]

    def _ids(self, chat_id: str, group_id: str | None = None) -> list[str]:
        with self._backend.reading([("chat", chat_id)]) as connection:
            found = connection.execute(_backwards(connection, chat_id, None, group_id)).all()
        return [key.id for key in reversed(found)]

    def _found(self, ids: Sequence[str]) -> Found[Message]:
        with self._backend.reading() as connection:
            loaded = rows.load(connection, MESSAGES, [one for one in ids if rows.is_sound(one)])
        return _documents(loaded, ids)


def _backwards(connection: Connection, chat_id: str, before: str | None, group_id: str | None = None) -> sa.Select[Any]:
    """The keys of a chat's messages, or of a group of swipes, from its end, or from before a cursor."""
    # By code point on both databases.
    record_id = messages.c.id if connection.dialect.name == "sqlite" else messages.c.id.collate("C")
    column = messages.c
    keys = sa.select(column.id, column.createdAt, _SWIPE.label("swipe"))
    if group_id is None:
        keys = keys.where(column.chatId == chat_id)
    else:
        # By the index of groups alone: SQLite would otherwise walk the whole chat for the sake of the order.
        keys = keys.where(column.swipeGroupId == group_id, sa.func.coalesce(column.chatId, "") == chat_id)
    if before:
        moment, swipe, last = _read_cursor(before)
        same = sa.or_(swipe > _SWIPE, sa.and_(sa.literal(swipe) == _SWIPE, record_id < last))
        earlier = sa.or_(column.createdAt < moment, same)
        keys = keys.where(column.createdAt <= moment, earlier)
    return keys.order_by(column.createdAt.desc(), _SWIPE.desc(), record_id.desc())


def _cursor(key: Any) -> str:
    return f"{key.createdAt}~{key.swipe}~{key.id}"


def _read_cursor(text: str) -> tuple[str, int, str]:
    moment, _, rest = text.partition("~")
    swipe, _, last = rest.partition("~")
    try:
        if not rows.is_sound(last):
            raise ValueError(last)
        return canonical_moment(moment), int(swipe), last
    except ValueError as error:
        raise InvalidValueError("This is no place in a chat.", hint="Go back to the end of the chat.") from error


def _document(loaded: Rows) -> Message:
    return MESSAGES.check(loaded)[0]  # type: ignore[return-value]


def _documents(loaded: dict[str, Rows], ids: Sequence[str]) -> Found[Message]:
    found: Found[Message] = Found()
    for message_id in ids:
        try:
            if not rows.is_sound(message_id):
                raise rows.unsound("message", message_id)
            if message_id in loaded:
                found.append(_document(loaded[message_id]))
        except InvalidRecordError as error:
            found.problems.append(error)
    return found


def _put_last(connection: Connection, chat_id: str, new: list[Row]) -> None:
    """Move what was made at the very moment of the chat's last message behind it. That one may have been moved as well,
    so it lies a little ahead; a message dated far ahead moves nothing."""
    moment = messages.c.createdAt
    newest = sa.select(moment).where(messages.c.chatId == chat_id).order_by(moment.desc()).limit(1)
    last = connection.scalar(newest) if new else None
    if last is None:
        return
    try:
        behind = spell_moment(datetime.fromisoformat(last) + timedelta(milliseconds=1))
        ahead = spell_moment(datetime.fromisoformat(last) - timedelta(seconds=1))
    except OverflowError:  # the first or the last moment there is: nothing of now comes near it
        return
    for row in new:
        if ahead <= row["createdAt"] <= last:
            row["createdAt"] = behind


def _new(chat_id: str, fields: dict[str, Any]) -> tuple[Rows, list[str]]:
    """The rows of a new message and the ids of its attachments. Raises InvalidRecordError."""
    given = dict(fields)
    attachments = _ids_in(given.pop("attachments", ()))
    blank = MESSAGES.blank(given.pop("id", None) or str(uuid.uuid4()), now())
    blank["messages"][0]["chatId"] = chat_id
    loaded = _with_fields(blank, given)
    _document(loaded)
    return loaded, attachments


def _ids_in(attachments: Any) -> list[str]:
    """The ids of a message's attachments, each once. Raises InvalidRecordError when they are none."""
    if not isinstance(attachments, list | tuple) or not all(map(rows.is_sound, attachments)):
        raise InvalidRecordError("The message", {"attachments": "it is not a list of ids"})
    return list(dict.fromkeys(attachments))


def _with_fields(old: Rows, fields: dict[str, Any]) -> Rows:
    if fixed := [
        name for name in ("id", "chatId") if fields.get(name, old["messages"][0][name]) != old["messages"][0][name]
    ]:
        raise InvalidRecordError("The message", dict.fromkeys(fixed, "it cannot be changed"))
    return MESSAGES.with_fields(old, fields, now())
