"""The outbox, the state, and who may sign in."""

import sqlalchemy as sa
from alembic import op

from store.tables.base import Moment

revision = "0001"
down_revision = None


def upgrade() -> None:
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    schema, prefix = ("tandem", "") if on_postgresql else (None, "tandem_")
    counter = sa.BigInteger() if on_postgresql else sa.Integer()

    op.create_table(
        f"{prefix}outbox",
        sa.Column("seq", counter, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("entity_id", sa.Text, nullable=False),
        schema=schema,
        sqlite_autoincrement=True,
    )
    op.create_table(
        f"{prefix}state",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        schema=schema,
    )
    op.create_table(
        f"{prefix}accounts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_lower", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("updated_at", Moment, nullable=False),
        schema=schema,
    )
    op.create_index(f"{prefix}accounts_name_lower_key", f"{prefix}accounts", ["name_lower"], unique=True, schema=schema)
    target = f"{schema}.accounts.id" if schema else f"{prefix}accounts.id"
    op.create_table(
        f"{prefix}sessions",
        sa.Column("token_hash", sa.Text, primary_key=True),
        sa.Column("account_id", sa.Text, sa.ForeignKey(target, ondelete="CASCADE"), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("last_seen_at", Moment, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
        schema=schema,
    )
    op.create_index(f"{prefix}sessions_account_id_idx", f"{prefix}sessions", ["account_id"], schema=schema)
    op.create_table(
        f"{prefix}attempts",
        sa.Column("id", counter, primary_key=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("at", Moment, nullable=False),
        schema=schema,
        sqlite_autoincrement=True,
    )
    op.create_index(f"{prefix}attempts_subject_at_idx", f"{prefix}attempts", ["subject", "at"], schema=schema)
