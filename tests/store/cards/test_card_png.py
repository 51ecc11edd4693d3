"""A PNG is read only when it is whole, and what is written into one comes out again."""

import io
import zlib

import pytest
from PIL import Image

from store.cards.errors import PngError
from store.cards.limits import DEFAULT_LIMITS, Limits, in_words
from store.cards.png import SIGNATURE, check_picture, read_png, text_of, with_text_chunks
from store.errors import InvalidValueError

from .making import chunk, header, make_png, packed_itxt, with_chunk

END = chunk(b"IEND", b"")


def read_text(png: bytes, keyword: str = "chara", limits: Limits = DEFAULT_LIMITS) -> str:
    return text_of(read_png(png).text_chunks(keyword)[0], limits)


def check(png: bytes, limits: Limits = DEFAULT_LIMITS) -> None:
    check_picture(read_png(png), limits)


@pytest.mark.parametrize("text", ["", "plain", "Zoë", "🦊 and\u2028more", "x" * 100_000])
def test_a_text_put_into_a_png_is_read_back_and_the_picture_stays(text: str) -> None:
    png = with_text_chunks(make_png(color=(1, 2, 3)), {"chara": text})
    assert read_text(png) == text
    assert Image.open(io.BytesIO(png)).getpixel((0, 0)) == (1, 2, 3)


def test_a_text_written_by_tandem_is_one_that_pillow_reads() -> None:
    png = with_text_chunks(make_png(), {"chara": "plain", "note": "🦊"})
    picture = Image.open(io.BytesIO(png))
    assert isinstance(picture, Image.Image)
    assert picture.text == {"chara": "plain", "note": "🦊"}  # type: ignore[attr-defined]


def test_writing_a_text_replaces_every_old_one_of_that_keyword_and_no_other() -> None:
    old = with_chunk(
        make_png(),
        chunk(b"tEXt", b"chara\0one"),
        chunk(b"tEXt", b"Chara\0two"),
        packed_itxt("chara", zlib.compress(b"three")),
        chunk(b"zTXt", b"chara\0\0" + zlib.compress(b"four")),
        chunk(b"tEXt", b"Software\0Paint"),
    )
    png = read_png(with_text_chunks(old, {"chara": "new"}))
    assert [text_of(c) for c in png.text_chunks("CHARA")] == ["new"]
    assert [text_of(c) for c in png.text_chunks("Software")] == ["Paint"]
    assert not [c for c in png.chunks if c.kind == b"zTXt"]
    assert png.chunks[-1].kind == b"IEND"


def test_writing_no_text_changes_no_byte() -> None:
    assert with_text_chunks(make_png(), {}) == make_png()


@pytest.mark.parametrize("keyword", ["", " chara", "x" * 80, "a\0b", "ключ"])
def test_what_is_no_keyword_is_refused(keyword: str) -> None:
    with pytest.raises(PngError, match="keyword"):
        with_text_chunks(make_png(), {keyword: "text"})


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_a_text_that_a_png_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError):
        with_text_chunks(make_png(), {"chara": text})


def test_a_png_cut_off_anywhere_is_refused() -> None:
    png = make_png()
    for end in range(len(png)):
        with pytest.raises(PngError, match=r"cut off|begin"):
            read_png(png[:end])


def test_a_single_changed_byte_after_the_signature_is_always_noticed() -> None:
    png = make_png()
    for position in range(len(png)):
        with pytest.raises(PngError):
            read_png(png[:position] + bytes([png[position] ^ 0x20]) + png[position + 1 :])


def test_a_wrong_checksum_is_named_with_its_chunk() -> None:
    with pytest.raises(PngError, match="checksum of its tEXt chunk at byte 33 is wrong"):
        read_png(with_chunk(make_png(), chunk(b"tEXt", b"chara\0text", checksum=1)))


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (SIGNATURE + END, "header is missing"),
        (SIGNATURE + header(1, 1) + header(1, 1) + END, "not in its place"),
        (SIGNATURE + chunk(b"IHDR", b"short") + END, "size a header has"),
        (SIGNATURE + header(1, 1) + chunk(b"\xff\xffab", b"") + END, "There is no chunk at byte 33"),
        (SIGNATURE + header(1, 1) + b"\xff\xff\xff\xfftEXt" + bytes(99), "cut off"),
        (b"GIF89a", "does not begin"),
    ],
)
def test_what_is_not_built_as_a_png_is_refused(data: bytes, fault: str) -> None:
    with pytest.raises(PngError, match=fault):
        read_png(data)


