"""What came of testing API keys: whether their provider took them."""

import sqlalchemy as sa
from alembic import op

from store.tables.base import Moment

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    schema, prefix = ("tandem", "") if on_postgresql else (None, "tandem_")
    op.create_table(
        f"{prefix}key_tests",
        sa.Column("id", sa.BigInteger() if on_postgresql else sa.Integer(), primary_key=True),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("value_version", sa.Text, nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        schema=schema,
        sqlite_autoincrement=True,
    )
    op.create_index(f"{prefix}key_tests_key_id_idx", f"{prefix}key_tests", ["key_id", "id"], schema=schema)
