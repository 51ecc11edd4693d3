"""Whatever kind of write touches whatever table of a record: an entry names the record, in the writer's transaction.

Each write is made on a connection of its own, looked at before it commits, and rolled back.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import Table

from store.mapping import MAPPINGS
from tests.crash.reader import Entity
from tests.crash.world import ADA, BOB, HERO, populate
from tests.factories import open_test_store
from tests.postgres import PostgresServer

NOW = "2025-06-01 12:00:00.000000"
MORE = (
    'INSERT INTO connection_profiles (id, "userId", name, provider, "modelName", "updatedAt") '
    f"VALUES ('p', '{ADA}', 'P', 'OPENAI', 'm', '{NOW}')",
    'INSERT INTO chats (id, "userId", "characterId", "connectionProfileId", title, "updatedAt") '
    f"VALUES ('c', '{ADA}', '{HERO}', 'p', 't', '{NOW}')",
    'INSERT INTO images (id, "userId", filename, filepath, "mimeType", size, "updatedAt") '
    f"VALUES ('i', '{ADA}', 'f', 'uploads/f', 'image/png', 1, '{NOW}')",
    'INSERT INTO chat_avatar_overrides (id, "chatId", "characterId", "imageId") '
    f"VALUES ('o', 'c', '{HERO}', 'i')",
    f"UPDATE characters SET \"defaultImageId\" = 'i' WHERE id = '{HERO}'",
    f"UPDATE personas SET \"defaultImageId\" = 'i' WHERE \"userId\" = '{ADA}'",
)


class Writer:
    """Another program's connection, and what it leaves in the outbox before it commits."""

    def __init__(self, connection: Any, outbox: str) -> None:
        self.connection, self._outbox = connection, outbox

    def rows(self, table: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self.connection.execute(f'SELECT * FROM "{table}"').fetchall()]

    def clear(self) -> None:
        self.connection.execute(f"DELETE FROM {self._outbox}")

    def marks(self) -> set[Entity]:
        found = self.connection.execute(f"SELECT kind, entity_id FROM {self._outbox}").fetchall()
        return {(row["kind"], row["entity_id"]) for row in found}

    def execute(self, statement: str, values: dict[str, Any] | None = None) -> None:
        if isinstance(self.connection, sqlite3.Connection):
            self.connection.execute(statement, values or {})
        else:
            for name in values or {}:
                statement = statement.replace(f":{name})", f"%({name})s)").replace(f":{name},", f"%({name})s,")
            self.connection.execute(statement, values)

    def insert(self, table: str, row: dict[str, Any], *, verb: str = "INSERT", end: str = "") -> None:
        given = {name: value for name, value in row.items() if value is not None and name != "sillyTavernData"}
        columns = ", ".join(f'"{name}"' for name in given)
        values = ", ".join(f":{name}" for name in given)
        self.execute(f'{verb} INTO "{table}" ({columns}) VALUES ({values}) {end}', given)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with a row in every table."""
    folder: Path = tmp_path_factory.mktemp("capture")
    server: PostgresServer | None = None
    name = address = ""
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        name = server.create()
        address = server.url(name)
    store = open_test_store(folder, address)
    populate(store)
    store.users.update_chat_settings(BOB, {"avatarDisplayStyle": "SQUARE"})
    with store.database.write() as connection:
        for statement in MORE:
            connection.exec_driver_sql(statement)
    store.outbox.apply()
    store.close()
    yield address or f"sqlite:///{folder / 'quilltap.sqlite'}"
    if server:
        server.drop(name)


@pytest.fixture
def writer(url: str) -> Iterator[Writer]:
    if url.startswith("sqlite"):
        lite = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        lite.row_factory = sqlite3.Row
        lite.execute("PRAGMA foreign_keys=ON")
        lite.execute("BEGIN")
        yield Writer(lite, "tandem_outbox")
        lite.execute("ROLLBACK")
        lite.close()
    else:
        with psycopg.connect(url, row_factory=dict_row) as connection:
            yield Writer(connection, "tandem.outbox")
            connection.rollback()


TABLES = {child.table.name: child.table for mapping in MAPPINGS.values() for child in mapping.tables}
OWNERS = {
    name: [(m.kind, child.column) for m in MAPPINGS.values() for child in m.tables if child.table.name == name]
    for name in TABLES
}
LINKS = [
    (table.name, key.parent.name, key.column.table.name, key.ondelete)
    for table in TABLES.values()
    for key in sorted(table.foreign_keys, key=lambda key: key.parent.name)
]
each_table = pytest.mark.parametrize("table", TABLES)


def owners(table: str, *rows: dict[str, Any]) -> set[Entity]:
    return {(kind, row[column]) for row in rows for kind, column in OWNERS[table]}


def where(table: Table, row: dict[str, Any]) -> str:
    return " AND ".join(f"\"{column.name}\" = '{row[column.name]}'" for column in table.primary_key)


@pytest.fixture
def row(writer: Writer, table: str) -> dict[str, Any]:
    """A row of the table, with nothing waiting."""
    writer.clear()
    return writer.rows(table)[0]


@pytest.fixture
def gone(writer: Writer, table: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row that was there a moment ago."""
    writer.execute(f'DELETE FROM "{table}" WHERE {where(TABLES[table], row)}')
    writer.clear()
    return row


@each_table
def test_an_insert(writer: Writer, table: str, gone: dict[str, Any]) -> None:
    writer.insert(table, gone)
    assert writer.marks() == owners(table, gone)