def test_limits_hold_exactly() -> None:
    png = make_png()
    count = len(read_png(png).chunks)
    assert read_png(png, Limits(max_chunks=count, max_file_bytes=len(png))).length == len(png)
    with pytest.raises(PngError, match=f"more than {count - 1} chunks"):
        read_png(png, Limits(max_chunks=count - 1))
    with pytest.raises(PngError, match="larger than"):
        read_png(png, Limits(max_file_bytes=len(png) - 1))


def test_ten_thousand_chunks_are_too_many() -> None:
    with pytest.raises(PngError, match="more than 10,000 chunks"):
        read_png(with_chunk(make_png(), chunk(b"tEXt", b"a\0b") * 10_000))


def test_a_packed_text_is_unpacked_up_to_its_limit_and_not_a_byte_further() -> None:
    png = with_chunk(make_png(), packed_itxt("chara", zlib.compress(b"x" * 5000)))
    assert read_text(png, limits=Limits(max_text_bytes=5000)) == "x" * 5000
    with pytest.raises(PngError, match=r"unpacks to more than 4\.9 KiB"):
        read_text(png, limits=Limits(max_text_bytes=4999))


def test_an_unpacked_text_has_the_same_limit() -> None:
    png = with_text_chunks(make_png(), {"chara": "x" * 11})
    assert read_text(png, limits=Limits(max_text_bytes=11)) == "x" * 11
    with pytest.raises(PngError, match="larger than 10 bytes"):
        read_text(png, limits=Limits(max_text_bytes=10))


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (packed_itxt("chara", zlib.compress(b"text")[:-3]), "cut off"),
        (packed_itxt("chara", b"rubbish"), "damaged"),
        (chunk(b"tEXt", b"chara"), "parts of a text chunk"),
        (chunk(b"iTXt", b"chara\0\0\0en\0no end"), "parts of a text chunk"),
        (chunk(b"iTXt", b"chara\0\0\7\0\0unknown packing"), "parts of a text chunk"),
        (chunk(b"iTXt", b"chara\0\0\0\0\0\xff"), "not UTF-8"),
    ],
)
def test_a_broken_text_is_refused_when_it_is_read_and_not_before(broken: bytes, fault: str) -> None:
    png = with_chunk(make_png(), broken)
    assert read_png(png).length == len(png)
    with pytest.raises(PngError, match=fault):
        read_text(png)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_picture_of_every_colour_type_is_whole(mode: str) -> None:
    check(make_png((13, 7), mode))


@pytest.mark.parametrize("size", [(1, 2), (5, 5), (8, 8), (9, 1)])
def test_an_interlaced_picture_is_whole_when_all_seven_passes_are_there(size: tuple[int, int]) -> None:
    # Grey, one byte per pixel: every row of every pass is its pixels and a filter byte.
    width, height = size
    steps = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    rows = [len(range(x, width, dx)) for x, y, dx, dy in steps for _ in range(y, height, dy)]
    pixels = b"".join(bytes(1 + row) for row in rows if row)

    def png(raw: bytes) -> bytes:
        start = SIGNATURE + header(width, height, colour=0, interlace=1)
        return start + chunk(b"IDAT", zlib.compress(raw)) + END

    Image.open(io.BytesIO(png(pixels))).load()
    check(png(pixels))
    with pytest.raises(PngError, match="pixels are missing"):
        check(png(pixels[:-1]))


@pytest.mark.parametrize(
    ("png", "fault"),
    [
        (make_png((1, 1)), "placeholder"),
        (SIGNATURE + header(4, 4) + END, "placeholder"),
        (SIGNATURE + header(0, 4) + END, "no picture there can be"),
        (SIGNATURE + header(4, 4, colour=5) + END, "no picture there can be"),
        (SIGNATURE + header(4, 4, depth=3) + END, "no picture there can be"),
        (SIGNATURE + header(4, 4, interlace=2) + END, "no picture there can be"),
        (SIGNATURE + header(4, 4) + chunk(b"IDAT", zlib.compress(bytes(51))) + END, "pixels are missing"),
        (SIGNATURE + header(4, 4) + chunk(b"IDAT", zlib.compress(bytes(53))) + END, "unpacks to more"),
        (SIGNATURE + header(4, 4) + chunk(b"IDAT", b"rubbish") + END, "damaged"),
        (SIGNATURE + header(2**31 - 1, 2**31 - 1) + chunk(b"IDAT", b"x") + END, "too large: 2,147,483,647 x"),
    ],
)
def test_a_picture_that_cannot_be_shown_is_refused(png: bytes, fault: str) -> None:
    with pytest.raises(PngError, match=fault):
        check(png)


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (20 * 2**20, "20 MiB")]
)
def test_a_size_is_told_in_words(size: int, words: str) -> None:
    assert in_words(size) == words
