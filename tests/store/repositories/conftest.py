"""One store per test, of each kind there is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from store import Store
from tests.factories import assert_everything_is_equal, assert_quilltap_reads, open_test_store

KINDS = ("sql-sqlite", "sql-postgresql", "json", "dual-sqlite", "dual-postgresql")


@pytest.fixture(params=KINDS)
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """``sql``, ``json`` and ``dual``, each on both databases (the files of ``json`` need none)."""
    backend, _, database = request.param.partition("-")
    names = {"": "ready_sqlite_url", "sqlite": "ready_sqlite_url", "postgresql": "ready_postgres_url"}
    opened = open_test_store(tmp_path, request.getfixturevalue(names[database]), backend)
    yield opened
    opened.close()


@pytest.fixture
def store(any_store: Store) -> Iterator[Store]:
    """The same; and whatever a test did, in the end both sides hold the same, the index of ``json`` says what the files
    say, and Quilltap reads them."""
    yield any_store
    if any_store.settings.data_backend == "dual":
        assert_everything_is_equal(any_store)
    if any_store.settings.data_backend == "json":
        assert_the_files_say_the_same(any_store)
    if any_store.settings.data_backend != "sql":
        assert_quilltap_reads(any_store.settings.data_dir)


def assert_the_files_say_the_same(store: Store) -> None:
    told = {kind: list(repository.find_all()) for kind, repository in store.repositories.items()}
    (store.settings.own_dir / "index.sqlite").unlink()
    anew = {kind: list(repository.find_all()) for kind, repository in store.repositories.items()}
    assert anew == told
