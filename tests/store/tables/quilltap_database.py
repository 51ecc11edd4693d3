"""A Quilltap database as Prisma makes it, in plain SQL; and everything the catalogue of a database says."""

import re
from typing import Any

from sqlalchemy import Connection

from tests.store.tables.schema_0_7_0 import ENUMS, TABLES, Column

POSTGRESQL = {
    "text": "TEXT",
    "time": "TIMESTAMP(3)",
    "bool": "BOOLEAN",
    "int": "INTEGER",
    "json": "JSONB",
}
SQLITE = {"text": "TEXT", "time": "TEXT", "bool": "BOOLEAN", "int": "INTEGER", "json": "TEXT"}
# Referenced tables first.
ORDER = [
    "users",
    "chat_settings",
    "accounts",
    "sessions",
    "verification_tokens",
    "api_keys",
    "connection_profiles",
    "image_profiles",
    "tags",
    "images",
    "characters",
    "personas",
    "chats",
    "messages",
    "chat_files",
    "character_personas",
    "character_tags",
    "persona_tags",
    "chat_tags",
    "connection_profile_tags",
    "image_profile_tags",
    "image_tags",
    "chat_avatar_overrides",
]
MIGRATIONS = """CREATE TABLE "_prisma_migrations" ("id" VARCHAR(36) PRIMARY KEY NOT NULL,
"checksum" VARCHAR(64) NOT NULL, "finished_at" TIMESTAMP, "migration_name" VARCHAR(255) NOT NULL, "logs" TEXT,
"rolled_back_at" TIMESTAMP, "started_at" TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
"applied_steps_count" INTEGER NOT NULL DEFAULT 0)"""


def ddl(dialect: str) -> list[str]:
    """The statements that make Quilltap's 23 tables."""
    statements = []
    if dialect == "postgresql":
        for name, values in ENUMS.items():
            labels = ", ".join(f"'{value}'" for value in values)
            statements.append(f'CREATE TYPE "{name}" AS ENUM ({labels})')
    for name in ORDER:
        table = TABLES[name]
        parts = [_column(dialect, column, told) for column, told in table.columns.items()]
        if table.primary_key:
            parts.append(f'CONSTRAINT "{name}_pkey" PRIMARY KEY ({_names(table.primary_key)})')
        for link in sorted(table.links):
            parts.append(
                f'CONSTRAINT "{link.name}" FOREIGN KEY ("{link.column}") REFERENCES "{link.target}" ("id") '
                f"ON DELETE {link.on_delete} ON UPDATE {link.on_update}"
            )
        statements.append(f'CREATE TABLE "{name}" ({", ".join(parts)})')
        for index, (unique, columns) in table.indexes.items():
            kind = "UNIQUE INDEX" if unique else "INDEX"
            statements.append(f'CREATE {kind} "{index}" ON "{name}" ({_names(columns)})')
    statements.append(MIGRATIONS)
    statements.append(
        'INSERT INTO "_prisma_migrations" (id, checksum, migration_name, finished_at, applied_steps_count) VALUES '
        "('1', 'abc', '20251119150206_init', CURRENT_TIMESTAMP, 1)"
    )
    return statements


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _column(dialect: str, name: str, column: Column) -> str:
    kind = (
        POSTGRESQL.get(column.type, f'"{column.type}"') if dialect == "postgresql" else SQLITE.get(column.type, "TEXT")
    )
    null = "" if column.null else " NOT NULL"
    return f'"{name}" {kind}{null}{_default(dialect, column)}'


def _default(dialect: str, column: Column) -> str:
    if column.default is None:
        return ""
    if column.default == "now":
        now = "CURRENT_TIMESTAMP" if dialect == "postgresql" else "(strftime('%Y-%m-%d %H:%M:%f000', 'now'))"
        return f" DEFAULT {now}"
    if column.type == "bool" and dialect == "sqlite":
        return f" DEFAULT {int(column.default == 'true')}"
    return f" DEFAULT {column.default if column.type == 'bool' else repr(column.default)}"


def rows(connection: Connection) -> dict[str, list[str]]:
    """Every row of every table of Quilltap's and Prisma's."""
    found = {}
    for name in (*TABLES, "_prisma_migrations"):
        found[name] = sorted(map(repr, connection.exec_driver_sql(f'SELECT * FROM "{name}"').all()))
    return found


def catalogue(connection: Connection) -> Any:
    """All that is declared in the database but for what Tandem says it adds."""
    if connection.dialect.name == "sqlite":
        statement = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE substr(name, 1, 7) <> 'tandem_'"
        told = [tuple(row) for row in connection.exec_driver_sql(statement)]
        return sorted(repr(row) for row in told if not re.match("sqlite_(autoindex_tandem|sequence)", row[1]))
    statements = {
        "schemas": "SELECT nspname FROM pg_namespace WHERE NOT starts_with(nspname, 'pg_') AND nspname <> 'tandem'",
        "relations": """SELECT n.nspname, c.relname, c.relkind, c.relpersistence, c.relrowsecurity, c.reloptions,
            c.relacl FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public'""",
        "columns": """SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE n.nspname = 'public'""",
        "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "constraints": """SELECT conrelid::regclass::text, conname, contype, pg_get_constraintdef(oid)
            FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
        "enums": "SELECT t.typname, e.enumlabel, e.enumsortorder FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid",
        "functions": "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
        "triggers": "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal "
        "AND NOT starts_with(tgname, 'tandem_')",
    }
    return {name: sorted(map(repr, connection.exec_driver_sql(text).all())) for name, text in statements.items()}


def added(connection: Connection) -> list[str]:
    """What bears Tandem's name on Quilltap's tables."""
    if connection.dialect.name == "sqlite":
        statement = (
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND substr(name, 1, 7) = 'tandem_' "
            "AND substr(tbl_name, 1, 7) <> 'tandem_'"
        )
    else:
        statement = (
            "SELECT tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n "
            "ON n.oid = c.relnamespace WHERE NOT tgisinternal AND starts_with(tgname, 'tandem_') "
            "AND n.nspname <> 'tandem'"
        )
    return sorted(connection.exec_driver_sql(statement).scalars())
