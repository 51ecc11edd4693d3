"""A disk in memory that loses what was not synced: what a power cut leaves of every call of the JSON side.

Two models: ``ordered`` (what happened to names is kept up to some moment, as a journal does it) and ``weak`` (any part
of it). Bytes that were not synced are dropped, torn in half, zeroed or kept, each write by itself, whether the file is
new or was there before; of a file that was cut but not synced the end may still be there.
"""

from __future__ import annotations  # a System has a method called list

import itertools
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from store.files.system import Handle, Signature, System

MOST_STATES = 60  # per moment; beyond it they are drawn, always the same ones


class PowerCut(BaseException):
    """The machine is off: no code of the program runs any more."""


@dataclass
class Effect:
    """Something that was done. ``folder`` or ``inode`` says what has to be synced to make it last."""

    what: str  # create, link, rename, remove, folder; or what a file holds: bytes, cut
    arguments: tuple[str, ...]
    folder: str = ""
    inode: int = 0
    data: bytes = b""
    offset: int = 0  # of bytes: where they were written; of a cut: how much is left
    lasts: bool = False

    @property
    def fates(self) -> tuple[str, ...]:
        """What may become of it while it is not synced; nothing to choose for names, of which some are kept."""
        return {"bytes": ("dropped", "torn", "zeroed", "kept"), "cut": ("dropped", "kept")}.get(self.what, ())


@dataclass
class Disk(System):
    """A System in memory. ``stop``: the call at which the power is cut. ``watch``: asked before every call, to keep
    what a power cut at this call would meet."""

    files: dict[str, int] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    bytes_of: dict[int, bytes] = field(default_factory=dict)
    stop: int | None = None
    watch: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self.calls = 0
        self.effects: list[Effect] = []
        self._positions: dict[int, int] = {}  # inode -> how far it was read
        self._numbers = itertools.count(max(self.bytes_of, default=0) + 1)
        self._base = (dict(self.files), set(self.folders), dict(self.bytes_of))

    # ------------------------------------------------------------------ calls that change something
    def _step(self) -> None:
        if self.stop is not None and self.calls >= self.stop:
            raise PowerCut
        if self.watch:
            self.watch()
        self.calls += 1

    def make_folder(self, folder: Path) -> None:
        self._step()
        self.folders.add(str(folder))
        self.effects.append(Effect("folder", (str(folder),), str(folder.parent)))

    def create(self, path: Path) -> Handle:
        self._step()
        inode = next(self._numbers)
        self.files[str(path)], self.bytes_of[inode] = inode, b""
        self.effects.append(Effect("create", (str(path),), str(path.parent), inode))
        return Handle(inode, path)

    def create_private(self, path: Path) -> Handle:
        return self.create(path)

    def open_to_append(self, path: Path) -> Handle:
        self._step()
        if str(path) not in self.files:
            inode = next(self._numbers)
            self.files[str(path)], self.bytes_of[inode] = inode, b""
            self.effects.append(Effect("create", (str(path),), str(path.parent), inode))
        return Handle(self.files[str(path)], path)

    def write(self, handle: Handle, data: bytes) -> int:
        self._step()
        inode = handle.descriptor
        self.effects.append(Effect("bytes", (), inode=inode, data=data, offset=len(self.bytes_of[inode])))
        self.bytes_of[inode] += data
        return len(data)

    def truncate(self, handle: Handle, size: int) -> None:
        self._step()
        inode = handle.descriptor
        self.bytes_of[inode] = self.bytes_of[inode][:size].ljust(size, b"\0")
        self.effects.append(Effect("cut", (), inode=inode, offset=size))

    def sync(self, handle: Handle) -> None:
        self._step()
        for effect in self.effects:
            if effect.fates and effect.inode == handle.descriptor:
                effect.lasts = True

    def close(self, handle: Handle) -> None:
        pass

    def link(self, source: Path, target: Path) -> None:
        self._step()
        if str(source) not in self.files:
            raise FileNotFoundError(str(source))
        if str(target) in self.files:
            raise FileExistsError(str(target))
        inode = self.files[str(target)] = self.files[str(source)]
        self.effects.append(Effect("link", (str(target),), str(target.parent), inode))

    def rename(self, source: Path, target: Path) -> None:
        self._step()
        if str(source) not in self.files:
            raise FileNotFoundError(str(source))
        if self.files[str(source)] == self.files.get(str(target)):
            return  # two names of one file: then both stay, says POSIX
        self.files[str(target)] = self.files.pop(str(source))
        self.effects.append(Effect("rename", (str(source), str(target)), str(target.parent)))

    def remove(self, path: Path) -> None:
        self._step()
        if str(path) not in self.files:
            raise FileNotFoundError(str(path))
        del self.files[str(path)]
        self.effects.append(Effect("remove", (str(path),), str(path.parent)))

    def sync_folder(self, folder: Path) -> None:
        self._step()
        for effect in self.effects:
            if effect.folder == str(folder):
                effect.lasts = True

    def sync_all(self, folder: Path) -> None:
        self._step()
        for effect in self.effects:
            effect.lasts = True

    # ------------------------------------------------------------------ calls that only look
    def read(self, path: Path) -> bytes:
        if str(path) not in self.files:
            raise FileNotFoundError(str(path))
        return self.bytes_of[self.files[str(path)]]

    def read_from(self, path: Path, offset: int, size: int) -> bytes:
        return self.read(path)[offset : offset + size]

    def open_to_read(self, path: Path) -> Handle:
        self.read(path)
        inode = self.files[str(path)]
        self._positions[inode] = 0
        return Handle(inode, path)

    def resolve(self, path: Path) -> Path:
        return Path(os.path.normpath(path))  # there are no links

    def open_below(self, folder: Path, path: Path) -> Handle:
        self.read(folder / path)
        inode = self.files[str(folder / path)]
        self._positions[inode] = 0
        return Handle(inode, folder / path)

    def read_some(self, handle: Handle, size: int) -> bytes:
        start = self._positions[handle.descriptor]
        data = self.bytes_of[handle.descriptor][start : start + size]
        self._positions[handle.descriptor] = start + len(data)
        return data

    def signature_of(self, handle: Handle) -> Signature:
        return Signature(0, len(self.bytes_of[handle.descriptor]), handle.descriptor)

    def signature(self, path: Path) -> Signature:
        if str(path) in self.folders:
            return Signature(time.time_ns(), 0, 0)  # as if it changed just now, so that its files are looked at
        return Signature(0, len(self.read(path)), self.files[str(path)])

    def is_folder(self, path: Path) -> bool:
        return str(path) in self.folders

    def list(self, folder: Path) -> Iterator[tuple[str, Signature]]:
        for path in [path for path in self.files if path.rpartition("/")[0] == str(folder)]:
            yield path.rpartition("/")[2], self.signature(Path(path))

    def lock(self, path: Path) -> Handle | None:
        return Handle(0, path)

    def unlock(self, handle: Handle) -> None:
        pass

    # ------------------------------------------------------------------ after the power cut
    def below(self, folder: Path) -> dict[str, bytes]:
        """Path below the folder -> bytes of every file whose folders are there too."""
        return {
            path[len(str(folder)) + 1 :]: self.bytes_of[inode]
            for path, inode in self.files.items()
            if path.startswith(f"{folder}/") and self._is_reachable(path)
        }

    def _is_reachable(self, path: str) -> bool:
        parent = path.rpartition("/")[0]
        return parent in self.folders

    def as_now(self) -> Disk:
        """A copy for ``after_power_cuts``, whatever is done later."""
        copy = Disk()
        copy.effects = [replace(effect) for effect in self.effects]
        copy._base = (dict(self._base[0]), set(self._base[1]), dict(self._base[2]))
        return copy

    def after_power_cuts(self, model: str, chance: random.Random) -> Iterator[Disk]:
        """Every disk (or many of them) that a power cut now may leave."""
        names = [effect for effect in self.effects if not effect.fates and not effect.lasts]
        texts = [effect for effect in self.effects if effect.fates and not effect.lasts]
        if model == "ordered":
            kept_names = [names[:count] for count in range(len(names) + 1)]
        else:
            few = names if len(names) <= 5 else chance.sample(names, 5)
            kept_names = [list(some) for count in range(len(few) + 1) for some in itertools.combinations(few, count)]
        fates = list(itertools.product(kept_names, *(effect.fates for effect in texts)))
        for kept, *rest in fates if len(fates) <= MOST_STATES else chance.sample(fates, MOST_STATES):
            yield self._left(kept, dict(zip(map(id, texts), rest, strict=True)))

    def _left(self, kept: list[Effect], fates: dict[int, str]) -> Disk:
        files, folders, bytes_of = dict(self._base[0]), set(self._base[1]), dict(self._base[2])
        for effect in self.effects:
            if effect.fates:
                fate = "kept" if effect.lasts else fates[id(effect)]
                bytes_of[effect.inode] = _held(effect, fate, bytes_of.get(effect.inode, b""))
            elif effect.lasts or any(effect is one for one in kept):
                _replay(effect, files, folders, bytes_of)
        return Disk(files, folders, bytes_of)


