"""The messages of chats: read from the end in pages, added, changed, deleted, swiped."""

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Dialect

from store import capture, codec, rows
from store.audit import Change, noted
from store.audit.differences import current, note_created, note_gone, note_updated, title_of
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
from store.statements import Statement, read
from store.tables.chats import chats
from store.tables.messages import messages

NO_SWIPE = -(2**31)  # sorts before every swipeIndex: nothing comes before something
MAX_PAGE_SIZE = 500
_SWIPE = sa.func.coalesce(messages.c.swipeIndex, NO_SWIPE)
_OF_CHAT = messages.c.chatId == sa.bindparam("chat", type_=sa.Text)
_MADE = messages.c.createdAt
_CHAT = Statement(lambda _: sa.select(chats.c.id).where(chats.c.id == sa.bindparam("chat", type_=sa.Text)))
_ADD = Statement(lambda _: sa.insert(messages))
_NEWEST = Statement(lambda _: sa.select(_MADE).where(_OF_CHAT).order_by(_MADE.desc()).limit(1))


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
            keys = _backwards(connection, chat_id, before, size + 1)
            loaded = rows.load(connection, MESSAGES, [one for one, _, _ in keys[:size] if rows.is_sound(one)])
        page = _documents(loaded, [one for one, _, _ in reversed(keys[:size])])
        more = len(keys) > size
        unread = [] if before else self._unread(chat_id)
        return MessagesPage(page, [*page.problems, *unread], _cursor(*keys[size - 1]) if more else None)

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

    def message_values(self, message_id: str) -> dict[str, Any] | None:
        """Every field of a message by the name that ``update_message`` knows it by; None without it."""
        with self._backend.reading() as connection:
            loaded = rows.load(connection, MESSAGES, [message_id]) if rows.is_sound(message_id) else {}
        return current(MESSAGES, loaded[message_id]) if message_id in loaded else None

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
            newest = self._newest(connection, chat_id)
            _put_behind(newest, [made["messages"][0] for made in undated])
            documents = {loaded["messages"][0]["id"]: _document(loaded) for loaded, _ in new}
            for loaded, _ in new:
                _ADD.change(connection, **loaded["messages"][0])
            attached = {loaded["messages"][0]["id"]: ids for loaded, ids in new if ids}
            for message_id, ids in attached.items():
                attach(connection, chat_id, message_id, ids)
            again = rows.load(connection, MESSAGES, list(attached)) if attached else {}
            for loaded, _ in new:
                note_created(MESSAGES, again.get(loaded["messages"][0]["id"], loaded))
            return list({**documents, **{one: _document(loaded) for one, loaded in again.items()}}.values())

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
            changed = rows.load(connection, MESSAGES, [message_id])[message_id]
            note_updated(MESSAGES, old, changed)
            return chat_id, _document(changed)

        result = self._backend.changing(work, lambda value: [("chat", value[0])])
        return Result(result.value[1], result.sources)

    def delete_message(self, message_id: str) -> Result[bool]:
        """Delete a message; its attachments stay with the chat. False when there was none. Raises UnreadableError when
        it may be in what cannot be read."""

        def work(connection: Connection) -> tuple[str | None, bool]:
            old = rows.load(connection, MESSAGES, [message_id]).get(message_id)
            chat_id = old["messages"][0]["chatId"] if old else None
            if old:
                note_gone(MESSAGES, old)
            gone = connection.execute(sa.delete(messages).where(messages.c.id == message_id)).rowcount
            if not gone and (doubt := self._backend.doubt(capture.MESSAGE, message_id)):
                raise doubt
            return chat_id, gone == 1

        result = self._backend.changing(work, lambda value: [("chat", value[0])] if value[0] else [])
        return Result(result.value[1], result.sources)

    def clear_messages(self, chat_id: str) -> Result[int]:
        """Delete every message of a chat; how many there were."""

        def work(connection: Connection) -> int:
            self._newest(connection, chat_id)
            if doubt := self._backend.doubt(capture.LOG, chat_id):
                raise doubt
            gone = connection.execute(sa.delete(messages).where(messages.c.chatId == chat_id)).rowcount
            chat = connection.execute(sa.select(chats.c.title).where(chats.c.id == chat_id)).mappings().one()
            noted(Change("clear", "chat", chat_id, title_of(dict(chat)), f"{gone:,} messages were deleted."))
            return gone

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
                note_updated(MESSAGES, old, {**old, "messages": [{**row, **first}]})
            highest = sa.select(sa.func.max(messages.c.swipeIndex))
            mine = (messages.c.chatId == chat_id, messages.c.swipeGroupId == group)
            number = connection.scalar(highest.where(*mine))
            place = {"swipeGroupId": group, "swipeIndex": (number or 0) + 1, "createdAt": row["createdAt"]}
            loaded, ids = _new(chat_id, {"role": row["role"], **fields, **place, "id": new_id})
            _document(loaded)
            _ADD.change(connection, **loaded["messages"][0])
            if ids:
                attach(connection, chat_id, new_id, ids)
            made = rows.load(connection, MESSAGES, [new_id])[new_id]
            note_created(MESSAGES, made)
            return chat_id, _document(made)

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

    def _newest(self, connection: Connection, chat_id: str) -> str | None:
        """The moment of a chat's last message; None without one. Raises NotFoundError without the chat."""
        there, last = read(connection, (_CHAT, {"chat": chat_id}), (_NEWEST, {"chat": chat_id}))
        if not there:
            raise self._backend.doubt("chat", chat_id) or NotFoundError(f"There is no chat {chat_id} (any more).")
        return last[0][0] if last else None

    def _unread(self, chat_id: str) -> list[StoreError]:
        """The lines of the chat's file that cannot be read; which messages they were cannot be told."""
        path = logs.log_path(chat_id)
        found = self._backend.problems("chat", capture.LOG)
        return [problem for problem in found if isinstance(problem, UnreadableError) and problem.path == path]

    def _ids(self, chat_id: str, group_id: str | None = None) -> list[str]:
        with self._backend.reading([("chat", chat_id)]) as connection:
            if group_id is None:
                found = _EVERY.read(connection, chat=chat_id)
            else:
                found = _SWIPES.read(connection, chat=chat_id, group=group_id)
        return [one for one, _, _ in reversed(found)]

    def _found(self, ids: Sequence[str]) -> Found[Message]:
        with self._backend.reading() as connection:
            loaded = rows.load(connection, MESSAGES, [one for one in ids if rows.is_sound(one)])
        return _documents(loaded, ids)


