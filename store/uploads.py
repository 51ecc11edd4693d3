"""Images together with their bytes: bytes are on the disk before a record names them, and go after the last record
that does. What fails or is killed in between leaves at worst a file that nobody names, never a record without its file.
"""

import contextlib
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from store.documents import Image
from store.errors import InvalidValueError, StoreError
from store.files.public import PublicFiles
from store.pictures import image_path, read_picture
from store.repositories.contract import Result, Sources
from store.repositories.images import ImagesRepository

LONGEST_NAME = 200  # characters of a file name
OURS_TO_REMOVE = "uploads/"  # below PUBLIC_DIR; everything else there is part of Quilltap itself


class Gallery(Protocol):
    """What holds images: a Store does."""

    @property
    def images(self) -> ImagesRepository: ...

    @property
    def public(self) -> PublicFiles: ...


@dataclass(frozen=True)
class Added(Result[Image]):
    """An image that was asked for. ``is_new`` is False where the user had these bytes already. ``notes`` are sentences
    about what of the file was left out."""

    is_new: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Removed:
    """How many records are gone, and why the bytes of some are still there."""

    count: int
    left: tuple[StoreError, ...] = ()


def add_image(store: Gallery, user_id: str, data: bytes, filename: str, source: str = "upload", **fields: Any) -> Added:
    """Keep a picture in a user's gallery; ``fields`` are further columns of the record (``url``, …).

    The same bytes once more give the image that is there. Raises PictureError for what is no picture, and what the
    store raises for bytes or a record that cannot be written; then neither is kept.
    """
    if (there := _with_bytes(store, user_id, data)) is not None:
        return _known(there)
    picture = read_picture(data)
    if (there := _with_bytes(store, user_id, picture.data)) is not None:
        return _known(there, picture.notes)
    path = image_path(user_id, picture.extension)
    told = {
        "userId": user_id,
        "filename": shown_name(filename, f"picture.{picture.extension}"),
        "filepath": path,
        "mimeType": picture.mime_type,
        "size": len(picture.data),
        "width": picture.width,
        "height": picture.height,
        "source": source,
    }
    store.public.save(path, picture.data)
    try:
        result = store.images.create({**told, **fields})
    except BaseException:
        # A commit whose answer got lost is one all the same, so the record is asked for; while nobody can tell, a
        # file too many does less harm than a record without its file.
        with contextlib.suppress(StoreError):
            if not store.images.paths_in_use([path]):
                store.public.remove(path)
        raise
    return Added(result.value, result.sources, notes=picture.notes)


def remove_image(store: Gallery, image_id: str) -> Result[Removed]:
    """Delete an image, then its bytes where no other image or attachment lies in the same file."""
    return remove_images(store, [image_id])


def remove_images(store: Gallery, image_ids: Iterable[str]) -> Result[Removed]:
    """The same for several, as one unit."""
    ids = list(dict.fromkeys(image_ids))
    paths = store.images.paths(ids)
    result = store.images.delete_many(ids)
    mine = [path for path in dict.fromkeys(paths.values()) if path.startswith(OURS_TO_REMOVE)]
    left: list[StoreError] = []
    try:
        kept = store.images.paths_in_use(mine)
    except StoreError as error:  # who else needs the files cannot be told, so they stay
        return Result(Removed(result.value, (error,)), result.sources)
    for path in mine:
        if path in kept:
            continue
        try:
            store.public.remove(path)
        except InvalidValueError:
            continue  # it leads out of PUBLIC_DIR: what lies there was never the image's
        except StoreError as error:
            left.append(error)
    return Result(Removed(result.value, tuple(left)), result.sources)


def picture_of(store: Gallery, image_id: str | None) -> bytes | None:
    """The bytes of an image; None where there is no such image or its bytes are missing."""
    path = store.images.paths([image_id]).get(image_id) if image_id else None
    if path is None:
        return None
    try:
        return store.public.read(path)
    except StoreError:
        return None


def shown_name(filename: str, otherwise: str) -> str:
    """A file's name as it may be kept: the last part of what a browser sent, and nothing both sides could not hold."""
    name = filename.replace("\\", "/").rpartition("/")[2]
    name = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    stem, dot, ending = name.rpartition(".")
    if len(name) > LONGEST_NAME:
        name = f"{stem[: LONGEST_NAME - len(ending) - 1]}.{ending}" if dot and len(ending) < 20 else name[:LONGEST_NAME]
    return name or otherwise


def _with_bytes(store: Gallery, user_id: str, data: bytes) -> Image | None:
    """The user's image with these very bytes."""
    found = store.images.find_by_sha256(hashlib.sha256(data).hexdigest(), len(data))
    return next((one for one in found if one.userId == user_id), None)


def _known(image: Image, notes: tuple[str, ...] = ()) -> Added:
    return Added(image, Sources(sql=None, json=None, consistent=True), is_new=False, notes=notes)
