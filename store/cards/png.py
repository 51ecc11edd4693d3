"""PNG as a box of chunks: a strict, bounded reader, and a writer for text chunks.

Only what a character card needs: the text chunks, and whether the pixels are all there. Nothing is drawn.
"""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from store.cards.errors import PngError
from store.cards.limits import DEFAULT_LIMITS, Limits, in_words
from store.codec import check_text

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXT_KINDS = (b"tEXt", b"iTXt")

# Colour type -> (samples per pixel, allowed bits per sample).
_COLOURS = {0: (1, (1, 2, 4, 8, 16)), 2: (3, (8, 16)), 3: (1, (1, 2, 4, 8)), 4: (2, (8, 16)), 6: (4, (8, 16))}
# Interlace method -> passes: first column, first row, column step, row step.
_PASSES = {
    0: ((0, 0, 1, 1),),
    1: ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
}


@dataclass(frozen=True)
class Chunk:
    """One chunk: its four-letter kind and its content, without length and checksum."""

    kind: bytes
    data: bytes

    @property
    def keyword(self) -> str:
        """The keyword of a text chunk, as it is spelled there."""
        return self.data.partition(b"\0")[0].decode("latin-1")

    def encoded(self) -> bytes:
        """The chunk as it stands in a file."""
        body = self.kind + self.data
        return struct.pack(">I", len(self.data)) + body + struct.pack(">I", zlib.crc32(body))


@dataclass(frozen=True)
class Png:
    """All chunks from IHDR to IEND, and ``length``: how many bytes of the file they and the signature take."""

    chunks: tuple[Chunk, ...]
    length: int

    def text_chunks(self, keyword: str) -> list[Chunk]:
        """The tEXt and iTXt chunks of that keyword, in file order; case does not count, as in SillyTavern."""
        return [c for c in self.chunks if c.kind in TEXT_KINDS and c.keyword.lower() == keyword.lower()]


