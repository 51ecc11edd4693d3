"""Pictures are what their bytes say, are drawn anew, and bring nothing along."""

import random
import re
import struct
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from store.cards.png import read_png
from store.errors import InvalidValueError, PictureError
from store.pictures import (
    PictureLimits,
    as_png,
    chat_file_path,
    image_path,
    mime_type_of,
    plain_png,
    read_picture,
    thumbnail,
)

from .cards.making import make_card_png, make_png, make_v2
from .drawing import FORMATS, apart, differ, drawing, encoded, moving, opened

pytestmark = pytest.mark.slow  # draws pictures

# --- what is kept


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_of_every_format_is_told_by_its_bytes_and_kept(kind: str) -> None:
    data = encoded(drawing(), kind)
    picture = read_picture(data)
    mime_type, extension = FORMATS[kind]
    assert (picture.format, picture.mime_type, picture.extension) == (kind, mime_type, extension)
    assert (picture.width, picture.height, picture.notes) == (40, 20, ())
    again = opened(picture.data)
    assert (again.format, again.size) == (kind, (40, 20))
    assert apart(again, opened(data)) <= (0 if kind in ("PNG", "GIF") else 6)


@pytest.mark.parametrize("kind", FORMATS)
def test_what_a_browser_may_take_it_for_is_told_by_the_bytes(kind: str) -> None:
    assert mime_type_of(encoded(drawing(), kind)) == FORMATS[kind][0]
    assert mime_type_of(b"<svg/>" + encoded(drawing(), kind)) is None


def test_a_webp_without_loss_stays_without_loss() -> None:
    noise = Image.frombytes("RGB", (32, 32), random.Random(1).randbytes(3072))
    assert differ(opened(read_picture(encoded(noise, "WEBP", lossless=True)).data), noise) == 0


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_png_of_every_kind_keeps_its_pixels(mode: str) -> None:
    if mode == "I;16":
        image = Image.new(mode, (2, 1), 65535)
        image.putpixel((1, 0), 128 * 256)
    else:
        image = drawing(mode="RGBA" if mode == "LA" else "RGB").convert(mode)
    again = opened(read_picture(encoded(image)).data)
    if mode == "I;16":
        assert [again.convert("L").getpixel((x, 0)) for x in (0, 1)] == [255, 128]
    else:
        assert differ(again, image) == 0


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_transparency_stays(kind: str) -> None:
    image = drawing(mode="RGBA")
    image.paste((0, 0, 0, 0), (10, 5, 30, 15))
    again = opened(read_picture(encoded(image, kind, lossless=True)).data).convert("RGBA")
    assert again.getpixel((20, 10))[3] == 0  # type: ignore[index]
    assert again.getpixel((1, 18))[3] == 255  # type: ignore[index]


def test_a_palette_with_a_transparent_colour_stays() -> None:
    image = drawing(mode="P")
    colour = image.getpixel((0, 0))
    again = opened(read_picture(encoded(image, transparency=colour)).data)
    assert (again.mode, again.getpixel((0, 0))[3], again.getpixel((39, 19))[3]) == ("RGBA", 0, 255)  # type: ignore[index]


def test_a_cmyk_photo_can_be_shown() -> None:
    again = opened(read_picture(encoded(drawing(mode="CMYK"), "JPEG")).data)
    assert again.mode == "RGB"
    assert apart(again, opened(encoded(drawing(mode="CMYK"), "JPEG"))) < 12


@pytest.mark.parametrize("turn", [*range(1, 9), 99])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_is_turned_the_way_it_was_taken_and_says_so_no_more(kind: str, turn: int) -> None:
    upright = drawing()
    undo = {
        2: 0,
        3: 3,
        4: 1,
        5: 5,
        6: 2,
        7: 6,
        8: 4,
    }  # Image.Transpose that makes the stored pixels of the upright ones
    stored = upright.transpose(Image.Transpose(undo[turn])) if turn in undo else upright
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encoded(stored, kind, exif=exif, **({} if kind == "JPEG" else {"lossless": True}))
    picture = read_picture(data)
    assert (picture.width, picture.height) == (40, 20)
    assert apart(opened(picture.data), upright) < (20 if kind == "JPEG" else 0.1)
    assert not opened(picture.data).getexif()
    assert opened(thumbnail(data, 1000)).size == (40, 20)


