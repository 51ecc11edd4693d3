"""A folder in which the next generation is put together: what changes is written, everything else comes from the files
in use."""

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from store.files.generations import Manifest
from store.files.pieces import Entry, Hashed, entry_of, pieces, write_pieces
from store.files.replace import CopyOf, Write, make_folders
from store.files.side import JsonSide
from store.files.system import Handle, Signature, System, told_as_json_side


class Foreseen(System):
    """The files in use as an export would leave them, for a rehearsal: for whoever only reads. ``made``: bytes of files
    that would be written; of the others of those nobody asks."""

    def __init__(
        self, system: System, root: Path, changed: Mapping[str, Entry | None], made: Mapping[str, bytes]
    ) -> None:
        self._system, self._changed, self._made = system, changed, made
        self._start = os.path.join(root, "")
        self._new: dict[str, list[str]] = {}
        for path, entry in changed.items():
            if entry is not None:
                folder, _, name = path.rpartition("/")
                self._new.setdefault(folder, []).append(name)

    def _below(self, path: Path) -> str:
        return str(path).removeprefix(self._start)

    def read(self, path: Path) -> bytes:
        below = self._below(path)
        if below not in self._changed:
            return self._system.read(path)
        if (data := self._made.get(below)) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return data

    def open_to_read(self, path: Path) -> Handle:
        """Of what would be written nothing can be opened: it is taken for another, and looked at more closely."""
        if self._below(path) in self._changed:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return self._system.open_to_read(path)

    def signature(self, path: Path) -> Signature:
        below = self._below(path)
        if below not in self._changed:
            return self._system.signature(path)
        if (entry := self._changed[below]) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return Signature(0, entry[0], 0)

    def list(self, folder: Path) -> Iterator[tuple[str, Signature]]:
        below = self._below(folder)
        for name, signature in self._system.list(folder):
            if f"{below}/{name}" not in self._changed:
                yield name, signature
        for name in self._new.get(below, ()):
            yield name, self.signature(folder / name)


class Staging:
    """The next generation while it is made. Nothing is synced here; ``Generations.finish`` does that once."""

    def __init__(self, side: JsonSide, path: Path, *, keep: bool) -> None:
        """``keep`` False: nothing is written at all, for a rehearsal."""
        self._live, self.path, self._keep = side, path, keep
        self._system: System = side.system
        self._folders: set[str] = set()
        self._left: dict[str, Entry] = {}
        self._made_of: dict[str, bytes] = {}  # in a rehearsal, of files that will be looked at
        self.changed: dict[str, Entry | None] = {}  # path -> bytes and hash; None: it goes
        self.manifest = Manifest()

    @property
    def side(self) -> JsonSide:
        """What is staged, as a JSON side. Nobody else knows of it, so nobody has to wait for its lock."""
        return JsonSide(self.path, self._live.own_dir, self._system)

    @property
    def foreseen(self) -> JsonSide:
        """What would be staged, and the files in use, as one JSON side to look at in a rehearsal."""
        live = self._live
        seen = Foreseen(self._system, live.data_dir, self.changed, self._made_of) if self.changed else self._system
        return JsonSide(live.data_dir, live.own_dir, seen)

    def brings(self, path: str) -> bool:
        """Whether this file would be new, or another."""
        return self.changed.get(path) is not None

    # ------------------------------------------------------------------ what is known to change, or not to
    def put(self, path: str, data: Write) -> None:
        """This file holds something else from now on, or goes."""
        if isinstance(data, bytes):
            self.put_new(path, data)
        elif isinstance(data, CopyOf):
            with told_as_json_side(self.path):
                self.changed[path] = self._brought(self._system.resolve(data.source), path, link=True)
        elif data is None:
            self.changed[path] = None

    def put_new(self, path: str, data: bytes, *, known: bool = False) -> Entry:
        """This file holds these bytes from now on; their number and hash. ``known``: nobody has to look at it again."""
        entry = self.changed[path] = Hashed(data).entry
        if not (self._keep or known):
            self._made_of[path] = data
        if self._keep:
            with told_as_json_side(self.path):
                write_pieces(self._system, self._made(path), [data])
        return entry

    def root_for(self, folder: str) -> Path | None:
        """The staging folder with this one in it, for others to write there what they tell with ``written``; None when
        nothing is to be written."""
        return self._made(f"{folder}/_").parent.parent if self._keep else None

    def written(self, path: str, entry: Entry) -> None:
        """Somebody wrote this new file."""
        self.changed[path] = entry

    def leave(self, path: str, entry: Entry) -> None:
        """This file in use stays as it is; its bytes and hash are known."""
        self._left[path] = entry

    # ------------------------------------------------------------------ everything else
    def complete(self) -> None:
        """Bring over every file that did not change. Files that grow in place are copied; the rest get a second name,
        for they are only ever replaced."""
        self.manifest.files.update({path: entry for path, entry in self.changed.items() if entry is not None})
        with told_as_json_side(self.path):
            for path, _ in self._others():
                link, known = not path.endswith(".jsonl"), self._left.get(path)
                self.manifest.files[path] = self._brought(self._live.data_dir / path, path, link=link, known=known)

    def totals(self) -> tuple[int, int]:
        """How many files there are then, and their bytes."""
        sizes = [entry[0] for entry in self.changed.values() if entry is not None]
        with told_as_json_side(self.path):
            sizes += [size for _, size in self._others()]
        return len(sizes), sum(sizes)

    def _others(self) -> Iterator[tuple[str, int]]:
        """Every file in use that does not change, also what is nobody's, and its bytes."""
        root = os.path.realpath(self._live.data_dir)
        for folder, _, names in os.walk(root):
            below = folder[len(root) + 1 :].replace(os.sep, "/")
            for name in names:
                path = f"{below}/{name}" if below else name
                if path not in self.changed:
                    known = self._left.get(path)
                    yield path, known[0] if known else os.stat(os.path.join(folder, name)).st_size

    def _brought(self, source: Path, path: str, *, link: bool, known: Entry | None = None) -> Entry:
        """Another name of a file, or a copy of it."""
        linked = not self._keep
        if self._keep and link:
            with contextlib.suppress(OSError):  # another disk, or one that knows no second names
                self._system.link(source, self._made(path))
                linked = True
        if linked:
            return known or entry_of(self._system, source)
        hashed = Hashed()
        write_pieces(self._system, self._made(path), hashed.passing(pieces(self._system, source)))
        return hashed.entry

    def _made(self, path: str) -> Path:
        """Where a file comes to lie; its folder is there."""
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            make_folders(self._system, self.path / folder)
            self._folders.add(folder)
        return self.path / path