def _held(effect: Effect, fate: str, before: bytes) -> bytes:
    """What a file holds after a write or a cut that met its fate. Where earlier bytes are missing there are zeros."""
    if fate == "dropped":
        return before
    start = before[: effect.offset].ljust(effect.offset, b"\0")
    if effect.what == "cut":
        return start
    length = len(effect.data)
    data = {"torn": effect.data[: length // 2], "zeroed": bytes(length)}.get(fate, effect.data)
    return start + data + before[effect.offset + len(data) :]


def _replay(effect: Effect, files: dict[str, int], folders: set[str], bytes_of: dict[int, bytes]) -> None:
    match effect.what:
        case "create":
            files[effect.arguments[0]] = effect.inode
            bytes_of.setdefault(effect.inode, b"")
        case "link":
            files[effect.arguments[0]] = effect.inode
        case "rename":
            if effect.arguments[0] in files:
                files[effect.arguments[1]] = files.pop(effect.arguments[0])
        case "remove":
            files.pop(effect.arguments[0], None)
        case "folder":
            folders.add(effect.arguments[0])


def disk_of(*folders: Path) -> Disk:
    """A disk with what lies in real folders, all of it synced; their parents are there too."""
    disk = Disk()
    for folder in folders:
        disk.folders |= {str(folder), *map(str, folder.parents)}
        for path in folder.rglob("*"):
            if path.is_dir():
                disk.folders.add(str(path))
            else:
                inode = len(disk.bytes_of) + 1
                disk.files[str(path)], disk.bytes_of[inode] = inode, path.read_bytes()
    return Disk(disk.files, disk.folders, disk.bytes_of)
