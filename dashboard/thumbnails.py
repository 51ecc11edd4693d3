"""Small copies of pictures, kept in memory by the hash of what they were made of: an image that changes on the disk is
drawn anew, and the same picture under two names once."""

import threading
from collections import OrderedDict

from store.errors import NotFoundError
from store.files.public import Missing, PublicFiles
from store.pictures import thumbnail

KEPT = 32 * 1024 * 1024  # bytes of all small copies together
AT_ONCE = 2  # drawings; each may unpack to hundreds of megabytes
SIZES = {"small": 128, "large": 480}  # pixels of the longer edge, twice of what the pages show


class Thumbnails:
    """Thumbnails of files below PUBLIC_DIR. May be shared by threads."""

    def __init__(self, public: PublicFiles) -> None:
        self._public = public
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()
        self._drawing = threading.BoundedSemaphore(AT_ONCE)

    def get(self, path: str, edge_px: int) -> bytes:
        """A small WebP of the picture. Raises NotFoundError without its bytes, PictureError for what is no picture."""
        found = self._public.find(path)
        if isinstance(found, Missing):
            raise NotFoundError(f"The bytes of this image are missing: {found.reason}.")
        key = (found.sha256, edge_px)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        with self._drawing:
            drawn = thumbnail(self._public.read(path), edge_px)
        with self._lock:
            self._size += len(drawn) - len(self._kept.get(key, b""))
            self._kept[key] = drawn
            while self._size > KEPT:
                self._size -= len(self._kept.popitem(last=False)[1])
        return drawn
