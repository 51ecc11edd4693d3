"""The library that is damaged, made once on either database."""

from pathlib import Path

import pytest

from tests.factories import lay_database, with_driver
from tests.store.validation import world as worlds
from tests.store.validation.world import World


@pytest.fixture(scope="session")
def world_on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    lay_database(folder / "quilltap.sqlite")
    return worlds.make(folder, f"sqlite:///{folder / 'quilltap.sqlite'}")


@pytest.fixture(scope="session")
def world_on_postgresql(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    server = request.getfixturevalue("postgres_server")
    url = with_driver(server.url(server.create(request.getfixturevalue("postgres_template"))))
    return worlds.make(tmp_path_factory.mktemp("world"), url)


@pytest.fixture
def world(world_on_sqlite: World) -> World:
    return world_on_sqlite


@pytest.fixture(params=["sqlite", "postgresql"])
def either_world(request: pytest.FixtureRequest) -> World:
    made: World = request.getfixturevalue(f"world_on_{request.param}")
    return made


@pytest.fixture
def data(world: World, tmp_path: Path) -> Path:
    """A copy of the files."""
    return world.copy(tmp_path)
