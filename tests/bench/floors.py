"""The least that makes files durable."""

import os
from pathlib import Path


def replace_file(folder: Path, data: bytes) -> None:
    """The least that makes a replaced file durable: two barriers."""
    temporary = folder / "floor.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(descriptor, data)
    os.fsync(descriptor)
    os.close(descriptor)
    os.replace(temporary, folder / "floor.json")
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def append_file(path: Path, data: bytes) -> None:
    """The least that makes an append durable: one write, one barrier."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(descriptor, data)
    os.fsync(descriptor)
    os.close(descriptor)
