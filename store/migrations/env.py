"""Alembic's entry: brings Tandem's own tables up to date over a connection that the store hands in."""

from alembic import context

from store.tables.tandem import SCHEMA

connection = context.config.attributes["connection"]
on_postgresql = connection.dialect.name == "postgresql"
context.configure(
    connection=connection,
    version_table="schema_version" if on_postgresql else f"{SCHEMA}_schema_version",
    version_table_schema=SCHEMA if on_postgresql else None,
)
with context.begin_transaction():
    context.run_migrations()
