"""Delivery: finding what is over in the outbox, and one order for all inboxes."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "ix_outbox_over",
        "outbox",
        ["state", "due_at"],
        unique=False,
        schema="entitlements",
        postgresql_where="state in ('done', 'dead')",
    )
    op.create_table(
        "inbox_order",
        sa.Column("single", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("last_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("single", name=op.f("ck_inbox_order_single")),
        sa.PrimaryKeyConstraint("single", name=op.f("pk_inbox_order")),
        schema="entitlements",
    )
    op.execute("""
        insert into entitlements.inbox_order (last_id)
        select coalesce(max(id::text)::uuid, '00000000-0000-0000-0000-000000000000') from entitlements.notifications
    """)


def downgrade() -> None:
    """Undo."""
    op.drop_table("inbox_order", schema="entitlements")
    op.drop_index(
        "ix_outbox_over",
        table_name="outbox",
        schema="entitlements",
        postgresql_where="state in ('done', 'dead')",
    )
