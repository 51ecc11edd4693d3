"""Pictures that people upload: judged by their bytes, drawn anew, and kept under a name of the server's own.

What is kept is what Pillow makes of the pixels, never the bytes that came: no EXIF, no place where it was taken, no
text chunk, nothing hidden behind the end.
"""

import io
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

from PIL import Image, ImageCms

from store.codec import check_text
from store.errors import InvalidValueError, PictureError

# Format -> (how its bytes begin, MIME type, ending of a file name).
_FORMATS: Final = {
    "PNG": (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png", "png"),
    "JPEG": (re.compile(rb"\xff\xd8\xff"), "image/jpeg", "jpg"),
    "WEBP": (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp", "webp"),
    "GIF": (re.compile(rb"GIF8[79]a"), "image/gif", "gif"),
}
# A file that is a picture to one program and a web page to another was made to deceive one of them.
_PAGE = re.compile(rb"<(?:!doctype\s+html|html|script|iframe|\?php)[\s>/]", re.IGNORECASE)
# What the EXIF orientation of a photo tells to do before it is looked at.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
_EXTENSION = re.compile(r"[A-Za-z0-9]{1,16}")


@dataclass(frozen=True)
class PictureLimits:
    """Upper bounds, each inclusive."""

    max_bytes: int = 20 * 2**20
    max_edge: int = 16_383  # pixels; WebP can hold no more
    max_pixels: int = 40_000_000
    max_frames: int = 1_000
    max_moving_pixels: int = 60_000_000  # of all frames of an animation together


DEFAULT_LIMITS = PictureLimits()


@dataclass(frozen=True)
class Picture:
    """A picture as it is kept. ``data`` is drawn anew; ``notes`` are sentences about what was left out."""

    format: str
    mime_type: str
    width: int
    height: int
    data: bytes
    notes: tuple[str, ...] = ()

    @property
    def extension(self) -> str:
        """The ending of its file name, without the dot."""
        return _FORMATS[self.format][2]


def read_picture(data: bytes, limits: PictureLimits = DEFAULT_LIMITS) -> Picture:
    """Read a PNG, JPEG, WebP or GIF, told by its bytes and not by its name, and draw it anew in the same format.

    Animations of GIF and WebP stay when they are within the limits; of every other the first frame is kept. Raises
    PictureError, and nothing else, whatever the bytes are.
    """
    kind, image = _opened(data, limits)
    with _told(kind):
        notes: list[str] = []
        count = _frames_kept(image, kind, limits, notes)
        frames, timing = _moving(image, count) if count > 1 else ([_drawn(image)], {})
        width, height = frames[0].size
        kept = _encoded(frames, kind, lossless=b"VP8L" in data, **timing)
    return Picture(kind, _FORMATS[kind][1], width, height, kept, tuple(notes))


def mime_type_of(data: bytes) -> str | None:
    """What a browser may take the bytes for: the MIME type that their beginning tells; None for what Tandem does not
    show as a picture."""
    return next((mime_type for begins, mime_type, _ in _FORMATS.values() if begins.match(data)), None)


def thumbnail(data: bytes, edge_px: int, limits: PictureLimits = DEFAULT_LIMITS) -> bytes:
    """The picture as a still WebP whose edges are at most ``edge_px`` long; a small one is not made larger.

    Raises PictureError, and nothing else.
    """
    kind, image = _opened(data, limits)
    with _told(kind):
        image.draft("RGB", (2 * edge_px, 2 * edge_px))  # a large JPEG need not be drawn in full
        return _encoded([_shrunk(_drawn(image), edge_px)], "WEBP", quality=80)


def as_png(data: bytes, max_edge: int, max_bytes: int, limits: PictureLimits = DEFAULT_LIMITS) -> bytes:
    """The picture as a still PNG without a text chunk, drawn smaller where it would be beyond ``max_edge`` pixels or
    ``max_bytes``.

    Raises PictureError, and nothing else.
    """
    kind, image = _opened(data, limits)
    with _told(kind):
        still = _drawn(image)
        edge = min(max(still.size), max_edge)
        png = _encoded([_shrunk(still, edge)], "PNG")
        while len(png) > max_bytes and edge > 1:
            edge //= 2
            png = _encoded([_shrunk(still, edge)], "PNG")
        return png


def plain_png(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    """A PNG of one colour: a picture for whom has none."""
    return _encoded([Image.new("RGB", (width, height), colour)], "PNG")


def image_path(user_id: str, extension: str) -> str:
    """A new path below PUBLIC_DIR for a picture of a user, in Quilltap's manner; no two are the same."""
    return _path("uploads/images", user_id, extension)


def chat_file_path(chat_id: str, extension: str) -> str:
    """A new path below PUBLIC_DIR for a file of a chat, in Quilltap's manner; no two are the same."""
    return _path("uploads/chat-files", chat_id, extension)


def _path(folder: str, owner_id: str, extension: str) -> str:
    if not _EXTENSION.fullmatch(extension):
        raise InvalidValueError("The ending of a file's name has to be 1 to 16 plain letters and digits.")
    if not owner_id:
        raise InvalidValueError("A file needs the id of whom it belongs to.")
    bare = quote(check_text(owner_id), safe="").replace(".", "%2E").replace("~", "%7E")
    return f"{folder}/{bare}/{bare}_{time.time_ns() // 1_000_000}_{uuid4()}.{extension.lower()}"


def _opened(data: bytes, limits: PictureLimits) -> tuple[str, Image.Image]:
    """The format and the picture, of which only the header was read. Raises PictureError."""
    if len(data) > limits.max_bytes:
        raise PictureError(
            f"The picture has {len(data):,} bytes; it may have {limits.max_bytes:,}.", hint="Save it smaller."
        )
    kind = next((name for name, (begins, _, _) in _FORMATS.items() if begins.match(data)), None)
    if kind is None:
        raise PictureError("The file is no picture in PNG, JPEG, WebP or GIF.")
    if _PAGE.search(data):
        raise PictureError(f"The {kind} picture has a web page hidden in it.")
    with _told(kind):
        # Only the decoder that the first bytes name: Pillow has some fifty others, for stranger files.
        image = Image.open(io.BytesIO(data), formats=[kind])
    width, height = image.size
    if max(width, height) > limits.max_edge or width * height > limits.max_pixels:
        raise _too_large(f"{width:,} × {height:,} pixels")
    return kind, image


def _too_large(size: str) -> PictureError:
    return PictureError(f"The picture is too large: {size}.", hint="Save it smaller.")


@contextmanager
def _told(kind: str) -> Iterator[None]:
    """Turn whatever a decoder stumbles over into a refusal."""
    try:
        yield
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large("it unpacks to more pixels than Tandem draws") from error
    except Exception as error:  # decoders raise nearly anything at bytes made to break them
        raise PictureError(f"The {kind} picture is damaged or cut off.") from error


def _frames_kept(image: Image.Image, kind: str, limits: PictureLimits, notes: list[str]) -> int:
    count: int = getattr(image, "n_frames", 1)
    if count == 1 or kind not in ("GIF", "WEBP"):
        if count > 1:
            notes.append(f"Of its {count} frames the first was kept: only GIF and WebP keep several.")
        return 1
    width, height = image.size
    if count > limits.max_frames or count * width * height > limits.max_moving_pixels:
        notes.append(f"Of its {count} frames the first was kept: the animation is too large.")
        return 1
    return count


def _moving(image: Image.Image, count: int) -> tuple[list[Image.Image], dict[str, Any]]:
    """All frames of an animation, and how long each is shown."""
    size = image.size
    frames, durations = [], []
    for number in range(count):
        image.seek(number)
        if image.size != size:  # GIF: a frame that makes the picture grow was not counted when its size was judged
            raise PictureError("The animation changes its size.")
        frames.append(_drawn(image))
        durations.append(max(0, int(image.info.get("duration", 0))))
    timing: dict[str, Any] = {"duration": durations, "disposal": 2}  # each frame is whole: nothing shines through
    if "loop" in image.info:  # a GIF without it is played once
        timing["loop"] = image.info["loop"]
    return frames, timing


def _turned(image: Image.Image) -> Image.Image:
    """The picture the way up it was taken. A damaged EXIF block says nothing about the pixels, so it is no reason to
    refuse."""
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        turn = None
    return image if turn is None else image.transpose(turn)


def _drawn(image: Image.Image) -> Image.Image:
    """The pixels of the present frame, upright, in sRGB, as RGB or RGBA, and nothing else of the file."""
    image.load()
    turned = _turned(image)
    if turned.mode.startswith("I;16"):
        turned = turned.point(lambda value: value / 256, "L")
    mode = "RGBA" if turned.has_transparency_data else "RGB"
    drawn = _in_srgb(turned, image.info.get("icc_profile"), mode) or turned.convert(mode)
    drawn.info = {}
    return drawn


def _in_srgb(image: Image.Image, profile: Any, mode: str) -> Image.Image | None:
    """The picture's colours as a browser shows them without the profile; None when it has none that can be used."""
    if not profile:
        return None
    try:
        source = image.convert(mode) if image.mode in ("1", "P", "PA", "LA") else image
        given, wanted = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(source, given, wanted, outputMode=mode)
    except Exception:  # a damaged profile, or one for another kind of picture: the colours are taken as they stand
        return None


def _shrunk(image: Image.Image, edge: int) -> Image.Image:
    smaller = image.copy()
    smaller.thumbnail((edge, edge))
    return smaller


def _encoded(frames: list[Image.Image], kind: str, **options: Any) -> bytes:
    options = {"quality": 90, "optimize": True, **options} if kind in ("JPEG", "WEBP") else options
    if len(frames) > 1:
        options = {**options, "save_all": True, "append_images": frames[1:]}
    file = io.BytesIO()
    frames[0].save(file, kind, **options)
    return file.getvalue()
