"""Making files whole again in which something cannot be read. What they were is set aside first; what can be read of
them stays, and records that somebody else still has come in the place of the bad ones, all of it at once: nobody ever
sees a file in which a record is missing that will be there in a moment."""

import contextlib
import hashlib
import shutil
from collections.abc import Collection
from pathlib import Path

from store.errors import UnreadableError
from store.files import logs
from store.files.aggregates import Aggregate
from store.files.layout import SHELVES
from store.files.replace import Append, CopyOf, Write, write_all
from store.files.shelves import Changes, OwnFiles, Shelf, read_or_none
from store.files.side import JsonSide
from store.files.system import told_as_json_side

_FOLDER = "mending"


def mend(side: JsonSide, paths: Collection[str], changes: dict[str, Changes], files: dict[str, Write]) -> None:
    """Mend the files at ``paths``, in which ``changes`` tells what becomes of records that cannot be read; ``files`` is
    written with it, or goes. Whatever goes or is written over is set aside. The caller holds the lock."""
    work = side.own_dir / _FOLDER
    shutil.rmtree(work, ignore_errors=True)
    try:
        new = {**_mended(side, work, paths, changes), **files}
    finally:
        shutil.rmtree(work, ignore_errors=True)
    here = {path: CopyOf(side.data_dir / path) for path in new if _is_there(side, path)}
    side.quarantine(here)
    (side.commit if side.counts else side.write)(new)


def _mended(side: JsonSide, work: Path, paths: Collection[str], changes: dict[str, Changes]) -> dict[str, Write]:
    """What to write: planned beside the files, on what of them can be read."""
    readable: dict[str, bytes] = {}
    new: dict[str, Write] = {}
    for shelf in {id(shelf): shelf for shelf in SHELVES.values()}.values():
        if not any(map(shelf.owns, paths)):
            continue
        several = paths if isinstance(shelf, OwnFiles) else [path for path, _ in side.files(shelf.kinds[0])]
        for path in filter(shelf.owns, several):
            old, kept = _readable(side, shelf, path)
            if kept is not None:
                readable[path] = kept
            if kept != old or old is None:
                new[path] = kept
    with told_as_json_side(work):
        write_all(side.system, work, [(work / path, data) for path, data in readable.items()])
    sizes: dict[str, Write] = {}
    for chat_id in changes.get("chat", ()):
        with contextlib.suppress(FileNotFoundError):
            path = logs.log_path(chat_id)
            sizes[path] = Append(side.system.signature(side.data_dir / path).size, b"")
    planned, _ = JsonSide(work, side.own_dir, side.system).plan(changes, sizes)
    return {**new, **planned}


def _readable(side: JsonSide, shelf: Shelf, path: str) -> tuple[bytes | None, bytes | None]:
    """A file, and it without what cannot be read; None when nothing of it can be."""
    try:
        data = read_or_none(side.system, side.data_dir, path)
    except UnreadableError:
        return None, None
    if data is None or not shelf.parse(path, data)[1]:
        return data, data
    return data, shelf.readable(path, data) if isinstance(shelf, Aggregate) else None


def bad_copies(side: JsonSide, kind: str, record_id: str) -> list[str]:
    """The copy of a record's bytes, where it is not what its name says."""
    with contextlib.suppress(UnreadableError, FileNotFoundError):
        if entry := side.entry(kind, record_id):
            sha256 = str(entry.record.get("sha256"))
            path = f"binaries/{sha256}/raw"
            if hashlib.sha256(side.system.read(side.data_dir / path)).hexdigest() != sha256:
                return [path]
    return []


def _is_there(side: JsonSide, path: str) -> bool:
    try:
        side.system.signature(side.data_dir / path)
    except FileNotFoundError:
        return False
    return True