def test_colours_of_a_wide_profile_are_turned_into_the_ones_a_browser_shows() -> None:
    usual = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # A device whose red is green: the two primaries change places.
    swapped = usual.replace(b"rXYZ", b"----").replace(b"gXYZ", b"rXYZ").replace(b"----", b"gXYZ")
    for profile, colour in ((usual, (255, 0, 0)), (swapped, (0, 255, 0))):
        for mode in ("RGB", "RGBA", "P"):
            made = opened(
                read_picture(encoded(Image.new("RGB", (4, 4), "red").convert(mode), icc_profile=profile)).data
            )
            assert differ(made, Image.new("RGB", (4, 4), colour)) <= 1
            assert "icc_profile" not in made.info


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_a_damaged_profile_is_no_reason_to_refuse(mode: str) -> None:
    image = drawing(mode=mode)
    assert differ(opened(read_picture(encoded(image, icc_profile=b"no profile")).data), image) == 0


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_damaged_exif_block_is_no_reason_to_refuse() -> None:
    for exif in (b"MM\0\x2a\xff\xff\xff\xff rubbish", b"MM\0\x2a\0\0\0\x08\xff\xff rubbish", b"no TIFF"):
        assert read_picture(encoded(drawing(), "JPEG", exif=b"Exif\0\0" + exif)).width == 40


# --- what does not come along


def loaded(kind: str) -> bytes:
    """A picture with a secret in everything a format has a place for."""
    exif = Image.Exif()
    exif[0x010E] = "SECRET"
    exif.get_ifd(0x8825)[1] = "SECRET"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + b"SECRET"
    options: dict[str, Any] = {"exif": exif, "icc_profile": profile, "xmp": b"<x>SECRET</x>", "comment": b"SECRET"}
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", "SECRET")
        text.add_itxt("More", "SECRET", zip=False)
        text.add(b"prVt", b"SECRET")
        options["pnginfo"] = text
    return encoded(drawing(), kind, **options) + b"SECRET after the end"


@pytest.mark.parametrize("kind", FORMATS)
def test_nothing_but_pixels_comes_along(kind: str) -> None:
    data = loaded(kind)
    assert data.count(b"SECRET") >= 2
    for made in (read_picture(data).data, thumbnail(data, 64), as_png(data, 64, 9999)):
        assert b"SECRET" not in made
        assert set(opened(made).info) <= {
            *("jfif", "jfif_version", "jfif_unit", "jfif_density", "version", "background", "loop", "duration"),
            *("extension", "timestamp"),
        }


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_nothing_but_pixels_comes_along_with_an_animation(kind: str) -> None:
    data = moving(kind, comment=b"SECRET", xmp=b"SECRET", exif=b"Exif\0\0SECRET") + b"SECRET"
    assert b"SECRET" not in read_picture(data).data


def test_a_card_keeps_no_chunk() -> None:
    data = make_card_png(make_png((30, 20), "RGB", "red"), chara=make_v2(), ccv3=make_v2())
    for made in (read_picture(data).data, as_png(data, 99, 9999)):
        assert {chunk.kind for chunk in read_png(made).chunks} == {b"IHDR", b"IDAT", b"IEND"}


# --- animations


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_an_animation_keeps_its_frames_and_their_time(kind: str) -> None:
    data = moving(kind, loop=3)
    picture = read_picture(data)
    before, after = opened(data), opened(picture.data)
    assert (picture.width, picture.height, picture.notes, after.n_frames) == (40, 20, (), 4)  # type: ignore[attr-defined]
    assert after.info["loop"] == 3
    for number in range(4):
        for image in (before, after):
            image.seek(number)
            image.load()
        assert differ(before, after) == 0
        assert after.info["duration"] == 50 + 10 * number


def test_an_animation_that_is_played_once_is_played_once() -> None:
    assert "loop" not in opened(read_picture(moving("GIF")).data).info


def test_a_turned_animation_is_turned() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = read_picture(moving("WEBP", exif=exif.tobytes()))
    assert (picture.width, picture.height, opened(picture.data).size) == (20, 40, (20, 40))


