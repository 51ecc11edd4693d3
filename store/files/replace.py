"""Replacing files whole, so that whatever happens each is either the old one or the new one."""

import contextlib
import errno
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from store.files.system import Signature, System

TEMPORARY = ".tandem-"  # what a half-written file has in its name; never a name Quilltap reads or writes
_AT_ONCE = 1 << 22  # bytes handed to the system in one call
SYNC_EACH_UP_TO = 16  # files; beyond it one sync of the file system is cheaper than many of files


@dataclass(frozen=True)
class Append:
    """What becomes of a file that only grows: ``data`` follows its first ``offset`` bytes, and whole lines that were
    added behind those meanwhile; a torn tail is cut. Without data nothing else is done but making sure of the file."""

    offset: int
    data: bytes


@dataclass(frozen=True)
class CopyOf:
    """The same bytes as another file: its second name where the disk can, else a copy."""

    source: Path


Write = bytes | Append | CopyOf | None  # None: the file is removed


def write_all(system: System, root: Path, changes: Iterable[tuple[Path, Write]]) -> None:
    """Replace, append to or remove files below ``root``; durable when this returns.

    Everything new is on the disk under a temporary name before the first name changes, so a full disk changes nothing.
    Replacements and removals happen in the given order, and what happened in one folder is on the disk before anything
    happens in the next: a record that moves is never in neither place. Raises OSError; then leftovers are taken away.
    """
    steps = list(changes)
    new = sum(isinstance(data, bytes) for _, data in steps)
    temporaries: dict[Path, Path] = {}
    touched: dict[Path, None] = {}
    try:
        for path, data in steps:
            if data is not None:
                touched.update(dict.fromkeys(make_folders(system, path.parent)))
            if isinstance(data, bytes | CopyOf):
                # A copy has a folder of its own, and those are not looked through for what killed writes left.
                beside = path.parent if isinstance(data, CopyOf) else path
                temporaries[path] = beside.with_name(f"{TEMPORARY}{secrets.token_hex(8)}")
                _write(system, temporaries[path], data, sync=new <= SYNC_EACH_UP_TO)
        if new > SYNC_EACH_UP_TO:
            system.sync_all(root)
        place: Path | None = None
        for path, data in steps:
            if place not in (None, path.parent):
                _sync_folders(system, touched)
            place = path.parent
            if isinstance(data, Append):
                append(system, path, data)
                # What grows is there, and its folder as it was. Whether it was made sure of is all an empty one asks.
                if data.data and data.offset:
                    continue
            elif data is not None:
                system.rename(temporaries[path], path)
                if isinstance(data, CopyOf):  # where both are names of one file already, renaming does nothing
                    with contextlib.suppress(FileNotFoundError):
                        system.remove(temporaries[path])
                    touched[temporaries[path].parent] = None
                del temporaries[path]
            else:
                with contextlib.suppress(FileNotFoundError):
                    system.remove(path)
            touched[path.parent] = None
        _sync_folders(system, touched)
    except OSError:
        for temporary in temporaries.values():
            with contextlib.suppress(OSError):
                system.remove(temporary)
        raise


def _sync_folders(system: System, touched: dict[Path, None]) -> None:
    for folder in touched:
        with contextlib.suppress(FileNotFoundError):
            system.sync_folder(folder)
    touched.clear()


def append(system: System, path: Path, change: Append) -> Signature:
    """Write at the end of a file: one write, one sync; the file's signature then. Lines that another program has added
    meanwhile stay, and ours follow. Raises OSError; then the file ends where it did before."""
    handle = system.open_to_append(path)
    try:
        size, end = system.signature_of(handle).size, change.offset
        if size < end:  # what would follow its end is not what belongs there
            raise OSError(errno.ESTALE, "It is shorter than it was", str(path))
        if size > end:
            end += system.read_from(path, end, size - end).rfind(b"\n") + 1
            if size > end:  # a piece without its newline
                system.truncate(handle, end)
        rest = memoryview(change.data)
        try:
            while rest:
                rest = rest[system.write(handle, bytes(rest)) :]
            system.sync(handle)
            return system.signature_of(handle)
        except OSError:
            with contextlib.suppress(OSError):
                if system.signature_of(handle).size == end + len(change.data) - len(rest):  # nobody wrote behind us
                    system.truncate(handle, end)
                    system.sync(handle)
            raise
    finally:
        with contextlib.suppress(OSError):  # it is on the disk by now, or the reason why not is told already
            system.close(handle)


def _write(system: System, path: Path, data: bytes | CopyOf, *, sync: bool) -> None:
    if isinstance(data, CopyOf):
        source = system.resolve(data.source)  # a second name of a link would be a link
        with contextlib.suppress(OSError):  # another disk, or one that knows no second names: then it is copied
            _sync_source(system, source)
            system.link(source, path)
            return
        data, sync = system.read(source), True
    write_new(system, path, data, sync=sync)


def write_new(system: System, path: Path, data: bytes, *, sync: bool, private: bool = False) -> Signature:
    """Write a new file, durably with ``sync``; its signature. Renamed, it keeps that."""
    handle = system.create_private(path) if private else system.create(path)
    try:
        rest = memoryview(data)
        while rest:  # the system may take only a part
            rest = rest[system.write(handle, bytes(rest[:_AT_ONCE])) :]
        if sync:
            system.sync(handle)
        return system.signature_of(handle)
    finally:
        system.close(handle)


def _sync_source(system: System, source: Path) -> None:
    """Whoever wrote the file may not have waited until it was on the disk."""
    handle = system.open_below(source.parent, Path(source.name))
    try:
        system.sync(handle)
    finally:
        system.close(handle)


def make_folders(system: System, folder: Path) -> list[Path]:
    """Make a folder with its parents; the folders whose entries changed, to be synced."""
    if system.is_folder(folder):
        return []
    changed = make_folders(system, folder.parent)
    with contextlib.suppress(FileExistsError):
        system.make_folder(folder)
    return [*changed, folder.parent]


def remove_leftovers(system: System, folders: Iterable[Path]) -> None:
    """Take away what a killed write left under a temporary name. The caller holds the store lock."""
    for folder in folders:
        for name, _ in system.list(folder):
            if TEMPORARY in name:
                with contextlib.suppress(FileNotFoundError):
                    system.remove(folder / name)
