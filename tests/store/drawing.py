"""Pictures for the tests: drawn, encoded, and compared."""

import io
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageStat

FORMATS = {"PNG": ("image/png", "png"), "JPEG": ("image/jpeg", "jpg"), "WEBP": ("image/webp", "webp")}
FORMATS["GIF"] = ("image/gif", "gif")


def drawing(width: int = 40, height: int = 20, mode: str = "RGB") -> Image.Image:
    """Red on the left, green on the right, blue at the top left corner."""
    image = Image.new("RGB", (width, height), "red")
    draw = ImageDraw.Draw(image)
    draw.rectangle((width // 2, 0, width, height), fill="green")
    draw.rectangle((0, 0, width // 5, height // 4), fill="blue")
    return image.convert(mode)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def moving(kind: str, count: int = 4, size: tuple[int, int] = (40, 20), **options: Any) -> bytes:
    frames = []
    for number in range(count):
        frame = Image.new("RGBA", size, (0, 0, 0, 0))
        ImageDraw.Draw(frame).rectangle((number, 2, number + 8, 12), fill=(250, 40 * (number % 6), 0, 255))
        frames.append(frame)
    durations = [50 + 10 * number for number in range(count)]
    options = {"duration": durations, "disposal": 2, "lossless": True, **options}
    if kind == "PNG":
        options = {"duration": 50}
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)


def differ(one: Image.Image, other: Image.Image) -> int:
    """The largest difference of any pixel in any channel."""
    extrema = ImageChops.difference(one.convert("RGBA"), other.convert("RGBA")).getextrema()
    return max(high for _, high in extrema)  # type: ignore[misc, union-attr]


def apart(one: Image.Image, other: Image.Image) -> float:
    """How far the colours are apart on average: for formats that lose a little at every edge."""
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)
