"""Whole chats as the lines of their files, a block of messages at a time: straight from the driver, checked a column at
a time.

What is in any way unusual is left to ``deriving``, which looks at every message by itself: a block that has lines has
the bytes that it would have there. Nothing is imported here that takes time to load, for a helper does this too.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby, repeat
from operator import itemgetter
from typing import Any, Final, NamedTuple

import orjson

from store import codec
from store.checks import are_moments, are_numbers, are_of, are_texts
from store.enums import ENUMS
from store.errors import InvalidValueError
from store.files.lines import Key, all_sealed, event, order_key
from store.quilltap import are_uuids, rejection
from store.spelling import all_spelled, spelled
from store.streaming import Driver, fetch, is_postgresql, stream

BLOCK = 2_000  # messages at once
Row = tuple[Any, ...]
_ROLES: Final = frozenset(ENUMS["Role"])
_NUL: Final = b"\\u0000"
_chat_of: Final = itemgetter(0)


class Block(NamedTuple):
    """Messages of one chat that follow each other in its file. ``lines``: None where they have to be looked at one by
    one. ``rejected``: id and reason of those that Quilltap would refuse. ``last``: when the last of them was."""

    ids: Sequence[str]
    lines: bytes | None
    rejected: Sequence[tuple[str, str]] = ()
    last: str = ""


def blocks(driver: Driver, chat_ids: Sequence[str] | None = None) -> Iterator[tuple[str, Iterator[Block]]]:
    """Chat by chat its messages in the order of its file, of these chats or of all; chats without any are left out.
    After a block without lines there may be more of the chat that are not given."""
    attached = _with_attachments(driver, chat_ids)
    for chat_id, chunks in groupby(_chunks(driver, chat_ids), key=_chat_of):
        yield chat_id, _blocks(driver, (chunk for _, chunk in chunks), chat_id in attached)


def _chunks(driver: Driver, chat_ids: Sequence[str] | None) -> Iterator[tuple[Any, list[Row]]]:
    """The rows of one chat, some at a time."""
    postgresql = is_postgresql(driver)
    text, order = ("::text", '"swipeIndex" NULLS FIRST, id COLLATE "C"') if postgresql else ("", '"swipeIndex", id')
    where, parameters = _among(driver, '"chatId"', chat_ids)
    sql = (
        f'SELECT "chatId", id, role{text}, content, "rawResponse"{text}, "tokenCount", "swipeGroupId", "swipeIndex",'  # noqa: S608  # our own words
        f' "createdAt"{text} FROM messages {where} ORDER BY "chatId", messages."createdAt", {order}'
    )
    for batch in stream(driver, sql, parameters, BLOCK):
        for chat_id, several in groupby(batch, key=_chat_of):
            yield chat_id, list(several)


def _with_attachments(driver: Driver, chat_ids: Sequence[str] | None) -> set[str]:
    where, parameters = _among(driver, 'messages."chatId"', chat_ids)
    sql = f'SELECT DISTINCT "messages"."chatId" FROM chat_files JOIN messages ON messages.id = "messageId" {where}'  # noqa: S608  # our own words
    return {chat_id for (chat_id,) in fetch(driver, sql, parameters)}


def _among(driver: Driver, column: str, ids: Sequence[str] | None) -> tuple[str, tuple[Any, ...]]:
    if ids is None:
        return "", ()
    if is_postgresql(driver):
        return f"WHERE {column} = ANY(%s)", (list(ids),)
    return f"WHERE {column} IN (SELECT value FROM json_each(?))", (codec.dumps(ids).decode(),)  # noqa: S608  # our own words


def _blocks(driver: Driver, chunks: Iterator[list[Row]], attached: bool) -> Iterator[Block]:
    last: Key | None = None
    for chunk in chunks:
        _, ids, roles, contents, raws, tokens, groups, swipes, stored = zip(*chunk, strict=True)
        try:
            _check(ids, roles, contents, tokens, groups, swipes)
            moments = all_spelled(stored)
            if not are_moments(moments):
                raise ValueError("A moment in no known form.")
            _check_order(last, moments, swipes, ids)
            values = _free_form(raws)
            files = _attachments(driver, ids) if attached else {}
            lines = _lines((ids, roles, contents, values, tokens, groups, swipes, moments), files)
        except (TypeError, ValueError, InvalidValueError):  # also what no JSON can hold
            yield Block(ids, None)
            return
        yield Block(ids, lines, _rejected(ids, files), moments[-1])
        last = order_key(moments[-1], swipes[-1], ids[-1])


def _lines(columns: tuple[Sequence[Any], ...], files: dict[str, list[str]]) -> bytes:
    """The lines of messages, of which every value is as it should be."""
    dumps = codec.dumps if any(columns[3]) else orjson.dumps  # only free-form JSON needs more
    *others, moments = columns
    attached = [files.get(one, ()) for one in others[0]] if files else repeat(())
    lines = all_sealed(list(map(dumps, map(event, *others, attached, moments))))
    if _NUL in lines and any("\0" in one for one in columns[2]):
        raise ValueError("A NUL character, which PostgreSQL cannot keep.")
    return lines


def _check(ids: Row, roles: Row, contents: Row, tokens: Row, groups: Row, swipes: Row) -> None:
    """Raise ValueError when any value is not as its column should have it."""
    # What is in the contents, which are most of all there is, their lines will say.
    texts = are_texts(ids, filled=True) and are_of(contents, str) and are_texts(groups, nullable=True)
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


def _free_form(raws: Row) -> Sequence[dict[str, Any] | None]:
    """The values of a column of JSON. Raises ValueError for one that is no object, or no JSON at all."""
    if raws.count(None) == len(raws):
        return raws
    if not are_texts(raws, nullable=True):
        raise ValueError("JSON that is no text.")
    return [None if raw is None else _object(raw) for raw in raws]


def _object(text: str) -> dict[str, Any]:
    value = codec.canonical(codec.loads(text))
    if not isinstance(value, dict):
        raise ValueError("A value that Quilltap keeps in no file.")
    return value


def _attachments(driver: Driver, ids: Sequence[str]) -> dict[str, list[str]]:
    """Message -> the files that were sent with it, in their order."""
    where, parameters = _among(driver, '"messageId"', ids)
    text = "::text" if is_postgresql(driver) else ""
    sql = f'SELECT "messageId", id, "createdAt"{text} FROM chat_files {where}'  # noqa: S608  # our own words
    rows = [(spelled(made), one, message) for message, one, made in fetch(driver, sql, parameters)]
    if rows and not are_texts([one for _, one, _ in rows], filled=True):
        raise ValueError("An id that is no text.")
    found: dict[str, list[str]] = {}
    for _, one, message_id in sorted(rows):
        found.setdefault(message_id, []).append(one)
    return found


def _rejected(ids: Sequence[str], files: dict[str, list[str]]) -> list[tuple[str, str]]:
    if are_uuids(ids) and all(map(are_uuids, files.values())):
        return []
    told = [(one, rejection("message", {"id": one, "attachments": files.get(one, [])})) for one in ids]
    return [(one, reason) for one, reason in told if reason]
