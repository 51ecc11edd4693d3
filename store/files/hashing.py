"""What a file is told apart by from any other: its size and its SHA-256."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from store.files.system import System

Entry = tuple[int, str]  # bytes, sha256
_PIECE = 1 << 20  # bytes


class Hashed:
    """Bytes that come in parts."""

    def __init__(self, data: bytes = b"") -> None:
        self._hash, self.size = hashlib.sha256(data), len(data)

    def add(self, data: bytes) -> None:
        """What follows."""
        self._hash.update(data)
        self.size += len(data)

    def passing(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """The parts, each added as it passes."""
        for part in parts:
            self.add(part)
            yield part

    @property
    def entry(self) -> Entry:
        """Of what came so far."""
        return self.size, self._hash.hexdigest()


def entry_of(system: System, path: Path) -> Entry:
    """Of a file as it is. Raises OSError."""
    hashed = Hashed()
    for part in pieces(system, path):
        hashed.add(part)
    return hashed.entry


def pieces(system: System, path: Path) -> Iterator[bytes]:
    """The bytes of a file, never all of a large one at once. Raises OSError."""
    handle = system.open_to_read(path)
    try:
        while piece := system.read_some(handle, _PIECE):
            yield piece
    finally:
        system.close(handle)