@each_table
def test_an_update(writer: Writer, table: str, row: dict[str, Any]) -> None:
    column = next(name for name in ("name", "createdAt", "isDefault") if name in row)
    writer.execute(f'UPDATE "{table}" SET "{column}" = "{column}" WHERE {where(TABLES[table], row)}')
    assert writer.marks() == owners(table, row)


@each_table
def test_an_update_of_every_row(writer: Writer, table: str, row: dict[str, Any]) -> None:
    column = next(name for name in ("name", "createdAt", "isDefault") if name in row)
    writer.execute(f'UPDATE "{table}" SET "{column}" = "{column}"')
    assert writer.marks() == owners(table, *writer.rows(table))


@each_table
def test_an_upsert_of_a_row_that_is_there(writer: Writer, table: str, row: dict[str, Any]) -> None:
    key = ", ".join(f'"{column.name}"' for column in TABLES[table].primary_key)
    column = next(name for name in ("name", "createdAt", "isDefault") if name in row)
    writer.insert(table, row, end=f'ON CONFLICT ({key}) DO UPDATE SET "{column}" = excluded."{column}"')
    assert writer.marks() == owners(table, row)


@each_table
def test_an_upsert_of_a_new_row(writer: Writer, table: str, gone: dict[str, Any]) -> None:
    writer.insert(table, gone, end="ON CONFLICT DO NOTHING")
    assert writer.marks() == owners(table, gone)


@each_table
def test_a_row_that_moves_to_another_record_marks_both(writer: Writer, table: str, row: dict[str, Any]) -> None:
    for kind, column in OWNERS[table]:
        links = [target for name, by, target, _ in LINKS if (name, by) == (table, column)]
        others = {"new"} if not links else {one["id"] for one in writer.rows(links[0])} - {row[column]}
        writer.execute(f'DELETE FROM "{table}" WHERE "{column}" <> \'{row[column]}\'')  # where it might be unique
        writer.clear()
        other = sorted(others)[0]
        writer.execute(f'UPDATE "{table}" SET "{column}" = \'{other}\' WHERE {where(TABLES[table], row)}')
        assert {(kind, row[column]), (kind, other)} <= writer.marks()
        row = {**row, column: other}


@each_table
def test_a_delete(writer: Writer, table: str, row: dict[str, Any]) -> None:
    writer.execute(f'DELETE FROM "{table}" WHERE {where(TABLES[table], row)}')
    assert owners(table, row) <= writer.marks()


@pytest.mark.parametrize(("table", "by", "target", "rule"), LINKS, ids=[f"{link[0]}-{link[1]}" for link in LINKS])
def test_what_goes_or_changes_with_another_row(writer: Writer, table: str, by: str, target: str, rule: str) -> None:
    row = next(one for one in writer.rows(table) if one[by] is not None)
    touched = [one for one in writer.rows(table) if one[by] == row[by]]
    assert rule in ("CASCADE", "SET NULL")
    writer.clear()
    writer.execute("SAVEPOINT here")
    writer.execute(f"DELETE FROM \"{target}\" WHERE id = '{row[by]}'")
    assert owners(table, *touched) <= writer.marks()
    writer.execute("ROLLBACK TO here")
    writer.clear()
    writer.execute(f"UPDATE \"{target}\" SET id = 'changed' WHERE id = '{row[by]}'")
    assert owners(table, *touched) <= writer.marks()
    assert owners(table, *({**one, by: "changed"} for one in touched)) <= writer.marks()


@each_table
def test_on_sqlite_a_replacement(writer: Writer, table: str, row: dict[str, Any]) -> None:
    if isinstance(writer.connection, psycopg.Connection):
        with pytest.raises(psycopg.errors.SyntaxError):
            writer.insert(table, row, verb="INSERT OR REPLACE")
        return
    writer.insert(table, row, verb="INSERT OR REPLACE")
    assert owners(table, row) <= writer.marks()


@each_table
def test_on_postgresql_a_copy_and_a_truncate(writer: Writer, table: str, gone: dict[str, Any]) -> None:
    if isinstance(writer.connection, sqlite3.Connection):
        with pytest.raises(sqlite3.OperationalError):
            writer.execute(f'TRUNCATE "{table}"')
        return
    given = {name: value for name, value in gone.items() if value is not None and name != "sillyTavernData"}
    columns = ", ".join(f'"{name}"' for name in given)
    with writer.connection.cursor() as cursor, cursor.copy(f'COPY "{table}" ({columns}) FROM STDIN') as copy:
        copy.write_row(list(given.values()))
    assert writer.marks() == owners(table, gone)
    writer.clear()
    writer.execute(f'TRUNCATE "{table}" CASCADE')
    assert {(kind, "*") for kind, _ in OWNERS[table]} <= writer.marks()


@each_table
def test_what_is_rolled_back_leaves_nothing(writer: Writer, table: str, row: dict[str, Any]) -> None:
    writer.execute("SAVEPOINT here")
    writer.execute(f'DELETE FROM "{table}"')
    assert writer.marks()
    writer.execute("ROLLBACK TO here")
    assert not writer.marks()


def test_a_table_without_its_triggers_is_seen_to_leave_nothing(writer: Writer) -> None:
    """The check itself can fail."""
    on = "" if isinstance(writer.connection, sqlite3.Connection) else " ON characters"
    writer.clear()
    writer.execute(f"DROP TRIGGER tandem_characters_update{on}")
    writer.execute("UPDATE characters SET title = 'unseen'")
    assert not writer.marks()
