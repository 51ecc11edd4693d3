"""The tables are exactly Quilltap's: names, types, defaults, keys, indexes and rules, compared with its description."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from store.database import Database
from store.enums import ENUMS
from store.tables import MODELS
from tests.factories import lay_database, with_driver
from tests.postgres import PostgresServer
from tests.store.tables import schema_0_7_0 as described
from tests.store.tables.quilltap_database import SQLITE, catalogue, ddl


@pytest.fixture(scope="module")
def on_postgresql(postgres_server: PostgresServer, postgres_template: str) -> Iterator[Connection]:
    """A database that Tandem made."""
    yield from _connected(with_driver(postgres_server.url(postgres_server.create(postgres_template))))


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    path = tmp_path_factory.mktemp("schema") / "quilltap.sqlite"
    lay_database(path)
    yield from _connected(f"sqlite:///{path}")


def _connected(url: str) -> Iterator[Connection]:
    database = Database(url)
    with database.engine.connect() as connection:
        yield connection
    database.close()


def asked(connection: Connection, statement: str) -> list[Any]:
    return list(connection.exec_driver_sql(statement).all())


# ---------------------------------------------------------------------- the description itself
def test_the_description_has_the_size_it_names() -> None:
    tables = described.TABLES.values()
    assert len(tables) == 23
    assert sum(len(table.columns) for table in tables) == 186
    assert sum(bool(table.primary_key) for table in tables) == 22
    assert sum(len(table.indexes) for table in tables) == 27
    assert sum(len(table.links) for table in tables) == 38


def test_the_models_are_the_tables() -> None:
    assert {table.name for table in MODELS.values()} == described.TABLES.keys()
    assert {name: list(values) for name, values in ENUMS.items()} == described.ENUMS


# ---------------------------------------------------------------------- PostgreSQL
TYPES = {
    "text": ("text", "text", None),
    "time": ("timestamp without time zone", "timestamp", 3),
    "bool": ("boolean", "bool", None),
    "int": ("integer", "int4", None),
    "json": ("jsonb", "jsonb", None),
}


def plain_default(told: str | None) -> str | None:
    if told is None:
        return None
    return "now" if told == "CURRENT_TIMESTAMP" else re.sub(r"""^'(.*)'::("?\w+"?)$""", r"\1", told)


def test_columns_on_postgresql(on_postgresql: Connection) -> None:
    rows = asked(
        on_postgresql,
        "SELECT table_name, column_name, data_type, udt_name, datetime_precision, is_nullable, column_default "
        "FROM information_schema.columns WHERE table_schema = 'public'",
    )
    found: dict[str, dict[str, Any]] = {}
    for table, column, *kind, null, default in rows:
        found.setdefault(table, {})[column] = (*kind, null == "YES", plain_default(default))
    expected = {
        name: {
            column: (*TYPES.get(told.type, ("USER-DEFINED", told.type, None)), told.null, told.default)
            for column, told in table.columns.items()
        }
        for name, table in described.TABLES.items()
    }
    assert found == expected


def test_enums_on_postgresql(on_postgresql: Connection) -> None:
    rows = asked(
        on_postgresql,
        "SELECT t.typname, e.enumlabel FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid ORDER BY e.enumsortorder",
    )
    found: dict[str, list[str]] = {}
    for name, label in rows:
        found.setdefault(name, []).append(label)
    assert found == described.ENUMS


def test_indexes_and_primary_keys_on_postgresql(on_postgresql: Connection) -> None:
    rows = asked(
        on_postgresql,
        "SELECT c.relname, i.relname, x.indisunique, x.indisprimary, ARRAY(SELECT a.attname::text FROM "
        "unnest(x.indkey::int[]) WITH ORDINALITY k(n, place) JOIN pg_attribute a ON a.attrelid = c.oid "
        "AND a.attnum = k.n ORDER BY k.place), pg_get_expr(x.indpred, c.oid), am.amname FROM pg_index x "
        "JOIN pg_class i ON i.oid = x.indexrelid "
        "JOIN pg_class c ON c.oid = x.indrelid JOIN pg_am am ON am.oid = i.relam "
        "WHERE c.relnamespace = 'public'::regnamespace",
    )
    assert {(where, how) for *_, where, how in rows} == {(None, "btree")}
    found = {index: (table, unique, tuple(columns)) for table, index, unique, main, columns, *_ in rows if not main}
    keys = {index: (table, tuple(columns)) for table, index, _, main, columns, *_ in rows if main}
    assert found == {
        index: (name, *told) for name, table in described.TABLES.items() for index, told in table.indexes.items()
    }
    assert keys == {
        f"{name}_pkey": (name, table.primary_key) for name, table in described.TABLES.items() if table.primary_key
    }


def test_foreign_keys_on_postgresql(on_postgresql: Connection) -> None:
    rules = {"c": "CASCADE", "n": "SET NULL", "r": "RESTRICT", "a": "NO ACTION", "d": "SET DEFAULT"}
    rows = asked(
        on_postgresql,
        "SELECT k.conrelid::regclass::text, k.conname, a.attname, k.confrelid::regclass::text, k.confdeltype, "
        "k.confupdtype, b.attname, k.condeferrable FROM pg_constraint k "
        "JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1] "
        "JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[1] "
        "WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace",
    )
    found: dict[str, set[described.Link]] = {name: set() for name in described.TABLES}
    for table, name, column, target, on_delete, on_update, target_column, deferrable in rows:
        assert (target_column, deferrable) == ("id", False)
        found[table].add(described.Link(name, column, target, rules[on_delete], rules[on_update]))
    assert found == {name: table.links for name, table in described.TABLES.items()}


def test_nothing_else_is_declared_on_postgresql(on_postgresql: Connection) -> None:
    """No checks, no other constraint, no sequence, no function outside Tandem's own schema."""
    of_public = "connamespace = 'public'::regnamespace"
    assert (
        asked(on_postgresql, f"SELECT conname FROM pg_constraint WHERE contype NOT IN ('f', 'p', 'n') AND {of_public}")
        == []
    )
    kinds = asked(on_postgresql, "SELECT DISTINCT relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace")
    assert sorted(kind for (kind,) in kinds) == ["i", "r"]
    assert asked(on_postgresql, "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace") == []


