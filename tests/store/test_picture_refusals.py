"""What is no picture, or one made to do harm, is refused with a sentence, whatever its bytes are."""

import random
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from store.errors import PictureError
from store.pictures import PictureLimits, as_png, read_picture, thumbnail

from .cards.making import make_png
from .drawing import FORMATS, drawing, encoded, moving, opened

pytestmark = pytest.mark.slow  # draws pictures


def refusal(data: bytes, limits: PictureLimits | None = None) -> PictureError:
    """Every door refuses it with the same sentence."""
    told = []
    for read, more in ((read_picture, ()), (thumbnail, (32,)), (as_png, (99, 9))):
        with pytest.raises(PictureError) as caught:
            read(data, *more, *(() if limits is None else (limits,)))  # type: ignore[operator]
        told.append(caught.value)
    assert len({error.sentence for error in told}) == 1
    return told[0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<?xml version='1.0'?><svg/>",
        b"<!doctype html><html></html>",
        b"%PDF-1.7",
        b"BM" + bytes(60),
        b"II*\0" + bytes(60),
        b"RIFF\0\0\0\0WAVE",
        b"GIF88a" + bytes(60),
        b" " + make_png(),
        b"not a picture at all",
    ],
)
def test_what_is_no_picture_of_the_four_formats_is_refused(data: bytes) -> None:
    error = refusal(data)
    assert error.message == "The file is no picture in PNG, JPEG, WebP or GIF."
    assert "PNG, JPEG, WebP or GIF" in error.hint


@pytest.mark.parametrize("kind", ["TIFF", "BMP", "ICO", "PPM", "PCX", "TGA"])
def test_other_formats_are_refused_though_pillow_reads_them(kind: str) -> None:
    assert "is no picture in" in refusal(encoded(drawing(), kind)).message


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "page", [b"<html><body>", b"<SCRIPT>alert(1)</SCRIPT>", b"<script src=x>", b"<?php echo 1", b"<!DOCTYPE  HTML>"]
)
def test_a_picture_that_is_a_web_page_too_is_refused(kind: str, page: bytes) -> None:
    assert refusal(encoded(drawing(), kind) + page).message == f"The {kind} picture has a web page hidden in it."


def test_a_page_that_begins_like_a_picture_is_refused() -> None:
    assert "GIF" in refusal(b"GIF89a/*<script>*/=1;alert(1)//").message
    assert refusal(b"GIF89a=1;alert(1)//").message == "The GIF picture is damaged or cut off."


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("part", [0.2, 0.5, 0.8])
def test_a_picture_that_is_cut_off_is_refused(kind: str, part: float) -> None:
    noise = Image.frombytes("RGB", (64, 64), random.Random(1).randbytes(64 * 64 * 3))
    data = encoded(noise, kind)
    assert refusal(data[: int(len(data) * part)]).message == f"The {kind} picture is damaged or cut off."


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_an_animation_that_is_cut_off_is_refused(kind: str) -> None:
    data = moving(kind)
    with pytest.raises(PictureError, match="damaged or cut off"):
        read_picture(data[: len(data) * 3 // 4])


def test_bytes_behind_the_first_ones_that_are_of_another_format_are_refused() -> None:
    assert "damaged" in refusal(b"\xff\xd8\xff" + make_png()).message


def huge_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "size", [(16_384, 1), (1, 16_384), (6_400, 6_400), (9_999, 9_999), (16_000, 16_000), (2**31 - 1, 2**31 - 1)]
)
def test_a_picture_of_huge_size_is_refused_before_it_is_drawn(size: tuple[int, int]) -> None:
    error = refusal(huge_png(*size))
    assert error.message.startswith("The picture is too large: ")
    assert error.hint == "Save it smaller."


def test_limits_are_inclusive() -> None:
    data = encoded(drawing())
    fits = PictureLimits(max_bytes=len(data), max_edge=40, max_pixels=800)
    assert read_picture(data, fits).width == 40
    assert "bytes; it may have" in refusal(data, PictureLimits(max_bytes=len(data) - 1)).message
    assert "40 × 20 pixels" in refusal(data, PictureLimits(max_edge=39)).message
    assert "40 × 20 pixels" in refusal(data, PictureLimits(max_pixels=799)).message


EXIF = Image.Exif()
EXIF[0x0112] = 6
SEEDS = [*(encoded(drawing(8, 6), kind, exif=EXIF) for kind in FORMATS), moving("GIF"), moving("WEBP")]


@settings(max_examples=200)
@given(st.sampled_from(SEEDS), st.integers(0, 2**32), st.integers(1, 5))
def test_whatever_the_bytes_are_it_is_read_or_refused(seed: bytes, dice: int, changes: int) -> None:
    roll = random.Random(dice)
    data = bytearray(seed)
    for _ in range(changes):
        place = roll.randrange(len(data) + 1)
        data[place : place + roll.randrange(4)] = roll.randbytes(roll.randrange(4))
    limits = PictureLimits(max_pixels=100_000, max_moving_pixels=100_000)
    for read in (lambda: opened(read_picture(bytes(data), limits).data), lambda: thumbnail(bytes(data), 9, limits)):
        try:
            read()
        except PictureError as error:
            assert error.hint  # noqa: PT017
