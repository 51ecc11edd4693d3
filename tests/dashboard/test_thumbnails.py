"""Small pictures are drawn once per content and take no more room than they may."""

import io
from pathlib import Path

import pytest
from PIL import Image

from dashboard import thumbnails
from dashboard.thumbnails import Thumbnails
from store.errors import NotFoundError, PictureError
from store.files.public import PublicFiles
from store.files.system import System
from tests.factories import put

pytestmark = pytest.mark.slow  # draws pictures


def png(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (300, 200), colour).save(file, "PNG")
    return file.getvalue()


def test_a_picture_is_drawn_once_whatever_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def draw(data: bytes, edge_px: int) -> bytes:
        drawn.append(edge_px)
        return b"x" * edge_px

    monkeypatch.setattr(thumbnails, "thumbnail", draw)
    monkeypatch.setattr(thumbnails, "KEPT", 250)
    made = Thumbnails(PublicFiles(System(), tmp_path))
    for name, colour in (("a.png", "red"), ("same.png", "red"), ("b.png", "blue"), ("c.png", "green")):
        put(tmp_path, name, png(colour))
    for name in ("a.png", "same.png", "a.png"):
        assert made.get(name, 100) == b"x" * 100
    assert drawn == [100]
    made.get("a.png", 20)
    assert drawn == [100, 20]
    made.get("b.png", 100)
    made.get("c.png", 100)  # now the oldest has to go
    assert len(drawn) == 4
    made.get("c.png", 100)
    made.get("a.png", 20)
    assert len(drawn) == 4
    made.get("a.png", 100)
    assert len(drawn) == 5


def test_what_is_missing_or_no_picture_is_refused(tmp_path: Path) -> None:
    made = Thumbnails(PublicFiles(System(), tmp_path))
    put(tmp_path, "note.txt", b"no picture")
    with pytest.raises(NotFoundError):
        made.get("nothing.png", 100)
    with pytest.raises(NotFoundError):
        made.get("../note.txt", 100)
    with pytest.raises(PictureError):
        made.get("note.txt", 100)
