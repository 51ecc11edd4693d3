"""A Tandem on an empty library, the store below it, and people at their browsers."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from store import Store
from tests.dashboard.entering import Visitor, a_tandem, make_account


@pytest.fixture
def tandem(tmp_path: Path, ready_sqlite_url: str) -> Iterator[Flask]:
    with a_tandem(tmp_path, DATABASE_URL=ready_sqlite_url, DATA_DIR=str(tmp_path / "data")) as app:
        yield app


@pytest.fixture
def store(tandem: Flask) -> Store:
    found: Store = tandem.extensions["tandem_store"]
    return found


@pytest.fixture
def sign_in(tandem: Flask) -> Callable[[str], Visitor]:
    """Makes somebody with a role and signs them in."""

    def enter(role: str) -> Visitor:
        name = f"an-{role}"
        make_account(tandem, name, role)
        visitor = Visitor(tandem)
        assert visitor.sign_in(name).status_code == 302
        return visitor

    return enter


@pytest.fixture
def editor(sign_in: Callable[[str], Visitor]) -> Visitor:
    return sign_in("editor")


@pytest.fixture
def viewer(sign_in: Callable[[str], Visitor]) -> Visitor:
    return sign_in("viewer")


@pytest.fixture(autouse=True)
def _log_stays_readable(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
