"""Cards and pictures for the tests: real PNGs, and a card in which a test names only what matters to it."""

import io
import json
import struct
import zlib
from base64 import b64encode
from typing import Any

from PIL import Image

from store.cards import with_text_chunks
from store.cards.png import SIGNATURE

FLAT = {
    "name": "Ada",
    "description": "An engineer.",
    "personality": "Curious",
    "scenario": "A workshop",
    "first_mes": "Hello!",
    "mes_example": "<START>",
}


def make_v1(**changes: Any) -> dict[str, Any]:
    return {**FLAT, **changes}


def make_v2(**changes: Any) -> dict[str, Any]:
    return {"spec": "chara_card_v2", "spec_version": "2.0", "data": {**FLAT, "system_prompt": "", **changes}}


def make_v3(**changes: Any) -> dict[str, Any]:
    return {"spec": "chara_card_v3", "spec_version": "3.0", "data": {**FLAT, "system_prompt": "", **changes}}


def as_json(card: Any) -> bytes:
    return json.dumps(card, ensure_ascii=False).encode()


def as_base64(card: Any) -> str:
    return b64encode(card if isinstance(card, bytes) else as_json(card)).decode()


def make_png(size: tuple[int, int] = (3, 2), mode: str = "RGB", color: Any = 0) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, color).save(file, "PNG")
    return file.getvalue()


def make_card_png(picture: bytes | None = None, **payloads: Any) -> bytes:
    """A picture with a text chunk per keyword; a payload that is text is taken as it is, any other becomes base64."""
    texts = {keyword: p if isinstance(p, str) else as_base64(p) for keyword, p in payloads.items()}
    return with_text_chunks(picture or make_png(), texts)


def chunk(kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    crc = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def with_chunk(png: bytes, *chunks: bytes) -> bytes:
    """The PNG with raw chunks put in after its header, sound or not."""
    start = len(SIGNATURE) + 25
    return png[:start] + b"".join(chunks) + png[start:]


def packed_itxt(keyword: str, packed: bytes) -> bytes:
    return chunk(b"iTXt", keyword.encode() + b"\0\1\0en\0\0" + packed)


def header(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))