# ---------------------------------------------------------------------- SQLite
def test_columns_on_sqlite(on_sqlite: Connection) -> None:
    for name, table in described.TABLES.items():
        found = {}
        for _, column, kind, needed, default, place in asked(on_sqlite, f'PRAGMA table_info("{name}")'):
            found[column] = (kind, not needed and not place, default is not None, place)
        keys = {column: place for place, column in enumerate(table.primary_key, start=1)}
        assert found == {
            column: (SQLITE.get(told.type, "TEXT"), told.null, told.default is not None, keys.get(column, 0))
            for column, told in table.columns.items()
        }


def test_indexes_on_sqlite(on_sqlite: Connection) -> None:
    for name, table in described.TABLES.items():
        found = {}
        for _, index, unique, origin, partial in asked(on_sqlite, f'PRAGMA index_list("{name}")'):
            columns = tuple(column for *_, column in asked(on_sqlite, f'PRAGMA index_info("{index}")'))
            if origin == "pk":
                assert columns == table.primary_key
            else:
                assert not partial
                found[index] = (bool(unique), columns)
        assert found == table.indexes


def test_foreign_keys_on_sqlite(on_sqlite: Connection) -> None:
    for name, table in described.TABLES.items():
        sql = asked(on_sqlite, f"SELECT sql FROM sqlite_master WHERE name = '{name}' AND type = 'table'")[0][0]
        found = set()
        for _, _, target, column, target_column, on_update, on_delete, _ in asked(
            on_sqlite, f'PRAGMA foreign_key_list("{name}")'
        ):
            assert target_column == "id"
            (constraint,) = re.findall(rf'CONSTRAINT "([^"]+)" FOREIGN KEY\("?{column}"?\)', sql)
            found.add(described.Link(constraint, column, target, on_delete, on_update))
        assert found == table.links


DATES = dict.fromkeys(("createdAt", "updatedAt"), "2025-01-01 00:00:00.000000")
MINIMAL = {
    "users": {"id": "u", "email": "e", "updatedAt": DATES["updatedAt"]},
    "chat_settings": {"id": "s", "userId": "u", "updatedAt": DATES["updatedAt"]},
    "api_keys": {
        "id": "k",
        "userId": "u",
        "provider": "GROK",
        "label": "",
        "keyEncrypted": "",
        "keyIv": "",
        "keyAuthTag": "",
        "updatedAt": DATES["updatedAt"],
    },
    "connection_profiles": {
        "id": "p",
        "userId": "u",
        "name": "",
        "provider": "GROK",
        "modelName": "",
        "updatedAt": DATES["updatedAt"],
    },
}
DEFAULTS: dict[str, dict[str, Any]] = {
    "users": {"totpEnabled": 0, "name": None},
    "chat_settings": {"avatarDisplayMode": "ALWAYS", "avatarDisplayStyle": "CIRCULAR"},
    "api_keys": {"isActive": 1, "lastUsed": None},
    "connection_profiles": {"parameters": "{}", "isDefault": 0},
}


def test_defaults_on_sqlite_have_the_form_of_stored_values(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'q.sqlite'}")
    database.prepare()
    with database.engine.begin() as connection:
        for table, values in MINIMAL.items():
            connection.execute(sa.insert(sa.table(table, *map(sa.column, values))).values(values))
            row = dict(connection.exec_driver_sql(f"SELECT * FROM {table}").mappings().one())
            assert {name: row[name] for name in DEFAULTS[table]} == DEFAULTS[table]
            assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}000", row["createdAt"])
            assert (
                abs(connection.exec_driver_sql(f"SELECT julianday('now') - julianday('{row['createdAt']}')").scalar())
                < 1
            )
    database.close()


# ---------------------------------------------------------------------- both
def test_what_prisma_would_make_on_postgresql_is_what_tandem_makes(
    on_postgresql: Connection, postgres_url: str
) -> None:
    """Apart from Prisma's own table, and the order of columns, which nobody may rely on."""
    database = Database(with_driver(postgres_url))
    with database.engine.begin() as connection:
        for statement in ddl("postgresql"):
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql('DROP TABLE "_prisma_migrations"')
        assert catalogue(connection) == catalogue(on_postgresql)
    database.close()


def test_making_the_tables_ready_twice_is_harmless(ready_url: str) -> None:
    database = Database(ready_url)
    with database.engine.connect() as connection:
        before = catalogue(connection)
    database.prepare()
    database.prepare()
    with database.engine.connect() as connection:
        assert catalogue(connection) == before
    database.close()