@pytest.mark.parametrize("limits", [PictureLimits(max_frames=3), PictureLimits(max_moving_pixels=40 * 20 * 4 - 1)])
@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_of_an_animation_that_is_too_large_the_first_frame_is_kept_and_a_note_says_so(
    kind: str, limits: PictureLimits
) -> None:
    picture = read_picture(moving(kind), limits)
    assert picture.notes == ("Of its 4 frames the first was kept: the animation is too large.",)
    assert opened(picture.data).n_frames == 1  # type: ignore[attr-defined]


def test_of_a_moving_png_the_first_frame_is_kept_and_a_note_says_so() -> None:
    picture = read_picture(moving("PNG"))
    assert picture.notes == ("Of its 4 frames the first was kept: only GIF and WebP keep several.",)
    assert {chunk.kind for chunk in read_png(picture.data).chunks} == {b"IHDR", b"IDAT", b"IEND"}


def test_a_frame_that_makes_the_picture_grow_is_refused() -> None:
    frames = [Image.new("RGB", (40, 20), colour) for colour in ("red", "green")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    places = [match.start() for match in re.finditer(rb"\x2c\0\0\0\0\x28\0\x14\0", data)]
    assert len(places) == 2
    grown = data[: places[1] + 5] + struct.pack("<HH", 400, 200) + data[places[1] + 9 :]
    with pytest.raises(PictureError, match="changes its size"):
        read_picture(grown)


# --- made of pictures


@pytest.mark.parametrize("kind", FORMATS)
def test_a_thumbnail_is_a_still_webp_within_its_edge(kind: str) -> None:
    small = opened(thumbnail(encoded(drawing(400, 200), kind), 64))
    assert (small.format, small.size, small.n_frames) == ("WEBP", (64, 32), 1)  # type: ignore[attr-defined]
    assert apart(small, drawing(64, 32)) < 20


def test_a_thumbnail_is_never_larger_than_the_picture() -> None:
    assert opened(thumbnail(encoded(drawing()), 512)).size == (40, 20)
    assert opened(thumbnail(moving("WEBP"), 10)).size == (10, 5)


def test_a_png_is_drawn_smaller_until_it_fits() -> None:
    noise = Image.frombytes("RGB", (64, 32), random.Random(1).randbytes(64 * 32 * 3))
    data = encoded(noise, "WEBP", lossless=True)
    assert differ(opened(as_png(data, 64, 9999)), noise) == 0
    assert opened(as_png(data, 60, 9999)).size == (60, 30)
    fits = as_png(data, 64, 1500)
    assert (len(fits) <= 1500, opened(fits).size) == (True, (16, 8))
    assert opened(as_png(data, 64, 1)).size == (1, 1)


def test_a_plain_picture_has_one_colour() -> None:
    made = opened(plain_png(40, 60, (1, 2, 3)))
    assert (made.format, made.size, made.getcolors()) == ("PNG", (40, 60), [(2400, (1, 2, 3))])


# --- names

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def test_a_picture_gets_a_name_as_quilltap_gives_it() -> None:
    made = image_path("u-1_A", "PNG")
    assert re.fullmatch(rf"uploads/images/u-1_A/u-1_A_\d{{13}}_{UUID}\.png", made)
    assert re.fullmatch(rf"uploads/chat-files/c/c_\d{{13}}_{UUID}\.txt", chat_file_path("c", "txt"))
    assert len({image_path("u", "png") for _ in range(50)}) == 50


@pytest.mark.parametrize(
    ("bad", "bare"),
    [("../..", "%2E%2E%2F%2E%2E"), ("a/b\\c", "a%2Fb%5Cc"), ("..", "%2E%2E"), ("~é", "%7E%C3%A9")],
)
def test_an_id_never_leads_elsewhere(bad: str, bare: str) -> None:
    made = image_path(bad, "png")
    assert made.startswith(f"uploads/images/{bare}/{bare}_")
    assert len(Path(made).parts) == 4


@pytest.mark.parametrize(
    ("owner", "extension"),
    [
        *(("u", bad) for bad in ("", "p/g", ".png", "x" * 17, "é", "\ud800")),
        *((bad, "png") for bad in ("", "\ud800", "\0")),
    ],
)
def test_a_name_that_cannot_be_is_refused(owner: str, extension: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        image_path(owner, extension)
    caught.value.message.encode()
