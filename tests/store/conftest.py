"""Databases that already have their tables, because making 23 of them takes longer than most tests."""

from collections.abc import Iterator

import pytest

from store.database import Database
from tests.factories import with_driver
from tests.postgres import PostgresServer


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
