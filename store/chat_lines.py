"""Whole chats as the lines of their files, a block of messages at a time: straight from the driver, checked a column at
a time.

What is in any way unusual is left to ``deriving``, which looks at every message by itself: a block that has lines has
the bytes that it would have there.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Connection

from store import codec, rows
from store.columns import are_moments, are_numbers, are_objects, are_texts
from store.documents.quilltap import are_uuids, rejection
from store.files.logs import Key, order_key, sealed
from store.mapping import Child
from store.mapping.base import by_creation
from store.mapping.messages import MESSAGES, event
from store.statements import stream
from store.tables import ENUMS
from store.tables.attachments import chat_files
from store.tables.base import FreeForm, all_spelled

BLOCK = 2_000  # messages at once
Row = tuple[Any, ...]
_ROLES: Final = frozenset(ENUMS["Role"])
_ATTACHED: Final = Child(chat_files, "messageId")
_chat_of: Final = itemgetter(0)


class Block(NamedTuple):
    """Messages of one chat that follow each other in its file. ``lines``: None where they have to be looked at one by
    one. ``rejected``: id and reason of those that Quilltap would refuse."""

    ids: Sequence[str]
    lines: bytes | None
    rejected: Sequence[tuple[str, str]] = ()


def blocks(connection: Connection, chat_ids: Sequence[str] | None = None) -> Iterator[tuple[str, Iterator[Block]]]:
    """Chat by chat its messages in the order of its file, of these chats or of all; chats without any are left out.
    After a block without lines there may be more of the chat that are not given."""
    attached = _with_attachments(connection, chat_ids)
    for chat_id, chunks in groupby(_chunks(connection, chat_ids), key=_chat_of):
        yield chat_id, _blocks(connection, (chunk for _, chunk in chunks), chat_id in attached)


def _chunks(connection: Connection, chat_ids: Sequence[str] | None) -> Iterator[tuple[Any, list[Row]]]:
    """The rows of one chat, some at a time."""
    postgresql = connection.dialect.name == "postgresql"
    text, order = ("::text", '"swipeIndex" NULLS FIRST, id COLLATE "C"') if postgresql else ("", '"swipeIndex", id')
    where, parameters = _among(connection, '"chatId"', chat_ids)
    sql = (
        f'SELECT "chatId", id, role{text}, content, "rawResponse"{text}, "tokenCount", "swipeGroupId", "swipeIndex",'  # noqa: S608  # our own words
        f' "createdAt"{text} FROM messages {where} ORDER BY "chatId", messages."createdAt", {order}'
    )
    for batch in stream(connection, sql, parameters, BLOCK):
        for chat_id, several in groupby(batch, key=_chat_of):
            yield chat_id, list(several)


def _with_attachments(connection: Connection, chat_ids: Sequence[str] | None) -> set[str]:
    where, parameters = _among(connection, 'messages."chatId"', chat_ids)
    sql = f'SELECT DISTINCT "messages"."chatId" FROM chat_files JOIN messages ON messages.id = "messageId" {where}'  # noqa: S608  # our own words
    return {row[0] for batch in stream(connection, sql, parameters) for row in batch}


def _among(connection: Connection, column: str, ids: Sequence[str] | None) -> tuple[str, tuple[Any, ...]]:
    if ids is None:
        return "", ()
    if connection.dialect.name == "postgresql":
        return f"WHERE {column} = ANY(%s)", (list(ids),)
    return f"WHERE {column} IN (SELECT value FROM json_each(?))", (codec.dumps(ids).decode(),)  # noqa: S608  # our own words


def _blocks(connection: Connection, chunks: Iterator[list[Row]], attached: bool) -> Iterator[Block]:
    last: Key | None = None
    for chunk in chunks:
        _, ids, roles, contents, raws, tokens, groups, swipes, stored = zip(*chunk, strict=True)
        try:
            _check(ids, roles, contents, tokens, groups, swipes)
            moments = all_spelled(stored)
            if not are_moments(moments):
                raise ValueError("A moment in no known form.")
            _check_order(last, moments, swipes, ids)
            values = _free_form(connection, raws)
            files = _attachments(connection, ids) if attached else {}
            lines = _lines((ids, roles, contents, values, tokens, groups, swipes, moments), files)
        except (TypeError, ValueError):  # also what no JSON can hold
            yield Block(ids, None)
            return
        yield Block(ids, lines, _rejected(ids, files))
        last = order_key(moments[-1], swipes[-1], ids[-1])


def _lines(columns: tuple[Sequence[Any], ...], files: dict[str, list[str]]) -> bytes:
    """The lines of messages, of which every value is as it should be."""
    dumps = codec.dumps if any(columns[3]) else orjson.dumps  # only free-form JSON needs more
    return b"".join(
        [
            sealed(dumps(event(one, role, text, raw, tokens, group, swipe, files.get(one, ()), moment)))
            for one, role, text, raw, tokens, group, swipe, moment in zip(*columns, strict=True)
        ]
    )


def _check(ids: Row, roles: Row, contents: Row, tokens: Row, groups: Row, swipes: Row) -> None:
    """Raise ValueError when any value is not as its column should have it."""
    texts = are_texts(ids, filled=True) and are_texts(contents) and are_texts(groups, nullable=True)
    if not (texts and _ROLES.issuperset(roles)):
        raise ValueError("A text that is none, or a role that there is not.")
    if not (are_numbers(tokens, nullable=True) and are_numbers(swipes, nullable=True)):
        raise ValueError("A number that is none.")


def _check_order(last: Key | None, moments: list[str], swipes: Row, ids: Row) -> None:
    """Raise ValueError when the database's order is not that of a file."""
    if len({*moments}) == len(moments) and sorted(moments) == moments and (last is None or last[0] < moments[0]):
        return
    keys = list(map(order_key, moments, swipes, ids))
    if sorted(keys) != keys or (last is not None and last >= keys[0]):
        raise ValueError("They are not in their order.")


def _free_form(connection: Connection, raws: Row) -> Sequence[dict[str, Any] | None]:
    """The values of a column of JSON. Raises ValueError for one that is no object."""
    if raws.count(None) == len(raws):
        return raws
    read = FreeForm().result_processor(connection.dialect, None)
    if not are_texts(raws, nullable=True):
        raise ValueError("JSON that is no text.")
    values = [None if raw is None else read(raw) for raw in raws]
    if not are_objects(values, nullable=True):
        raise ValueError("A value that Quilltap keeps in no file.")
    return values


def _attachments(connection: Connection, ids: Sequence[str]) -> dict[str, list[str]]:
    """Message -> the files that were sent with it, in their order."""
    found: dict[str, list[str]] = {}
    for some in rows.chunks(ids):
        for one in by_creation(rows.of(connection, _ATTACHED, some)):
            found.setdefault(one["messageId"], []).append(one["id"])
    return found


def _rejected(ids: Sequence[str], files: dict[str, list[str]]) -> list[tuple[str, str]]:
    if are_uuids(ids) and all(map(are_uuids, files.values())):
        return []
    told = [(one, rejection(MESSAGES.kind, {"id": one, "attachments": files.get(one, [])})) for one in ids]
    return [(one, reason) for one, reason in told if reason]
