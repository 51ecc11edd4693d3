"""Chats' files made of what SQL has, once each: compared with the file in use, or written where there is none yet.

It is the largest part of an export and of a validation, and a helper does some of it: nothing is imported here that
takes time to load.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from store import chat_lines
from store.chat_lines import Block
from store.errors import UnreadableError
from store.files.pieces import Entry, Hashed, entry_of, is_made_of, write_pieces
from store.files.system import System
from store.streaming import Driver


class Batch(NamedTuple):
    """Some chats. ``live``: the folder of the files in use; ``staged``: where files that are not there yet are written,
    None: they are only made. ``there``, ``fresh``: chat -> the path of its file below those, by whether it is there.
    ``hashed``: what they hold is told."""

    live: str
    staged: str | None
    there: dict[str, str]
    fresh: dict[str, str]
    hashed: bool


class Made(NamedTuple):
    """What became of a chat. ``good``: its file holds just what SQL has; else it needs a closer look, and if it was
    fresh it is not there. ``last``: when the last of its messages was; ``rejected``: id and reason of those that
    Quilltap would refuse."""

    chat_id: str
    good: bool
    messages: int
    last: str
    rejected: Sequence[tuple[str, str]]
    entry: Entry | None

    @property
    def totals(self) -> dict[str, Any]:
        """What the chat's own line says of its messages."""
        return {"messageCount": self.messages, "lastMessageAt": self.last}


def make(system: System, driver: Driver, batch: Batch) -> Iterator[Made]:
    """Each chat that has messages, once. Raises OSError where a file cannot be written."""
    for chat_id, blocks in chat_lines.blocks(driver, [*batch.there, *batch.fresh]):
        lines = _Lines(blocks, Hashed() if batch.hashed else None)
        if chat_id in batch.there:
            good = _is_equal(system, Path(batch.live), batch.there[chat_id], lines)
        else:
            good = _write(system, Path(batch.staged, batch.fresh[chat_id]) if batch.staged else None, lines)
        yield Made(chat_id, good, lines.count, lines.last, lines.rejected, lines.hashed.entry if lines.hashed else None)


def take_back(system: System, batch: Batch) -> None:
    """Nothing that was written for a batch is there any more."""
    for path in batch.fresh.values() if batch.staged else ():
        with contextlib.suppress(FileNotFoundError):
            system.remove(Path(batch.staged or "", path))


def holding(system: System, folder: str, entries: Iterable[tuple[str, Entry]]) -> list[str]:
    """The paths below a folder whose files are read back as what they shall hold. Whoever looks closer will say what is
    wrong with the others."""
    found = []
    for path, entry in entries:
        with contextlib.suppress(OSError):
            if entry_of(system, Path(os.path.join(folder, path))) == tuple(entry):
                found.append(path)
    return found


def _is_equal(system: System, live: Path, path: str, lines: "_Lines") -> bool:
    try:
        return is_made_of(system, live, path, lines) and not lines.odd
    except UnreadableError:
        return False


def _write(system: System, path: Path | None, lines: "_Lines") -> bool:
    if path is None:
        for _ in lines:
            pass
        return not lines.odd
    write_pieces(system, path, lines)
    if lines.odd:
        system.remove(path)
    return not lines.odd


class _Lines:
    """The lines of a chat as they are compared or written. ``odd``: something needs a closer look."""

    def __init__(self, blocks: Iterator[Block], hashed: Hashed | None) -> None:
        self._blocks, self.hashed = blocks, hashed
        self.count, self.odd, self.last = 0, False, ""
        self.rejected: list[tuple[str, str]] = []

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            if block.lines is None:
                self.odd = True
                return
            self.count += len(block.ids)
            self.last = block.last
            self.rejected += block.rejected
            if self.hashed:
                self.hashed.add(block.lines)
            yield block.lines
