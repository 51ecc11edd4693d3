"""Triggers that write down which record a change belongs to, inside the writer's own transaction.

Whoever writes, by whatever program: insert, update, change of a key, delete, cascade, upsert, COPY and TRUNCATE each
leave an entry ``(kind, id)`` in the outbox; TRUNCATE leaves ``(kind, '*')``. They are the one thing Tandem adds to
Quilltap's tables, they are all named ``tandem_…``, and they can be taken away again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from store.mapping import MAPPINGS
from store.tables.attachments import chat_files
from store.tables.chats import chats
from store.tables.messages import messages
from store.tables.tandem import SCHEMA

EVENTS = ("insert", "update", "delete", "truncate")
EVERYTHING = "*"
# Entries that are no records by themselves: a chat's whole file, one new message at its end, and what the chat's line
# in the index says about its messages. The last is not urgent: see ``outbox``.
LOG, MESSAGE, TOTALS = "log", "message", "totals"
SHOWN_IN: Final = {TOTALS: "chat"}
KINDS: Final = (*MAPPINGS, LOG)  # with all of these, everything is said


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


@dataclass(frozen=True)
class _Mark:
    """What a change of a table's row marks: the record of ``kind`` that ``column`` names.

    ``through`` (table, wanted, match): the records are those ``wanted`` of the table where ``match`` is the column's
    value. ``changed``: an update marks only when this column is not what it was.
    """

    table: Table
    kind: str
    column: str
    events: tuple[str, ...] = EVENTS
    through: tuple[str, str, str] | None = None
    changed: str | None = None


def _marks() -> Iterator[_Mark]:
    """A change in any table that shows in a record is a change of that record."""
    for mapping in MAPPINGS.values():
        for child in mapping.tables:
            yield _Mark(child.table, mapping.kind, child.column)
        for parent in mapping.parents:
            pointing = (mapping.main.name, mapping.key, parent.column)
            # Of a chat only its user shows in an attachment's line, of an image everything.
            changed = "userId" if parent.table is chats else None
            yield _Mark(parent.table, mapping.kind, "id", ("update",), pointing, changed)
    # A new message is appended; whatever else happens to messages has the file written anew.
    yield _Mark(messages, MESSAGE, "id", ("insert",))
    yield _Mark(messages, LOG, "chatId", ("update", "delete", "truncate"))
    yield _Mark(messages, TOTALS, "chatId")
    yield _Mark(chats, LOG, "id", EVENTS, changed="id")
    for kind in (LOG, TOTALS):
        yield _Mark(chat_files, kind, "messageId", EVENTS, through=("messages", "chatId", "id"), changed="messageId")


def triggers(dialect: str, schema: str = "public") -> list[Trigger]:
    """Every trigger there has to be. ``schema`` is where Quilltap's tables lie on PostgreSQL."""
    by_table: dict[Table, list[_Mark]] = {}
    for mark in _marks():
        by_table.setdefault(mark.table, []).append(mark)
    made = []
    for table, marks in by_table.items():
        for event in EVENTS:
            wanted = [mark for mark in marks if event in mark.events]
            if wanted and dialect == "postgresql":
                made.append(_on_postgresql(table.name, event, wanted, schema))
            elif wanted and event != "truncate":
                made.append(_on_sqlite(table.name, event, wanted))
    return made


def _on_sqlite(table: str, event: str, marks: list[_Mark]) -> Trigger:
    steps = []
    for mark in marks:
        rows = {"insert": ("NEW",), "delete": ("OLD",), "update": ("OLD", "NEW")}[event]
        for row in rows:
            value = f'{row}."{mark.column}"'
            source, conditions = "", []
            if mark.through:
                through, wanted, match = mark.through
                source, conditions = f' FROM "{through}"', [f'"{match}" = {value}']
                value = f'"{wanted}"'
            if event == "update" and mark.changed:
                conditions.append(f'NEW."{mark.changed}" IS NOT OLD."{mark.changed}"')
            elif event == "update" and row == "NEW":
                conditions.append(f'NEW."{mark.column}" IS NOT OLD."{mark.column}"')
            where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
            steps.append(f"INSERT INTO {SCHEMA}_outbox (kind, entity_id) SELECT '{mark.kind}', {value}{source}{where};")
    name = f"tandem_{table}_{event}"
    body = f'CREATE TRIGGER {name} AFTER {event.upper()} ON "{table}" BEGIN {" ".join(steps)} END'
    kinds = tuple(mark.kind for mark in marks)
    return Trigger(name, table, body, (body,), (f"DROP TRIGGER IF EXISTS {name}",), kinds)


def _selects(event: str, mark: _Mark, schema: str) -> str:
    """The statement that gives the ids to mark, each once, from the rows before and after."""
    # Triggers take no parameters; all that is put in are names of tables and columns, out of ``store.tables``.
    if event == "truncate":
        return f"SELECT '{mark.kind}', '{EVERYTHING}'"
    sources = {"insert": ("new_rows",), "delete": ("old_rows",), "update": ("old_rows", "new_rows")}[event]
    parts = []
    for source in sources:
        text = f"SELECT DISTINCT '{mark.kind}', r.\"{mark.column}\" FROM {source} r"  # noqa: S608  # our own names
        if mark.through:
            through, wanted, match = mark.through
            text = (
                f"SELECT DISTINCT '{mark.kind}', t.\"{wanted}\" FROM {source} r "  # noqa: S608  # our own names
                f'JOIN "{schema}"."{through}" t ON t."{match}" = r."{mark.column}"'
            )
        if event == "update" and mark.changed:
            other = "new_rows" if source == "old_rows" else "old_rows"
            same = f'o.id = r.id AND o."{mark.changed}" IS NOT DISTINCT FROM r."{mark.changed}"'
            text += f" WHERE NOT EXISTS (SELECT 1 FROM {other} o WHERE {same})"  # noqa: S608  # our own names
        parts.append(text)
    return " UNION ".join(parts)


def _on_postgresql(table: str, event: str, marks: list[_Mark], schema: str) -> Trigger:
    """A statement trigger over transition tables: one entry per record and statement, however many rows it changed."""
    steps = [f"INSERT INTO {SCHEMA}.outbox (kind, entity_id) {_selects(event, mark, schema)};" for mark in marks]
    sources = {"insert": ("new_rows",), "delete": ("old_rows",), "update": ("old_rows", "new_rows"), "truncate": ()}
    name, function = f"tandem_{table}_{event}", f"{SCHEMA}.capture_{table}_{event}"
    body = f" BEGIN {' '.join(steps)} RETURN NULL; END "
    referencing = " ".join(f"{source[:3].upper()} TABLE AS {source}" for source in sources[event])
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
        tuple(mark.kind for mark in marks),
    )


def _wanted(connection: Connection) -> list[Trigger]:
    if connection.dialect.name == "sqlite":
        return triggers("sqlite")
    return triggers("postgresql", str(connection.scalar(sa.text("SELECT current_schema()"))))


def installed(connection: Connection) -> dict[str, str]:
    """Name -> body of our triggers that are in place and switched on."""
    if connection.dialect.name == "sqlite":
        found = connection.execute(
            sa.text(
                "SELECT name AS tgname, sql AS prosrc FROM sqlite_master "
                "WHERE type = 'trigger' AND name LIKE 'tandem\\_%' ESCAPE '\\' "
                "AND tbl_name NOT LIKE 'tandem\\_%' ESCAPE '\\'"
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
    return [trigger for trigger in _wanted(connection) if there.get(trigger.name) != trigger.body]


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
    for trigger in _wanted(connection):
        for statement in trigger.drop:
            connection.exec_driver_sql(statement)