def read_png(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Png:
    """Take a PNG apart; every length and checksum is verified. What follows IEND is left alone.

    Raises PngError when it is damaged, cut off, or over a limit.
    """
    if len(data) > limits.max_file_bytes:
        raise PngError(f"It is larger than {in_words(limits.max_file_bytes)}.", hint="Save the picture smaller.")
    if not data.startswith(SIGNATURE):
        raise PngError("It does not begin as a PNG does.")
    chunks: list[Chunk] = []
    position = len(SIGNATURE)
    while not chunks or chunks[-1].kind != b"IEND":
        if len(chunks) == limits.max_chunks:
            raise PngError(f"It has more than {limits.max_chunks:,} chunks.", hint="Save the picture again as a PNG.")
        chunk = _chunk_at(data, position)
        if (chunk.kind == b"IHDR") != (not chunks):
            raise PngError("Its header is missing or not in its place.")
        chunks.append(chunk)
        position += 12 + len(chunk.data)
    if len(chunks[0].data) != 13:
        raise PngError("Its header does not have the size a header has.")
    return Png(tuple(chunks), position)


def _chunk_at(data: bytes, position: int) -> Chunk:
    header = data[position : position + 8]
    length = int.from_bytes(header[:4], "big")
    if len(header) < 8 or length > len(data) - position - 12:
        raise PngError(f"It is cut off: it ends at byte {len(data):,}, in the middle of a chunk.")
    kind, end = header[4:], position + 8 + length
    if not kind.isalpha():  # bytes.isalpha knows ASCII letters only, as PNG does
        raise PngError(f"There is no chunk at byte {position:,}, where one has to be.")
    if zlib.crc32(data[position + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
        raise PngError(f"The checksum of its {kind.decode('ascii')} chunk at byte {position:,} is wrong.")
    return Chunk(kind, data[position + 8 : end])


def text_of(chunk: Chunk, limits: Limits = DEFAULT_LIMITS) -> str:
    """The text of a tEXt or iTXt chunk, unpacked if need be.

    Raises PngError when it is damaged, not UTF-8 (iTXt), or larger than ``max_text_bytes``.
    """
    _, separator, packed = chunk.data.partition(b"\0")
    compressed = False
    if chunk.kind == b"iTXt":
        flags, (_, _, rest) = packed[:2], packed[2:].partition(b"\0")  # language, then the translated keyword
        _, separator, packed = rest.partition(b"\0")
        if flags not in (b"\0\0", b"\1\0"):
            separator = b""
        compressed = flags == b"\1\0"
    if not separator:
        raise PngError("The chunk does not have the parts of a text chunk.")
    if len(packed) > limits.max_text_bytes:
        raise PngError(f"The text is larger than {in_words(limits.max_text_bytes)}.")
    text = _inflated(packed, limits.max_text_bytes) if compressed else packed
    try:
        return text.decode("utf-8" if chunk.kind == b"iTXt" else "latin-1")
    except UnicodeDecodeError as error:
        raise PngError("The text is not UTF-8.") from error


def _inflated(packed: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(packed, limit + 1)  # zlib reads 0 as "no limit", hence never less than 1
    except zlib.error as error:
        raise PngError("The compressed data is damaged.") from error
    if len(data) > limit:
        raise PngError(f"The compressed data unpacks to more than {in_words(limit)}.")
    if not inflater.eof:
        raise PngError("The compressed data is cut off.")
    return data


def check_picture(png: Png, limits: Limits = DEFAULT_LIMITS) -> None:
    """Return when the picture is one to show: all its pixels are there.

    Raises PngError for a placeholder (1 x 1, or no pixels at all), for missing pixels, and for more than
    ``max_picture_bytes`` of them.
    """
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", png.chunks[0].data)
    samples, depths = _COLOURS.get(colour, (0, ()))
    if depth not in depths or interlace not in _PASSES or not 0 < width < 2**31 or not 0 < height < 2**31:
        raise PngError("The header describes no picture there can be.")
    packed = b"".join(c.data for c in png.chunks if c.kind == b"IDAT")
    if not packed or width == height == 1:
        raise PngError("It is only a placeholder.")
    size = 0
    for x, y, step_x, step_y in _PASSES[interlace]:
        columns, rows = -(-(width - x) // step_x), -(-(height - y) // step_y)  # rounded up
        if columns > 0 and rows > 0:
            size += rows * (1 + (columns * samples * depth + 7) // 8)
    if size > limits.max_picture_bytes:
        raise PngError(f"It is too large: {width:,} x {height:,} pixels.")
    if len(_inflated(packed, size)) < size:
        raise PngError("Some of its pixels are missing.")


def with_text_chunks(png_bytes: bytes, texts: Mapping[str, str], limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The same picture with these texts by keyword, in place of every text chunk that has one of the keywords.

    A text outside Latin-1 becomes an iTXt chunk, every other a tEXt chunk. What follows IEND is dropped. Raises
    PngError for a damaged PNG and for what is no keyword, InvalidValueError for a text that PNG cannot hold.
    """
    png = read_png(png_bytes, limits)
    replaced = {keyword.lower() for keyword in texts}
    kept = [c for c in png.chunks if c.kind not in (*TEXT_KINDS, b"zTXt") or c.keyword.lower() not in replaced]
    added = [_text_chunk(keyword, text) for keyword, text in texts.items()]
    return SIGNATURE + b"".join(c.encoded() for c in (*kept[:-1], *added, kept[-1]))


def _text_chunk(keyword: str, text: str) -> Chunk:
    if not (1 <= len(keyword) <= 79 and keyword.isascii() and keyword.isprintable() and keyword == keyword.strip()):
        raise PngError(f"{keyword!r} is no keyword of a PNG.", hint="Use 1 to 79 plain ASCII characters.")
    start = keyword.encode("ascii") + b"\0"
    try:
        return Chunk(b"tEXt", start + check_text(text).encode("latin-1"))
    except UnicodeEncodeError:
        return Chunk(b"iTXt", start + b"\0\0\0\0" + text.encode("utf-8"))
