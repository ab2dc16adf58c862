"""The first answers to POSTs that came with an Idempotency-Key, and the seals over the audit rows."""

import sqlalchemy as sa
from alembic import op

from migrations.append_only import add_append_only

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "idempotency",
        sa.Column("account", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("account", "key", name=op.f("pk_idempotency")),
        schema="catalog",
    )
    op.create_index(op.f("ix_idempotency_created_at"), "idempotency", ["created_at"], unique=False, schema="catalog")
    op.create_table(
        "audit_seals",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("ids", sa.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("digests", sa.ARRAY(sa.LargeBinary()), nullable=False),
        sa.Column("prev_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_seals")),
        schema="catalog",
    )
    op.create_index(op.f("ix_audit_seals_last_id"), "audit_seals", ["last_id"], unique=False, schema="catalog")
    add_append_only("catalog", "audit_seals")


def downgrade() -> None:
    """Undo."""
    op.drop_index(op.f("ix_audit_seals_last_id"), table_name="audit_seals", schema="catalog")
    op.drop_table("audit_seals", schema="catalog")
    op.drop_index(op.f("ix_idempotency_created_at"), table_name="idempotency", schema="catalog")
    op.drop_table("idempotency", schema="catalog")
