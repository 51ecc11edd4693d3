"""One store of each kind there is, emptied between tests."""

from collections.abc import Iterator

import pytest

from store import Store
from tests.factories import assert_everything_is_equal, assert_quilltap_reads, open_test_store

KINDS = ("sql-sqlite", "sql-postgresql", "json", "dual-sqlite", "dual-postgresql")


@pytest.fixture(scope="session", params=KINDS)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """``sql``, ``json`` and ``dual``, each on both databases (the files of ``json`` need none)."""
    backend, _, database = request.param.partition("-")
    url = ""
    if database == "postgresql":
        server = request.getfixturevalue("postgres_server")
        url = server.url(server.create(request.getfixturevalue("postgres_template")))
    opened = open_test_store(tmp_path_factory.mktemp(request.param), url, backend)
    yield opened
    opened.close()


@pytest.fixture
def store(opened: Store) -> Iterator[Store]:
    """The same, without a record. Whatever a test did: in the end both sides hold the same, the index of ``json`` says
    what the files say, Quilltap reads them, and when the users are deleted nothing is left."""
    empty(opened)
    yield opened
    if opened.settings.data_backend == "dual":
        assert_everything_is_equal(opened)
    if opened.settings.data_backend == "json":
        assert_the_files_say_the_same(opened)
    if opened.settings.data_backend != "sql":
        assert_quilltap_reads(opened.settings.data_dir)


def empty(store: Store) -> None:
    store.users.delete_many([user.id for user in store.users.find_all()])
    assert [list(repository.find_all()) for repository in store.repositories.values()] == [[]] * 4
    assert [list(store.side.entries(kind)) for kind in store.repositories] == [[]] * 4


def assert_the_files_say_the_same(store: Store) -> None:
    for kind, repository in store.repositories.items():
        in_files = {entry.id: entry.document for entry in store.side.entries(kind)}  # type: ignore[union-attr]
        assert {record.id: record for record in repository.find_all()} == in_files
