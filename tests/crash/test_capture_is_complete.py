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
from store.tables.messages import messages
from tests.crash.reader import Entity
from tests.crash.world import ADA, BOB, HERO, KING, MASK, populate_characters
from tests.factories import open_test_store
from tests.postgres import PostgresServer

FREE_FORM = ("sillyTavernData", "sillyTavernMetadata", "parameters", "rawResponse")
NOW = "2025-06-01 12:00:00.000000"
_OWNED = f"'{ADA}', '{NOW}'"
MORE = (
    'INSERT INTO api_keys (id, "userId", "updatedAt", provider, label, "keyEncrypted", "keyIv", "keyAuthTag") '
    f"VALUES ('k', {_OWNED}, 'OPENAI', 'l', '00', '00', '00')",
    'INSERT INTO connection_profiles (id, "userId", "updatedAt", name, provider, "modelName", "apiKeyId") '
    f"VALUES ('p', {_OWNED}, 'P', 'OPENAI', 'm', 'k')",
    'INSERT INTO image_profiles (id, "userId", "updatedAt", name, provider, "modelName", "apiKeyId") '
    f"VALUES ('ip', {_OWNED}, 'P', 'OPENAI', 'm', 'k')",
    'INSERT INTO chats (id, "userId", "updatedAt", "characterId", "personaId", "connectionProfileId", '
    f"\"imageProfileId\", title) VALUES ('c', {_OWNED}, '{HERO}', '{MASK}', 'p', 'ip', 't')",
    # Others for rows to move to.
    'INSERT INTO connection_profiles (id, "userId", "updatedAt", name, provider, "modelName") '
    f"VALUES ('p2', {_OWNED}, 'P2', 'OPENAI', 'm')",
    'INSERT INTO image_profiles (id, "userId", "updatedAt", name, provider, "modelName") '
    f"VALUES ('ip2', {_OWNED}, 'P2', 'OPENAI', 'm')",
    'INSERT INTO chats (id, "userId", "updatedAt", "characterId", "connectionProfileId", title) '
    f"VALUES ('c2', {_OWNED}, '{HERO}', 'p2', 't')",
    'INSERT INTO images (id, "userId", "updatedAt", filename, filepath, "mimeType", size) '
    f"VALUES ('i2', {_OWNED}, 'f', 'uploads/f', 'image/png', 1)",
    """INSERT INTO messages (id, "chatId", role, content) VALUES ('m', 'c', 'USER', 'hello')""",
    'INSERT INTO chat_files (id, "chatId", "messageId", filename, filepath, "mimeType", size) '
    "VALUES ('f', 'c', 'm', 'f', 'uploads/f', 'image/png', 1)",
    'INSERT INTO images (id, "userId", "updatedAt", filename, filepath, "mimeType", size) '
    f"VALUES ('i', {_OWNED}, 'f', 'uploads/f', 'image/png', 1)",
    """INSERT INTO image_tags (id, "imageId", "tagType", "tagId") VALUES ('it', 'i', 'THEME', 'rain')""",
    'INSERT INTO chat_avatar_overrides (id, "chatId", "characterId", "imageId") '
    f"VALUES ('o', 'c', '{HERO}', 'i')",
    f"UPDATE characters SET \"defaultImageId\" = 'i' WHERE id = '{HERO}'",
    f"UPDATE personas SET \"defaultImageId\" = 'i' WHERE \"userId\" = '{ADA}'",
    *(
        f"INSERT INTO {table} (id, \"{column}\", \"tagId\") VALUES ('{owner}t', '{owner}', '{KING}')"
        for table, column, owner in (
            ("connection_profile_tags", "connectionProfileId", "p"),
            ("image_profile_tags", "imageProfileId", "ip"),
            ("chat_tags", "chatId", "c"),
        )
    ),
    'INSERT INTO accounts (id, "userId", type, provider, "providerAccountId") '
    f"VALUES ('a', '{ADA}', 'oauth', 'google', '1')",
    f"""INSERT INTO sessions (id, "sessionToken", "userId", expires) VALUES ('s', 'x', '{ADA}', '{NOW}')""",
    f"INSERT INTO verification_tokens (identifier, token, expires) VALUES ('e', 'y', '{NOW}')",
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
        given = {name: value for name, value in row.items() if value is not None and name not in FREE_FORM}
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
    populate_characters(store)
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
TABLES["messages"] = messages
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


def also(table: str, what: str, *rows: dict[str, Any]) -> set[Entity]:
    """What else a change means: for the file of a chat, for its line, for the lines of avatars."""
    marks: set[Entity] = set()
    for row in rows:
        if table == "messages":
            marks |= {("totals", row["chatId"])}
            marks |= {("message", row["id"])} if what == "insert" else {("log", row["chatId"])}
        if table == "chats" and what != "update":
            marks |= {("log", row["id"])}
        if table == "chat_files" and what != "update" and row["messageId"]:
            marks |= {("log", "c"), ("totals", "c")}
        if table == "images" and what == "update":
            marks |= {("avatar", "o")} if row["id"] == "i" else set()
    return marks


def key_of(table: Table) -> list[str]:
    return [column.name for column in table.primary_key] or ["token"]


def where(table: Table, row: dict[str, Any]) -> str:
    return " AND ".join(f"\"{name}\" = '{row[name]}'" for name in key_of(table))


@pytest.fixture
def row(writer: Writer, table: str) -> dict[str, Any]:
    """A row of the table, with nothing waiting."""
    writer.clear()
    return writer.rows(table)[0]


@pytest.fixture
def gone(writer: Writer, table: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row that was there a moment ago."""
    if table == "connection_profiles":
        writer.execute("DELETE FROM chats")  # which would stand in the way
    writer.execute(f'DELETE FROM "{table}" WHERE {where(TABLES[table], row)}')
    writer.clear()
    return row


@each_table
def test_an_insert(writer: Writer, table: str, gone: dict[str, Any]) -> None:
    writer.insert(table, gone)
    assert writer.marks() == owners(table, gone) | also(table, "insert", gone)


@each_table
def test_an_update(writer: Writer, table: str, row: dict[str, Any]) -> None:
    column = next(name for name in ("name", "createdAt", "isDefault", "expires", "type") if name in row)
    writer.execute(f'UPDATE "{table}" SET "{column}" = "{column}" WHERE {where(TABLES[table], row)}')
    assert writer.marks() == owners(table, row) | also(table, "update", row)


@each_table
def test_an_update_of_every_row(writer: Writer, table: str, row: dict[str, Any]) -> None:
    column = next(name for name in ("name", "createdAt", "isDefault", "expires", "type") if name in row)
    writer.execute(f'UPDATE "{table}" SET "{column}" = "{column}"')
    rows = writer.rows(table)
    assert writer.marks() == owners(table, *rows) | also(table, "update", *rows)


@each_table
def test_an_upsert_of_a_row_that_is_there(writer: Writer, table: str, row: dict[str, Any]) -> None:
    key = ", ".join(f'"{name}"' for name in key_of(TABLES[table]))
    column = next(name for name in ("name", "createdAt", "isDefault", "expires", "type") if name in row)
    writer.insert(table, row, end=f'ON CONFLICT ({key}) DO UPDATE SET "{column}" = excluded."{column}"')
    assert writer.marks() == owners(table, row) | also(table, "update", row)


@each_table
def test_an_upsert_of_a_new_row(writer: Writer, table: str, gone: dict[str, Any]) -> None:
    writer.insert(table, gone, end="ON CONFLICT DO NOTHING")
    assert writer.marks() == owners(table, gone) | also(table, "insert", gone)


@each_table
def test_a_row_that_moves_to_another_record_marks_both(writer: Writer, table: str, row: dict[str, Any]) -> None:
    for kind, column in OWNERS[table]:
        links = [target for name, by, target, _ in LINKS if (name, by) == (table, column)]
        others = {"new"} if not links else {one["id"] for one in writer.rows(links[0])} - {row[column]}
        if table == "connection_profiles":
            writer.execute("DELETE FROM chats WHERE id = 'c2'")  # which would stand in the way
        writer.execute(f'DELETE FROM "{table}" WHERE "{column}" <> \'{row[column]}\'')  # where it might be unique
        writer.clear()
        other = sorted(others)[0]
        writer.execute(f'UPDATE "{table}" SET "{column}" = \'{other}\' WHERE {where(TABLES[table], row)}')
        assert {(kind, row[column]), (kind, other)} <= writer.marks()
        row = {**row, column: other}


@each_table
def test_a_delete(writer: Writer, table: str, row: dict[str, Any]) -> None:
    if table == "connection_profiles":
        writer.execute("DELETE FROM chats")  # which would stand in the way
    writer.execute(f'DELETE FROM "{table}" WHERE {where(TABLES[table], row)}')
    assert owners(table, row) | also(table, "delete", row) <= writer.marks()


@pytest.mark.parametrize(("table", "by", "target", "rule"), LINKS, ids=[f"{link[0]}-{link[1]}" for link in LINKS])
def test_what_goes_or_changes_with_another_row(writer: Writer, table: str, by: str, target: str, rule: str) -> None:
    row = next(one for one in writer.rows(table) if one[by] is not None)
    touched = [one for one in writer.rows(table) if one[by] == row[by]]
    assert rule in ("CASCADE", "SET NULL", "RESTRICT")
    writer.clear()
    if rule != "RESTRICT" and target != "users":
        writer.execute("SAVEPOINT here")
        if target == "connection_profiles":
            writer.execute("DELETE FROM chats")  # which would stand in the way
        writer.execute(f"DELETE FROM \"{target}\" WHERE id = '{row[by]}'")
        assert owners(table, *touched) | also(table, "update", *touched) <= writer.marks()
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
    if table == "connection_profiles":
        writer.execute("DELETE FROM chats")  # which would stand in the way
    writer.insert(table, row, verb="INSERT OR REPLACE")
    assert owners(table, row) <= writer.marks()


@each_table
def test_on_postgresql_a_copy_and_a_truncate(writer: Writer, table: str, gone: dict[str, Any]) -> None:
    if isinstance(writer.connection, sqlite3.Connection):
        with pytest.raises(sqlite3.OperationalError):
            writer.execute(f'TRUNCATE "{table}"')
        return
    given = {name: value for name, value in gone.items() if value is not None and name not in FREE_FORM}
    columns = ", ".join(f'"{name}"' for name in given)
    with writer.connection.cursor() as cursor, cursor.copy(f'COPY "{table}" ({columns}) FROM STDIN') as copy:
        copy.write_row(list(given.values()))
    assert writer.marks() == owners(table, gone) | also(table, "insert", gone)
    writer.clear()
    writer.execute(f'TRUNCATE "{table}" CASCADE')
    assert {(kind, "*") for kind, _ in OWNERS[table]} <= writer.marks()


@each_table
def test_what_is_rolled_back_leaves_nothing(writer: Writer, table: str, row: dict[str, Any]) -> None:
    writer.execute("SAVEPOINT here")
    if table == "connection_profiles":
        writer.execute("DELETE FROM chats")  # which would stand in the way
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
