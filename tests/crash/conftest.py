"""A folder in memory, where a sync costs nothing."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@pytest.fixture
def memory_path(tmp_path: Path) -> Iterator[Path]:
    """For what kills and repeats a thousand times: a kill loses nothing that was written, wherever it was written."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="tandem-", dir=MEMORY))
    yield folder
    shutil.rmtree(folder)
