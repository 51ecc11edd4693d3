"""Files of the data folder that belong to no record."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from store.files import logs
from store.files.layout import SHELVES
from store.files.replace import TEMPORARY
from store.files.side import JsonSide

_RAW = re.compile(r"binaries/([0-9a-f]{64})/raw")
# What a writer leaves for a moment, or for good when it was killed.
_PASSING = re.compile(r"\.lock$|\.tmp\.[0-9a-f]+$")


@dataclass
class Strays:
    """What was found: files to name, and what is only worth a note."""

    files: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def strays(side: JsonSide) -> Strays:
    """Every file that no record lies in."""
    found, copies = Strays(), 0
    hashes = _named(side)
    shelves = list({id(shelf): shelf for shelf in SHELVES.values()}.values())
    for path in _paths(side.data_dir):
        name = path.rpartition("/")[2]
        if TEMPORARY in name or _PASSING.search(name):
            continue
        if match := _RAW.fullmatch(path):
            copies += match[1] not in hashes
        elif not _is_log(path):
            # Paths come folder by folder: most lie where the one before did.
            owner = next((shelf for shelf in shelves if _holds(shelf, path)), None)
            if owner is None:
                found.files.append(path)
            elif owner is not shelves[0]:
                shelves.remove(owner)
                shelves.insert(0, owner)
    if copies:
        found.notes.append(f"{copies} files below binaries/ are copies of bytes that no record names any more.")
    return found


def _holds(shelf: object, path: str) -> bool:
    owns: bool = shelf.owns(path)  # type: ignore[attr-defined]
    # A folder of records holds nothing else, and none below it.
    return owns and (path.endswith((".json", ".jsonl")) and path.count("/") <= 2)


def _is_log(path: str) -> bool:
    return path.startswith(f"{logs.FOLDER}/") and path.count("/") == 1 and path.endswith(".jsonl")


def _named(side: JsonSide) -> set[str]:
    hashes = set()
    for path, _ in side.files("image"):
        for match in re.finditer(rb'"sha256"\s*:\s*"([0-9a-f]{64})"', _bytes(side.data_dir / path)):
            hashes.add(match[1].decode())
    return hashes


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _paths(root: Path) -> Iterator[str]:
    """Every file below, in order; links to folders are not followed."""
    top = os.path.join(root, "")
    for folder, folders, names in os.walk(top):
        folders.sort()
        below = folder[len(top) :].replace(os.sep, "/")
        for name in sorted(names):
            yield f"{below}/{name}" if below else name
