"""Replacing files whole, so that whatever happens each is either the old one or the new one."""

import contextlib
import secrets
from collections.abc import Iterable
from pathlib import Path

from store.files.system import System

TEMPORARY = ".tandem-"  # what a half-written file has in its name; never a name Quilltap reads or writes
SYNC_EACH_UP_TO = 16  # files; beyond it one sync of the file system is cheaper than many of files


def write_all(system: System, root: Path, changes: Iterable[tuple[Path, bytes | None]]) -> None:
    """Replace (or, with None, remove) files below ``root``; durable when this returns.

    Everything new is on the disk under a temporary name before the first name changes, so a full disk changes nothing.
    Replacements and removals happen in the given order, and what happened in one folder is on the disk before anything
    happens in the next: a record that moves is never in neither place. Raises OSError; then leftovers are taken away.
    """
    steps = list(changes)
    new = sum(data is not None for _, data in steps)
    temporaries: dict[Path, Path] = {}
    touched: dict[Path, None] = {}
    try:
        for path, data in steps:
            if data is not None:
                touched.update(dict.fromkeys(make_folders(system, path.parent)))
                temporaries[path] = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}")
                _write(system, temporaries[path], data, sync=new <= SYNC_EACH_UP_TO)
        if new > SYNC_EACH_UP_TO:
            system.sync_all(root)
        place: Path | None = None
        for path, data in steps:
            if place not in (None, path.parent):
                _sync_folders(system, touched)
            place = path.parent
            if data is not None:
                system.rename(temporaries[path], path)
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


def _write(system: System, path: Path, data: bytes, *, sync: bool) -> None:
    handle = system.create(path)
    try:
        rest = memoryview(data)
        while rest:  # the system may take only a part
            rest = rest[system.write(handle, bytes(rest)) :]
        if sync:
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
