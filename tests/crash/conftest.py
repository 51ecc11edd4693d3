"""A folder in memory, where a sync costs nothing."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@contextlib.contextmanager
def folder_in_memory() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tandem-", dir=MEMORY if MEMORY.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """For what kills and repeats a thousand times: a kill loses nothing that was written, wherever it was written."""
    with folder_in_memory() as folder:
        yield folder


@pytest.fixture(scope="module")
def lasting_memory_path() -> Iterator[Path]:
    """The same for all tests of a module, which bring it back to how it was."""
    with folder_in_memory() as folder:
        yield folder
