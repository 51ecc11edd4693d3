"""Lines of chats' files for the tests: as Tandem writes them, as Quilltap does, and bad ones."""

import json
from typing import Any

from store.files import logs

CHAT = "00000000-0000-4000-8000-000000000001"
PATH = f"chats/{CHAT}.jsonl"
Record = dict[str, Any]


def message(number: int = 0, content: str = "Hello", **what_matters: Any) -> Record:
    """A message in Quilltap's key order; later numbers are later messages."""
    return {
        "type": "message",
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "role": "USER",
        "content": content,
        "rawResponse": None,
        "tokenCount": None,
        "swipeGroupId": None,
        "swipeIndex": None,
        "attachments": [],
        "createdAt": f"2025-01-01T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000Z",
        **what_matters,
    }


def by_quilltap(record: Record) -> bytes:
    """A line as Quilltap appends it: without a checksum."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


SUMMARY = {"type": "context-summary", "id": "s", "context": "so far", "createdAt": "2025-01-01T00:00:01.500Z"}
FROM_LATER = {"type": "reaction", "emoji": "🔑", "createdAt": "2025-01-01T00:00:01.600Z"}
FIRST, SECOND, THIRD = (message(number, f"no. {number}") for number in (1, 2, 3))


BAD = {
    "cut short": logs.line(SECOND)[:40] + b"\n",
    "of zeros": bytes(20) + b"\n",
    "no object": b"[]\n",
    "without a type": by_quilltap({key: value for key, value in SECOND.items() if key != "type"}),
    "with an unknown role": by_quilltap({**SECOND, "role": "GOD"}),
    "with a time that is none": by_quilltap({**SECOND, "createdAt": "yesterday"}),
    "changed under its checksum": logs.line(SECOND).replace(b"no. 2", b"no. 9"),
    "with an impossible checksum": logs.line(SECOND).replace(b'"crc":"', b'"crc":"x'),
    "not in UTF-8": logs.line(SECOND).replace(b"no. 2", b"no.\xff2"),
    "the same message again": logs.line(FIRST),
}


def contents(log: logs.Log) -> list[str]:
    return [event.record["content"] for event in log.messages]
