"""Folders as other programs leave them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store import Store
from tests.factories import open_test_store

Opener = Callable[..., Store]


@pytest.fixture
def opener(tmp_path: Path) -> Iterator[Opener]:
    """Opens stores on the test's own folder, ``json`` ones unless it says otherwise, and closes them in the end."""
    opened: list[Store] = []

    def open_one(backend: str = "json", **options: object) -> Store:
        opened.append(open_test_store(tmp_path, backend=backend, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"
