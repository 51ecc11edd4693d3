"""Who did what, when and from where: a table that only grows."""

import sqlalchemy as sa
from alembic import op

from store.tables.base import Moment

revision = "0003"
down_revision = "0002"

_REFUSAL = "What was done stays written down: entries of the audit are never changed or deleted."


def upgrade() -> None:
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    schema, table = ("tandem", "audit") if on_postgresql else (None, "tandem_audit")
    counter = sa.BigInteger() if on_postgresql else sa.Integer()
    required = ("actor", "role", "address", "request_id", "action", "kind", "record_id", "title", "outcome", "message")
    op.create_table(
        table,
        sa.Column("id", counter, primary_key=True),
        sa.Column("at", Moment, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in required),
        sa.Column("account_id", sa.Text),
        sa.Column("changes", sa.Text),
        sa.Column("within", sa.Text),
        sa.Column("part_of", counter),
        sa.Column("undoes", counter),
        sa.Column("spooled", sa.Text),
        schema=schema,
    )
    for name in ("record_id", "kind", "actor", "action"):
        op.create_index(f"{table}_{name}_id_idx", table, [name, "id"], schema=schema)
    op.create_index(f"{table}_at_idx", table, ["at"], schema=schema)
    for name, unique in (("within", False), ("part_of", False), ("undoes", False), ("spooled", True)):
        where = sa.text(f"{name} IS NOT NULL")
        _partial(f"{table}_{name}_{'key' if unique else 'idx'}", table, [name], where, schema, unique=unique)
    _partial(f"{table}_outcome_id_idx", table, ["outcome", "id"], sa.text("outcome <> 'done'"), schema)
    for statement in _refuse_on_postgresql() if on_postgresql else _refuse_on_sqlite():
        op.execute(statement)


def _partial(
    name: str, table: str, columns: list[str], where: sa.TextClause, schema: str | None, *, unique: bool = False
) -> None:
    op.create_index(name, table, columns, schema=schema, unique=unique, sqlite_where=where, postgresql_where=where)


def _refuse_on_sqlite() -> list[str]:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    # A connection without recursive triggers would replace a row without a word to the trigger on DELETE.
    there = "SELECT 1 FROM tandem_audit WHERE id = NEW.id OR spooled = NEW.spooled"
    return [
        f"CREATE TRIGGER tandem_audit_no_update BEFORE UPDATE ON tandem_audit {refuse}",
        f"CREATE TRIGGER tandem_audit_no_delete BEFORE DELETE ON tandem_audit {refuse}",
        f"CREATE TRIGGER tandem_audit_no_replace BEFORE INSERT ON tandem_audit WHEN EXISTS ({there}) {refuse}",
    ]


def _refuse_on_postgresql() -> list[str]:
    return [
        "CREATE FUNCTION tandem.refuse_to_forget() RETURNS trigger LANGUAGE plpgsql AS "
        f"$tandem$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $tandem$",
        "CREATE TRIGGER tandem_audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON tandem.audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION tandem.refuse_to_forget()",
        "ALTER TABLE tandem.audit ENABLE ALWAYS TRIGGER tandem_audit_only_grows",
    ]
