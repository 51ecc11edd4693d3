"""Folders as other programs leave them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from store import Store
from store.files import logs
from tests.factories import open_test_store
from tests.store.files.lines_of_chats import PATH

Opener = Callable[..., Store]
PutChat = Callable[..., Path]


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


@pytest.fixture
def put_chat(tmp_path: Path) -> PutChat:
    """Lays the chat's file below the folder, from records and lines."""

    def lay(*lines: dict[str, Any] | bytes) -> Path:
        path = tmp_path / PATH
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"".join(one if isinstance(one, bytes) else logs.line(one) for one in lines))
        return path

    return lay
