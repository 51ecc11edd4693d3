"""The pictures and attachments themselves: files below PUBLIC_DIR, where Quilltap serves them.

Their paths come from records, so from anybody: one that is absolute or leaves PUBLIC_DIR, also through links, is never
opened.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from store import codec
from store.errors import InvalidValueError, JsonSideError, NotFoundError
from store.files.replace import write_all
from store.files.system import Handle, Signature, System, told_as_json_side

KEPT_HASHES = 10_000  # files
SETTLED_NS = 2_000_000_000  # a file changed just now may change again within the same tick of the clock
_PIECE = 1 << 20


@dataclass(frozen=True)
class Found:
    """The file is there: the hash and the number of its real bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Missing:
    """Its bytes count as missing. ``reason`` follows a colon or “because” in a sentence."""

    reason: str


class _Outside(Exception):
    """The path is none below PUBLIC_DIR; the message is the reason."""


class PublicFiles:
    """The files below PUBLIC_DIR by their path relative to it, as records tell it. May be shared by threads."""

    def __init__(self, system: System, public_dir: Path) -> None:
        self._system, self._root = system, public_dir
        self._hashes: OrderedDict[Path, tuple[Signature, str]] = OrderedDict()
        self._lock = threading.Lock()

    def is_beside(self, folder: Path) -> bool:
        """Whether the files can have second names in a folder; also where there are none."""
        return not self._system.is_folder(self._root) or self._system.is_one_disk(self._root, folder)

    def size(self) -> int:
        """How many bytes lie below PUBLIC_DIR."""
        return sum(self._system.sizes(self._root))

    def find(self, relative_path: str) -> Found | Missing:
        """Hash and size of a file, or why its bytes count as missing. Raises nothing of its own."""
        try:
            handle = self._open(relative_path)
            try:
                return self._hashed(handle)
            finally:
                self._system.close(handle)
        except _Outside as error:
            return Missing(str(error))
        except (FileNotFoundError, NotADirectoryError):
            return Missing("there is no such file")
        except OSError as error:
            return Missing(f"it cannot be read ({error.strerror or error})")

    def path_of(self, relative_path: str) -> Path:
        """The absolute path, whether or not a file is there. Raises InvalidValueError when it leaves PUBLIC_DIR."""
        try:
            path = self._root / _checked(relative_path)
            if path == self._root:
                raise _Outside("it names the folder itself")
            if not self._system.resolve(path).is_relative_to(self._system.resolve(self._root)):
                raise _Outside(_THROUGH_A_LINK)
        except _Outside as error:
            raise self._refused(relative_path, error) from error
        return path

    def read(self, relative_path: str) -> bytes:
        """The whole file.

        Raises InvalidValueError when the path leaves PUBLIC_DIR, NotFoundError when nothing is there, JsonSideError
        when it cannot be read.
        """
        try:
            handle = self._open(relative_path)
            try:
                return b"".join(iter(lambda: self._system.read_some(handle, _PIECE), b""))
            finally:
                self._system.close(handle)
        except _Outside as error:
            raise self._refused(relative_path, error) from error
        except (FileNotFoundError, NotADirectoryError) as error:
            hint = "Put the file back from a backup, or upload it anew."
            raise NotFoundError(f"There is no file {self._root / relative_path}.", hint=hint) from error
        except OSError as error:
            place = self._root / relative_path
            raise JsonSideError(f"{place} could not be read: {error.strerror or error}.") from error

    def save(self, relative_path: str, data: bytes) -> None:
        """Write a file, whole and durably, in place of what is there; its folders are made.

        Raises InvalidValueError when the path leaves PUBLIC_DIR, JsonSideError when it cannot be written.
        """
        self._write(relative_path, data)

    def remove(self, relative_path: str) -> None:
        """Take a file away; nothing happens when there is none. Raises as ``save`` does."""
        self._write(relative_path, None)

    def _write(self, relative_path: str, data: bytes | None) -> None:
        with told_as_json_side(self._root):
            write_all(self._system, self._root, [(self.path_of(relative_path), data)])

    def _open(self, relative_path: str) -> Handle:
        path = self._root / _checked(relative_path)
        root, real = self._system.resolve(self._root), self._system.resolve(path)
        if not real.is_relative_to(root):
            raise _Outside(_THROUGH_A_LINK)
        return self._system.open_below(root, real.relative_to(root))

    def _hashed(self, handle: Handle) -> Found:
        before = self._system.signature_of(handle)
        with self._lock:
            kept = self._hashes.get(handle.path)
            if kept is not None and kept[0] == before:
                self._hashes.move_to_end(handle.path)
                return Found(kept[1], before.size)
        sha256, size = hashlib.sha256(), 0
        while piece := self._system.read_some(handle, _PIECE):
            sha256.update(piece)
            size += len(piece)
        found = Found(sha256.hexdigest(), size)
        settled = time.time_ns() - before.mtime_ns > SETTLED_NS
        if settled and self._system.signature_of(handle) == before:
            with self._lock:
                self._hashes[handle.path] = (before, found.sha256)
                self._hashes.move_to_end(handle.path)
                if len(self._hashes) > KEPT_HASHES:
                    self._hashes.popitem(last=False)
        return found

    def _refused(self, relative_path: str, error: _Outside) -> InvalidValueError:
        shown = relative_path[:200].encode("utf-8", "replace").decode()
        return InvalidValueError(
            f"“{shown}” is no path of a file below {self._root}: {error}.",
            hint="Use a path relative to PUBLIC_DIR, such as uploads/images/a.png.",
        )


_THROUGH_A_LINK = "it leaves PUBLIC_DIR through a link"


def _checked(relative_path: str) -> str:
    """The path itself. Raises _Outside when it is none that can stay below a folder."""
    try:
        codec.check_text(relative_path)
    except InvalidValueError as error:
        raise _Outside("it holds a character that no file name can have") from error
    if not relative_path:
        raise _Outside("it is empty")
    if "\\" in relative_path:
        raise _Outside("it holds a backslash")
    if relative_path.startswith("/"):
        raise _Outside("it is an absolute path")
    if ".." in relative_path.split("/"):
        raise _Outside("it leads upwards with “..”")
    if relative_path.endswith("/"):
        raise _Outside("it names a folder")
    return relative_path
