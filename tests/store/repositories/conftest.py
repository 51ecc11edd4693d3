"""One store of each kind there is, emptied between tests."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from store import Store
from store.mapping import MAPPINGS
from store.mapping.messages import MESSAGES
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
        opened.catch_up()  # what lines of chats say about their messages is left for later
        assert_everything_is_equal(opened)
    if opened.settings.data_backend == "json":
        opened.catch_up()
        assert_the_files_say_the_same(opened)
        assert (opened.following.pending(), opened.problems()) == (0, [])
    if opened.settings.data_backend != "sql":
        assert_quilltap_reads(opened.settings.data_dir)


def empty(store: Store) -> None:
    store.users.delete_many([user.id for user in store.users.find_all()])
    store.tokens.delete_many([token.id for token in store.tokens.find_all()])  # they belong to nobody
    assert set(counts(store).values()) == {0}, counts(store)
    if store.settings.data_backend != "sql":
        assert {kind: found for kind in store.repositories if (found := list(store.side.entries(kind)))} == {}
        assert store.side.log_ids() == []


def counts(store: Store) -> dict[str, int]:
    """Rows of every kind's table, in the database or in the index of the files."""
    database = store.index.database if store.settings.data_backend == "json" else store.database
    tables = {mapping.main.name: mapping.main for mapping in (*MAPPINGS.values(), MESSAGES)}
    each = (sa.select(sa.literal(name), sa.func.count()).select_from(table) for name, table in tables.items())
    with database.read() as connection:
        return {row[0]: row[1] for row in connection.execute(sa.union_all(*each))}


def assert_the_files_say_the_same(store: Store) -> None:
    store.users.find_all()  # a look at the files
    there = counts(store)
    for kind, repository in store.repositories.items():
        in_files = {entry.id: _known_to_sql(entry.document) for entry in store.side.entries(kind)}  # type: ignore[union-attr]
        found = repository.find_all() if there[MAPPINGS[kind].main.name] else []
        assert {record.id: record for record in found} == in_files
    for chat in store.chats.find_all():
        log = store.side.read_log(chat.id)
        assert log is not None
        assert (log.bad, log.torn) == ([], b"")
        assert [_known_to_sql(event.document) for event in log.events] == list(store.chats.get_messages(chat.id))


def _known_to_sql(document: Any) -> Any:
    """A record of a file without what only files tell: lengths and checksums."""
    extras = getattr(document, "extras", None)
    if not extras or not {"log", "crc"} & set(type(extras).model_fields):
        return document
    kept = {name: None for name in ("log", "crc") if name in type(extras).model_fields}
    rest = extras.model_copy(update=kept)
    return document.model_copy(update={"extras": rest if rest.model_dump(exclude_defaults=True) else None})