def _keys(dialect: Dialect, *conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """What messages are sorted by, from the end."""
    column = messages.c
    return (
        sa.select(column.id, column.createdAt, _SWIPE)
        .where(*conditions)
        .order_by(column.createdAt.desc(), _SWIPE.desc(), _by_code_point(dialect).desc())
    )


def _by_code_point(dialect: Dialect) -> sa.ColumnElement[str]:
    return messages.c.id if dialect.name == "sqlite" else messages.c.id.collate("C")


def _earlier(dialect: Dialect) -> sa.Select[Any]:
    """Those before a place in the chat."""
    moment = sa.bindparam("moment", type_=_MADE.type)
    swipe = sa.bindparam("swipe", type_=sa.Integer)
    last = sa.bindparam("last", type_=sa.Text)
    same = sa.or_(swipe > _SWIPE, sa.and_(swipe == _SWIPE, _by_code_point(dialect) < last))
    made = messages.c.createdAt
    return _keys(dialect, _OF_CHAT, made <= moment, sa.or_(made < moment, same)).limit(_COUNT)


_COUNT = sa.bindparam("count", type_=sa.Integer)
_EVERY = Statement(lambda dialect: _keys(dialect, _OF_CHAT))
_LAST = Statement(lambda dialect: _keys(dialect, _OF_CHAT).limit(_COUNT))
_BEFORE = Statement(_earlier)
# By the index of groups alone: SQLite would otherwise walk the whole chat for the sake of the order.
_SWIPES = Statement(
    lambda dialect: _keys(
        dialect,
        messages.c.swipeGroupId == sa.bindparam("group", type_=sa.Text),
        sa.func.coalesce(messages.c.chatId, "") == sa.bindparam("chat", type_=sa.Text),
    )
)


def _backwards(connection: Connection, chat_id: str, before: str | None, count: int) -> list[list[Any]]:
    """Id, moment and swipe of a chat's last messages, or of those before a cursor, from the end."""
    if before is None:
        return _LAST.read(connection, chat=chat_id, count=count)
    moment, swipe, last = _read_cursor(before)
    return _BEFORE.read(connection, chat=chat_id, moment=moment, swipe=swipe, last=last, count=count)


def _cursor(message_id: str, moment: str, swipe: int) -> str:
    return f"{moment}~{swipe}~{message_id}"


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
            if message_id in loaded:
                found.append(_document(loaded[message_id]))
            elif not rows.is_sound(message_id):
                raise rows.unsound("message", message_id)
        except InvalidRecordError as error:
            found.problems.append(error)
    return found


def _put_behind(last: str | None, new: list[Row]) -> None:
    """Move what was made at the very moment of the chat's last message behind it. That one may have been moved as well,
    so it lies a little ahead; a message dated far ahead moves nothing."""
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
    """The rows of a new message, not yet checked, and the ids of its attachments. Raises InvalidRecordError for what is
    no field or no list of ids."""
    given = dict(fields)
    attachments = _ids_in(given.pop("attachments", ()))
    blank = MESSAGES.blank(given.pop("id", None) or str(uuid.uuid4()), now())
    blank["messages"][0]["chatId"] = chat_id
    return _with_fields(blank, given), attachments


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
