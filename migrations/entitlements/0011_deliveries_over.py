"""Deliveries that are over, oldest first; webhooks of accounts that were closed before closing disabled them."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "ix_deliveries_over",
        "deliveries",
        ["created_at"],
        unique=False,
        schema="entitlements",
        postgresql_where=sa.text("state <> 'pending'"),
    )
    op.execute("""
        update entitlements.webhooks set disabled_at = now(), disabled_reason = 'closed'
        where disabled_at is null
            and exists (select from entitlements.accounts where id = webhooks.account and standing = 'closed')
    """)


def downgrade() -> None:
    """Undo; what was disabled stays so."""
    op.drop_index("ix_deliveries_over", table_name="deliveries", schema="entitlements")
