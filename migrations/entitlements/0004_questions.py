"""Questions about requests and their answers; what is due to lapse is found by an index."""

import sqlalchemy as sa
from alembic import op

from migrations.append_only import add_append_only

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "request_messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("author", sa.Uuid(), nullable=False),
        sa.Column("author_role", sa.String(), nullable=False),
        sa.Column("frequencies", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("author_role in ('ops', 'quant')", name=op.f("ck_request_messages_author_role")),
        sa.ForeignKeyConstraint(
            ["request_id"], ["entitlements.access_requests.id"], name=op.f("fk_request_messages_request_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request_messages")),
        schema="entitlements",
    )
    op.create_index(
        "ix_request_messages_request_id",
        "request_messages",
        ["request_id", "at"],
        unique=False,
        schema="entitlements",
    )
    op.create_index(
        "ix_request_items_due",
        "request_items",
        ["lapse_at"],
        unique=False,
        schema="entitlements",
        postgresql_where=sa.text("status in ('pending', 'needs-info')"),
    )
    add_append_only("entitlements", "request_messages")


def downgrade() -> None:
    """Undo."""
    op.drop_index(
        "ix_request_items_due",
        table_name="request_items",
        schema="entitlements",
        postgresql_where=sa.text("status in ('pending', 'needs-info')"),
    )
    op.drop_index("ix_request_messages_request_id", table_name="request_messages", schema="entitlements")
    op.drop_table("request_messages", schema="entitlements")
