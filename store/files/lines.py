"""Lines of chats' files, from the values of a message's columns. Nothing is imported here that takes time to load."""

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

Key = tuple[str, tuple[int, ...], str]


def event(
    message_id: str,
    role: str,
    content: str,
    raw_response: Any,
    tokens: int | None,
    swipe_group: str | None,
    swipe: int | None,
    attachments: Sequence[str],
    created_at: str,
) -> dict[str, Any]:
    """The event of a message from the values of its columns."""
    return {
        "type": "message",
        "id": message_id,
        "role": role,
        "content": content,
        "rawResponse": raw_response,
        "tokenCount": tokens,
        "swipeGroupId": swipe_group,
        "swipeIndex": swipe,
        "attachments": attachments,
        "createdAt": created_at,
    }


def order_key(created_at: str, swipe: int | None, message_id: str) -> Key:
    """The same from the values alone."""
    return created_at, (-1,) if swipe is None else (0, swipe), message_id


def sealed(bare: bytes, *, within_extras: bool = False) -> bytes:
    """A line with its checksum, from what it is without it. ``within_extras``: it ends with members of ``extras``."""
    if within_extras:
        return b'%b,"crc":"%08x"}}\n' % (bare[:-2], zlib.crc32(bare))
    return all_sealed([bare])


def all_sealed(bare: Iterable[bytes]) -> bytes:
    """Many lines that have no ``extras``, one behind the other."""
    return b"".join([b'%b,"extras":{"crc":"%08x"}}\n' % (line[:-1], zlib.crc32(line)) for line in bare])
