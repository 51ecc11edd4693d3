"""A folder in which the next generation is put together: what changes is written, everything else comes from the files
in use."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from store.files.generations import Entry, Manifest
from store.files.replace import CopyOf, Write, make_folders
from store.files.side import JsonSide
from store.files.system import System, told_as_json_side

_PIECE = 1 << 20  # bytes


class Staging:
    """The next generation while it is made. Nothing is synced here; ``Generations.finish`` does that once."""

    def __init__(self, side: JsonSide, path: Path, *, keep: bool) -> None:
        """``keep`` False: nothing is written at all, for a rehearsal."""
        self._live, self.path, self._keep = side, path, keep
        self._system: System = side.system
        self._folders: set[Path] = set()
        self.changed: dict[str, Entry | None] = {}  # path -> bytes and hash; None: it goes
        self.manifest = Manifest()

    @property
    def side(self) -> JsonSide:
        """What is staged, as a JSON side. Nobody else knows of it, so nobody has to wait for its lock."""
        return JsonSide(self.path, self._live.own_dir, self._system)

    def put(self, path: str, data: Write) -> None:
        """This file holds something else from now on, or goes."""
        if data is None:
            self.changed[path] = None
            return
        with told_as_json_side(self.path):
            if isinstance(data, CopyOf):
                source = self._system.resolve(data.source)
                self.changed[path] = self._copied(source, path, link=True)
            elif isinstance(data, bytes):
                self.changed[path] = (len(data), hashlib.sha256(data).hexdigest())
                if self._keep:
                    self._write(path, [data])

    def complete(self) -> None:
        """Bring over every file that did not change. Files that grow in place are copied; the rest get a second name,
        for they are only ever replaced."""
        self.manifest.files.update({path: entry for path, entry in self.changed.items() if entry is not None})
        with told_as_json_side(self.path):
            for path in self.others():
                link = not path.endswith(".jsonl")
                self.manifest.files[path] = self._copied(self._live.data_dir / path, path, link=link)

    def others(self) -> Iterator[str]:
        """Every file in use that does not change, also what is nobody's."""
        root = os.path.realpath(self._live.data_dir)
        for folder, _, names in os.walk(root):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/")
                if path not in self.changed:
                    yield path

    def _write(self, path: str, pieces: list[bytes]) -> None:
        handle = self._system.create(self._made(path))
        try:
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    rest = rest[self._system.write(handle, bytes(rest)) :]
        finally:
            self._system.close(handle)

    def _copied(self, source: Path, path: str, *, link: bool) -> Entry:
        whole, size = hashlib.sha256(), 0
        with open(source, "rb") as file:
            while piece := file.read(_PIECE):
                whole.update(piece)
                size += len(piece)
        if self._keep:
            linked = False
            if link:
                with contextlib.suppress(OSError):  # another disk, or one that knows no second names
                    self._system.link(source, self._made(path))
                    linked = True
            if not linked:
                self._write(path, [source.read_bytes()])
        return size, whole.hexdigest()

    def _made(self, path: str) -> Path:
        target = self.path / path
        if target.parent not in self._folders:
            make_folders(self._system, target.parent)
            self._folders.add(target.parent)
        return target
