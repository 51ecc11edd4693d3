"""Triggers that write down which record a change belongs to, inside the writer's own transaction.

Whoever writes, by whatever program: insert, update, change of a key, delete, cascade, upsert, COPY and TRUNCATE each
leave an entry ``(kind, id)`` in the outbox; TRUNCATE leaves ``(kind, '*')``. They are the one thing Tandem adds to
Quilltap's tables, they are all named ``tandem_…``, and they can be taken away again.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from store.mapping import MAPPINGS, Mapping
from store.tables.tandem import SCHEMA

EVENTS = ("insert", "update", "delete", "truncate")
EVERYTHING = "*"


@dataclass(frozen=True)
class Trigger:
    """One trigger: its name, the table, and the statements that make it. ``body`` is what tells it from another
    version."""

    name: str
    table: str
    body: str
    create: tuple[str, ...]
    drop: tuple[str, ...]
    kinds: tuple[str, ...]


def triggers(dialect: str, mappings: Iterable[Mapping] = MAPPINGS.values()) -> list[Trigger]:
    """Every trigger the mappings ask for: a change in any table that shows in a record is a change of that record."""
    marks: dict[Table, list[tuple[str, str]]] = {}
    for mapping in mappings:
        for child in mapping.tables:
            marks.setdefault(child.table, []).append((mapping.kind, child.column))
    make = _on_postgresql if dialect == "postgresql" else _on_sqlite
    return [
        make(table.name, event, owners)
        for table, owners in marks.items()
        for event in EVENTS
        if dialect == "postgresql" or event != "truncate"
    ]


def _on_sqlite(table: str, event: str, owners: list[tuple[str, str]]) -> Trigger:
    steps = []
    for kind, column in owners:
        into = f"INSERT INTO {SCHEMA}_outbox (kind, entity_id)"
        if event != "insert":
            steps.append(f"{into} VALUES ('{kind}', OLD.\"{column}\");")
        if event == "insert":
            steps.append(f"{into} VALUES ('{kind}', NEW.\"{column}\");")
        if event == "update":
            steps.append(f'{into} SELECT \'{kind}\', NEW."{column}" WHERE NEW."{column}" IS NOT OLD."{column}";')
    name = f"tandem_{table}_{event}"
    body = f'CREATE TRIGGER {name} AFTER {event.upper()} ON "{table}" BEGIN {" ".join(steps)} END'
    return Trigger(name, table, body, (body,), (f"DROP TRIGGER IF EXISTS {name}",), tuple(kind for kind, _ in owners))


def _on_postgresql(table: str, event: str, owners: list[tuple[str, str]]) -> Trigger:
    """A statement trigger over transition tables: one entry per record and statement, however many rows it changed."""
    sources = {"insert": ("new_rows",), "delete": ("old_rows",), "update": ("old_rows", "new_rows"), "truncate": ()}[
        event
    ]
    steps = []
    for kind, column in owners:
        rows = " UNION ".join(f"SELECT '{kind}', \"{column}\" FROM {source}" for source in sources)
        rows = rows.replace("SELECT", "SELECT DISTINCT", 1) or f"SELECT '{kind}', '{EVERYTHING}'"
        steps.append(f"INSERT INTO {SCHEMA}.outbox (kind, entity_id) {rows};")
    name, function = f"tandem_{table}_{event}", f"{SCHEMA}.capture_{table}_{event}"
    body = f" BEGIN {' '.join(steps)} RETURN NULL; END "
    referencing = " ".join(f"{source[:3].upper()} TABLE AS {source}" for source in sources)
    return Trigger(
        name,
        table,
        body,
        (
            # SECURITY DEFINER: the other program needs no rights on the outbox.
            f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
            f"SET search_path = pg_catalog, pg_temp AS $tandem${body}$tandem$",
            f'DROP TRIGGER IF EXISTS {name} ON "{table}"',
            f'CREATE TRIGGER {name} AFTER {event.upper()} ON "{table}" '
            f"{f'REFERENCING {referencing} ' if referencing else ''}FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
            # ALWAYS: also for a session that replicates.
            f'ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER {name}',
        ),
        (f'DROP TRIGGER IF EXISTS {name} ON "{table}"', f"DROP FUNCTION IF EXISTS {function}()"),
        tuple(kind for kind, _ in owners),
    )


def installed(connection: Connection) -> dict[str, str]:
    """Name -> body of our triggers that are in place and switched on."""
    if connection.dialect.name == "sqlite":
        found = connection.execute(
            sa.text(
                "SELECT name AS tgname, sql AS prosrc FROM sqlite_master "
                "WHERE type = 'trigger' AND name LIKE 'tandem\\_%' ESCAPE '\\'"
            )
        )
    else:
        found = connection.execute(
            sa.text(
                "SELECT t.tgname, p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
                "JOIN pg_namespace n ON n.oid = p.pronamespace "
                "WHERE NOT t.tgisinternal AND t.tgenabled = 'A' AND n.nspname = :schema "
                "AND to_regclass(quote_ident(substring(p.proname from '^capture_(.*)_[a-z]+$'))) = t.tgrelid"
            ),
            {"schema": SCHEMA},
        )
    return {row.tgname: row.prosrc for row in found}


def missing(connection: Connection) -> list[Trigger]:
    """Triggers that are not in place as they should be. A table that was rebuilt has lost all of its own."""
    there = installed(connection)
    return [trigger for trigger in triggers(connection.dialect.name) if there.get(trigger.name) != trigger.body]


def install(connection: Connection) -> list[Trigger]:
    """Put every missing trigger in place, within the caller's transaction; those that were missing."""
    absent = missing(connection)
    for trigger in absent:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(trigger.drop[0])
        for statement in trigger.create:
            connection.exec_driver_sql(statement)
    return absent


def remove(connection: Connection) -> None:
    """Take every trigger away, within the caller's transaction."""
    for trigger in triggers(connection.dialect.name):
        for statement in trigger.drop:
            connection.exec_driver_sql(statement)
