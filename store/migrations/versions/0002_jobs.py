"""Background work: what was asked for, how far it is, what came of it."""

import sqlalchemy as sa
from alembic import op

from store.tables.base import Moment

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    schema, prefix = ("tandem", "") if on_postgresql else (None, "tandem_")
    op.create_table(
        f"{prefix}jobs",
        sa.Column("id", sa.BigInteger() if on_postgresql else sa.Integer(), primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("arguments", sa.Text, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("beat_at", Moment),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("started_at", Moment),
        sa.Column("ended_at", Moment),
        sa.Column("progress", sa.Text),
        sa.Column("summary", sa.Text),
        sa.Column("result", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("hint", sa.Text),
        schema=schema,
        sqlite_autoincrement=True,
    )
    for columns in (["kind", "id"], ["state"]):
        op.create_index(f"{prefix}jobs_{'_'.join(columns)}_idx", f"{prefix}jobs", columns, schema=schema)
