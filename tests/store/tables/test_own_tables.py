"""Tandem's own tables: what the migrations make is what the declarations say."""

from typing import Any

import alembic.autogenerate
import alembic.migration
import pytest
import sqlalchemy as sa

from store.database import Database
from store.tables.tandem import SCHEMA, own_tables


def differences(database: Database, metadata: sa.MetaData) -> list[Any]:
    """Between the database and declarations, as Alembic sees them; Quilltap's tables are none of its business."""
    schema = SCHEMA if database.dialect == "postgresql" else None
    version_table = "schema_version" if schema else f"{SCHEMA}_schema_version"

    def ours(name: str | None, kind: str, parents: Any) -> bool:
        if kind == "schema":
            return name == schema
        return kind != "table" or ((schema is not None or str(name).startswith(f"{SCHEMA}_")) and name != version_table)

    with database.engine.connect() as connection:
        options = {"include_name": ours, "include_schemas": schema is not None, "compare_type": True}
        context = alembic.migration.MigrationContext.configure(connection, opts=options)
        return list(alembic.autogenerate.compare_metadata(context, metadata))


@pytest.fixture
def database(ready_url: str) -> Any:
    opened = Database(ready_url)
    yield opened
    opened.close()


def test_the_migrations_make_what_is_declared(database: Database) -> None:
    assert differences(database, database.own.metadata) == []


def test_a_column_without_a_migration_is_noticed(database: Database) -> None:
    later = own_tables(database.dialect)
    later.state.append_column(sa.Column("later", sa.Text))
    assert [change[0] for change in differences(database, later.metadata)] == ["add_column"]


def test_every_table_has_its_primary_key_and_indexes(database: Database) -> None:
    with database.engine.connect() as connection:
        inspector = sa.inspect(connection)
        for table in database.own.metadata.sorted_tables:
            keys = inspector.get_pk_constraint(table.name, schema=table.schema)["constrained_columns"]
            assert keys == [column.name for column in table.primary_key]
            indexes = inspector.get_indexes(table.name, schema=table.schema)
            found = {index["name"]: (index["column_names"], bool(index["unique"])) for index in indexes}
            assert found == {
                index.name: ([c.name for c in index.columns], bool(index.unique)) for index in table.indexes
            }


def test_our_tables_bear_our_name(database: Database) -> None:
    with database.engine.connect() as connection:
        inspector = sa.inspect(connection)
        schema = SCHEMA if database.dialect == "postgresql" else None
        there = {name for name in inspector.get_table_names(schema=schema) if schema or name.startswith("tandem_")}
    prefix = "" if schema else "tandem_"
    who_may_come_in = ("accounts", "sessions", "recovery_codes", "attempts")
    names = ("outbox", "state", *who_may_come_in, "jobs", "audit", "key_tests", "schema_version")
    assert there == {f"{prefix}{name}" for name in names}


def test_a_number_of_the_outbox_never_comes_back(database: Database) -> None:
    """A late acknowledgement would delete a new entry."""
    outbox = database.own.outbox
    numbers = []
    for _ in range(3):
        with database.write() as connection:
            connection.execute(sa.insert(outbox).values(kind="tag", entity_id="x"))
            numbers.append(connection.scalar(sa.select(sa.func.max(outbox.c.seq))))
        with database.write() as connection:
            connection.execute(sa.delete(outbox))
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 3


def test_what_is_remembered_is_there_after_a_restart(database: Database) -> None:
    assert database.get_state("key") is None
    database.set_state("key", "one")
    database.set_state("key", "two 😀")
    assert database.get_state("key") == "two 😀"
    database.set_state("key", None)
    assert database.get_state("key") is None
