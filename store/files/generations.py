"""Generations of the JSON side: each export makes a whole new folder, and one rename puts it in the place of the last.

``DATA_DIR`` is then a link to the generation in use; they lie in ``<DATA_DIR>.tandem/generations/``, each with a
manifest beside it. While one is made, a marker lies beside it: what Tandem takes away as unfinished is what has a
marker and no manifest, and never a folder that a person put there or one whose manifest was lost.
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from store import codec
from store.errors import JsonSideError, NotFoundError, StoreError
from store.files.pieces import Entry, entry_of
from store.files.replace import make_folders, remove_leftovers, write_all
from store.files.side import JsonSide
from store.files.system import told_as_json_side

FOLDER = "generations"
FORMAT = 1
_FIRST = "gen-000000"  # what was there before Tandem made any
_NEXT = "current.next"  # the link before it takes its place
_MANIFEST, _BEGUN = ".manifest.json", ".begun"  # what the names end in of what lies beside a generation
_NUMBERED = re.compile(r"gen-([0-9]{6,})")


@dataclass(frozen=True)
class Generation:
    """One generation. ``adopted``: it was there before Tandem made any, so it has no list of files."""

    name: str
    made_at: str
    files: int
    bytes: int
    root_hash: str
    counts: dict[str, int]
    current: bool
    adopted: bool = False


@dataclass
class Manifest:
    """What a generation was made of: path -> bytes and sha256 of each file, and how many records of each model."""

    files: dict[str, Entry] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    adopted: bool = False

    @property
    def root_hash(self) -> str:
        """One hash for all: of the lines ``<sha256>  <path>`` in the order of the paths."""
        whole = hashlib.sha256()
        for path in sorted(self.files):
            whole.update(f"{self.files[path][1]}  {path}\n".encode())
        return whole.hexdigest()

    def as_json(self, made_at: str) -> dict[str, Any]:
        """The manifest as it is written."""
        return {
            "format": FORMAT,
            "madeAt": made_at,
            "adopted": self.adopted,
            "rootHash": self.root_hash,
            "bytes": sum(size for size, _ in self.files.values()),
            "counts": self.counts,
            "files": {path: list(self.files[path]) for path in sorted(self.files)},
        }


class Generations:
    """The generations of one JSON side. What changes something is called by who holds the store lock."""

    def __init__(self, side: JsonSide) -> None:
        self._side, self._system = side, side.system
        self.folder = side.own_dir / FOLDER

    # ------------------------------------------------------------------ looking
    def current(self) -> str | None:
        """The generation in use; None while ``DATA_DIR`` is a folder or a link of a person's own, or not there."""
        data_dir = self._side.data_dir
        if (target := self._system.read_link(data_dir)) is None:
            return None
        path = data_dir.parent / target
        is_ours = path.parent.name == FOLDER and os.path.realpath(path.parent) == os.path.realpath(self.folder)
        return path.name if is_ours else None

    def all(self) -> list[Generation]:
        """Every complete generation, the newest first. One whose manifest cannot be read is left out."""
        found, current = [], self.current()
        for path in sorted(self.folder.glob(f"*{_MANIFEST}"), reverse=True):
            name = path.name.removesuffix(_MANIFEST)
            with contextlib.suppress(JsonSideError):
                told = self._told(name)
                if (self.folder / name).is_dir():
                    found.append(_generation(name, told, name == current))
        return found

    def get(self, name: str) -> Generation:
        """A complete generation. Raises NotFoundError; JsonSideError that names a manifest that cannot be read."""
        there = {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else set()
        if {name, f"{name}{_MANIFEST}"} <= there and (self.folder / name).is_dir():
            return _generation(name, self._told(name), name == self.current())
        raise NotFoundError(f"There is no generation {name[:80]}.", hint="List them with: data generations")

    def is_complete(self, name: str | None) -> bool:
        """Whether there is such a generation, with a manifest that can be read."""
        with contextlib.suppress(NotFoundError, JsonSideError):
            return name is not None and bool(self.get(name))
        return False

    def manifest(self, name: str) -> Manifest:
        """What a generation was made of."""
        told = self._told(self.get(name).name)
        files = {path: (size, sha256) for path, (size, sha256) in told["files"].items()}
        return Manifest(files, told["counts"], told["adopted"])

    def _told(self, name: str) -> dict[str, Any]:
        """A manifest as it was written. Raises JsonSideError that names its file."""
        path = self._beside(name, _MANIFEST)
        try:
            told = codec.loads(path.read_bytes())
            _generation(name, told, False)
        except (OSError, StoreError, ValueError, KeyError, TypeError) as error:
            raise JsonSideError(
                f"The manifest {path} cannot be read, so nobody knows whether {name} is whole.",
                hint="Put the manifest back from a copy of yours, or choose another generation; nothing was changed.",
            ) from error
        checked: dict[str, Any] = told
        return checked

    def _beside(self, name: str, ending: str) -> Path:
        return self.folder / f"{name}{ending}"

    def verify(self, name: str) -> list[str]:
        """What is not any more as the manifest says, as sentences. In the generation in use that is what was edited."""
        told, folder = [], self.folder / name
        wanted = self.manifest(name).files
        for path, entry in wanted.items():
            try:
                if entry_of(self._system, folder / path) != entry:
                    told.append(f"{path} is not what was exported.")
            except OSError:
                told.append(f"{path} is missing.")
        there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        return [*told, *(f"{path} was added." for path in sorted(there - wanted.keys()))]

    def zipped(self, name: str) -> Iterator[bytes]:
        """A generation as the bytes of a zip archive, piece by piece."""
        folder = self.folder / self.get(name).name
        pieces = _Pieces()
        with zipfile.ZipFile(pieces, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    archive.write(path, str(path.relative_to(folder)))
                    yield from pieces.take()
        yield from pieces.take()

    # ------------------------------------------------------------------ making one
    def begin(self) -> Path:
        """An empty folder for the next generation. What earlier tries left unfinished is taken away."""
        with told_as_json_side(self.folder):
            for folder in make_folders(self._system, self.folder):
                self._system.sync_folder(folder)
            remove_leftovers(self._system, [self.folder])
            self._take_away_unfinished()
            numbers = [int(found[1]) for one in self.folder.iterdir() if (found := _NUMBERED.match(one.name))]
            path = self.folder / f"gen-{max(numbers, default=0) + 1:06d}"
            # Before the folder, so that there is never one of ours without it.
            self._system.close(self._system.create(self._beside(path.name, _BEGUN)))
            self._system.make_folder(path)
        return path

    def _take_away_unfinished(self) -> None:
        """What has a marker and no manifest; of what has both, the marker."""
        for marker in sorted(self.folder.glob(f"gen-*{_BEGUN}")):
            path = self.folder / marker.name.removesuffix(_BEGUN)
            is_whole = os.path.lexists(self._beside(path.name, _MANIFEST)) or path.name == self.current()
            if _NUMBERED.fullmatch(path.name) and not is_whole:
                self.drop(path)
            elif is_whole:
                self._system.remove(marker)

    def finish(self, path: Path, manifest: Manifest) -> None:
        """Everything in the folder is on the disk, and then its manifest: from then on it is complete."""
        with told_as_json_side(path):
            self._system.sync_all(path)
            data = codec.dumps_pretty(manifest.as_json(_now()))
            beside = [(self._beside(path.name, _MANIFEST), data), (self._beside(path.name, _BEGUN), None)]
            write_all(self._system, self.folder, beside)

    def drop(self, path: Path) -> None:
        """Take away a generation that was begun and is not wanted; its marker goes when all of it is gone."""
        shutil.rmtree(path, ignore_errors=True)
        if not os.path.lexists(path):
            with contextlib.suppress(OSError):
                self._system.remove(self._beside(path.name, _BEGUN))

    # ------------------------------------------------------------------ switching
    def switch(self, name: str) -> None:
        """Put a complete generation in the place of the one in use, at once. What was there before Tandem made any, be
        it a folder or a person's own link to one, becomes the first generation. Killed anywhere, ``DATA_DIR`` is the
        old one or the new one, whole."""
        self.get(name)
        data_dir = self._side.data_dir
        if self._system.is_folder(data_dir):
            if (link := self._system.read_link(data_dir)) is None:
                self._adopt()
            elif self.current() is None:
                self._adopt_link(link)
        beside = self._side.own_dir / _NEXT
        with told_as_json_side(data_dir):
            with contextlib.suppress(FileNotFoundError):
                self._system.remove(beside)
            self._system.link_to(self._target(name), beside)
            self._system.rename(beside, data_dir)
            self._system.sync_folder(data_dir.parent)

    def _adopt(self) -> None:
        """Make the folder in use a generation, with one exchange of names: nothing in it is touched."""
        data_dir = self._side.data_dir
        path = self._for_adopted(self._target(_FIRST))  # the link that a killed try left
        self._name_adopted(path)
        with told_as_json_side(data_dir):
            with contextlib.suppress(FileNotFoundError):
                self._system.remove(path)
            self._system.link_to(self._target(path.name), path)
            try:
                self._system.exchange(path, data_dir)
            except OSError as error:
                with contextlib.suppress(OSError):
                    self._system.remove(path)
                if error.errno not in (errno.EBUSY, errno.EXDEV, errno.EINVAL, errno.ENOSYS):
                    raise
                raise JsonSideError(
                    f"{data_dir} cannot be put in another place at once: it is a mount, or its disk does not do that.",
                    hint="Set DATA_DIR to a folder inside the mount, move the files there, and export again.",
                ) from error
            self._system.sync_folder(data_dir.parent)
            self._system.sync_folder(self.folder)

    def _adopt_link(self, link: str) -> None:
        """Make the folder that a person's own link leads to a generation: with a link to it, so that it stays where it
        is and nobody deletes it."""
        leads_to = os.path.realpath(self._side.data_dir)
        if not os.path.isabs(link):
            leads_to = os.path.relpath(leads_to, os.path.realpath(self.folder))
        path = self._for_adopted(leads_to)
        self._name_adopted(path)
        with told_as_json_side(path):
            if self._system.read_link(path) is None:
                self._system.link_to(leads_to, path)
            self._system.sync_folder(self.folder)

    def _for_adopted(self, link: str) -> Path:
        """Where an adopted generation comes to lie. A link that says this may be there already."""
        path = self.folder / _FIRST
        if os.path.lexists(path) and self._system.read_link(path) != link:
            path = self.folder / f"{_FIRST}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        return path

    def _name_adopted(self, path: Path) -> None:
        manifest = codec.dumps_pretty(Manifest(adopted=True).as_json(_now()))
        write_all(self._system, self.folder, [(self._beside(path.name, _MANIFEST), manifest)])

    def _target(self, name: str) -> str:
        """Where the link leads: relative, so that both folders can be moved together."""
        return os.path.relpath(self.folder / name, self._side.data_dir.parent)

    # ------------------------------------------------------------------ taking away
    def prune(self, keep: int = 5) -> list[str]:
        """Delete all but the newest ``keep`` generations; never the one in use, nor what Tandem did not make. Their
        names."""
        old = [one for one in self.all() if not one.current and not one.adopted][max(keep - 1, 0) :]
        for generation in old:
            # Without its manifest it is none any more, whatever happens to the rest.
            with told_as_json_side(self.folder):
                self._system.remove(self._beside(generation.name, _MANIFEST))
            shutil.rmtree(self.folder / generation.name, ignore_errors=True)
        return [generation.name for generation in old]


class _Pieces:
    """A file that cannot be gone back in, for the archive to be written to and taken from in pieces."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def take(self) -> list[bytes]:
        """What was written since the last time."""
        taken, self._pieces = self._pieces, []
        return taken


def _generation(name: str, told: dict[str, Any], current: bool) -> Generation:
    return Generation(
        name,
        told["madeAt"],
        len(told["files"]),
        told["bytes"],
        told["rootHash"],
        told["counts"],
        current,
        told["adopted"],
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"
