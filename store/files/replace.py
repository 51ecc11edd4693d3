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
    Replacements happen in the given order, removals after them. Raises OSError; then leftovers are taken away.
    """
    replaced: list[tuple[Path, bytes]] = []
    removed: list[Path] = []
    for path, data in changes:
        if data is None:
            removed.append(path)
        else:
            replaced.append((path, data))
    temporaries: list[tuple[Path, Path]] = []
    touched: dict[Path, None] = {}
    try:
        for path, data in replaced:
            touched.update(dict.fromkeys(make_folders(system, path.parent)))
            temporary = path.with_name(f"{path.name}{TEMPORARY}{secrets.token_hex(4)}")
            temporaries.append((temporary, path))
            _write(system, temporary, data, sync=len(replaced) <= SYNC_EACH_UP_TO)
        if len(replaced) > SYNC_EACH_UP_TO:
            system.sync_all(root)
        while temporaries:
            temporary, path = temporaries[0]
            system.rename(temporary, path)
            temporaries.pop(0)
            touched[path.parent] = None
        for path in removed:
            with contextlib.suppress(FileNotFoundError):
                system.remove(path)
            touched[path.parent] = None
        for folder in touched:
            with contextlib.suppress(FileNotFoundError):
                system.sync_folder(folder)
    except OSError:
        for temporary, _ in temporaries:
            with contextlib.suppress(OSError):
                system.remove(temporary)
        raise


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
