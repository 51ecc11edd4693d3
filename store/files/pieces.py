"""Files piece by piece, never all of a large one at once; and what a file is told apart by from any other."""

import errno
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from store.errors import UnreadableError
from store.files.system import Handle, System

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


def write_pieces(system: System, path: Path, parts: Iterable[bytes]) -> None:
    """Write a new file, not synced. Raises OSError."""
    handle = system.create(path)
    try:
        for part in parts:
            written = system.write(handle, part)
            while written < len(part):  # the system may take only a part
                written += system.write(handle, part[written:])
    finally:
        system.close(handle)


def is_made_of(system: System, root: Path, path: str, pieces: Iterable[bytes]) -> bool:
    """Whether a file holds just these pieces, one behind the other. False too when there is none. Raises
    UnreadableError."""
    try:
        handle = system.open_to_read(root / path)
        try:
            return all(_comes_next(system, handle, piece) for piece in pieces) and not system.read_some(handle, 1)
        finally:
            system.close(handle)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return False
        raise UnreadableError(path, error.strerror or str(error)) from error


def _comes_next(system: System, handle: Handle, piece: bytes) -> bool:
    there = system.read_some(handle, len(piece))
    while len(there) < len(piece) and (more := system.read_some(handle, len(piece) - len(there))):
        there += more
    return there == piece
