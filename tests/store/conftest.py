"""Databases that already have their tables, because making 23 of them takes longer than most tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store import Store
from store.database import Database
from tests.factories import open_test_store, with_driver
from tests.postgres import PostgresServer
from tests.store.helped import Helped, fill_with_chats, help_with_little
from tests.store.houses import House


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    name = postgres_server.create()
    database = Database(with_driver(postgres_server.url(name)))
    database.prepare()
    database.close()
    return name


@pytest.fixture
def ready_postgres_url(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    """A PostgreSQL database with every table and no row."""
    name = postgres_server.create(postgres_template)
    yield with_driver(postgres_server.url(name))
    postgres_server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def ready_url(request: pytest.FixtureRequest) -> str:
    """A database with every table and no row; the test runs once on each kind."""
    names = {"sqlite": "ready_sqlite_url", "postgresql": "ready_postgres_url"}
    url: str = request.getfixturevalue(names[request.param])
    return url


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Makes an installation; its processes end with the test."""
    made: list[House] = []

    def make(backend: str = "dual", url: str = "", *, given: bool = False) -> House:
        made.append(House(tmp_path, url, backend, given=given))
        return made[-1]

    yield make
    for one in made:
        for process in one.processes:
            process.close()


@pytest.fixture
def helped(monkeypatch: pytest.MonkeyPatch) -> Helped:
    """Even little work has a helper, and this process leaves it time to take some."""
    return help_with_little(monkeypatch)


@pytest.fixture
def store_with_chats(tmp_path: Path) -> Iterator[Store]:
    """Some chats in SQL, and nothing in the files."""
    opened = open_test_store(tmp_path, backend="sql")
    fill_with_chats(opened)
    yield opened
    opened.close()
