"""When a session's person last proved who they are, and the second factor with its recovery codes."""

import sqlalchemy as sa
from alembic import op

from store.tables.base import Moment

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    schema, prefix = ("tandem", "") if on_postgresql else (None, "tandem_")
    for column in (
        sa.Column("last_sign_in_at", Moment),
        sa.Column("totp_secret", sa.Text),
        sa.Column("totp_pending", sa.Text),
        sa.Column("totp_since", Moment),
        sa.Column("totp_last_step", sa.BigInteger),
    ):
        op.add_column(f"{prefix}accounts", column, schema=schema)
    # Without a value: whoever is signed in since before has to prove it before anything that asks for it.
    op.add_column(f"{prefix}sessions", sa.Column("proved_at", Moment), schema=schema)
    target = f"{schema}.accounts.id" if schema else f"{prefix}accounts.id"
    op.create_table(
        f"{prefix}recovery_codes",
        sa.Column("code_hash", sa.Text, primary_key=True),
        sa.Column("account_id", sa.Text, sa.ForeignKey(target, ondelete="CASCADE"), nullable=False),
        schema=schema,
    )
    op.create_index(f"{prefix}recovery_codes_account_id_idx", f"{prefix}recovery_codes", ["account_id"], schema=schema)
