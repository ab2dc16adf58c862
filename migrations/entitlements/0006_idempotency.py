"""First answers to POSTs under an Idempotency-Key, seals over the audit rows, past standings, and what was read."""

import sqlalchemy as sa
from alembic import op

from migrations.append_only import add_append_only

revision = "0006"
down_revision = "0005"
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
        schema="entitlements",
    )
    op.create_index(
        op.f("ix_idempotency_created_at"), "idempotency", ["created_at"], unique=False, schema="entitlements"
    )
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
        schema="entitlements",
    )
    op.create_index(op.f("ix_audit_seals_last_id"), "audit_seals", ["last_id"], unique=False, schema="entitlements")
    add_append_only("entitlements", "audit_seals")
    op.create_table(
        "standings",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("account", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("standing in ('good', 'blocked', 'closed')", name=op.f("ck_standings_standing")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standings")),
        schema="entitlements",
    )
    op.create_index(op.f("ix_standings_account"), "standings", ["account", "id"], unique=False, schema="entitlements")
    add_append_only("entitlements", "standings")
    op.create_table(
        "usage",
        sa.Column("account", sa.Uuid(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("frequency", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("last_read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account", "dataset", "frequency", "day", name=op.f("pk_usage")),
        schema="entitlements",
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("usage", schema="entitlements")
    op.drop_index(op.f("ix_standings_account"), table_name="standings", schema="entitlements")
    op.drop_table("standings", schema="entitlements")
    op.drop_index(op.f("ix_audit_seals_last_id"), table_name="audit_seals", schema="entitlements")
    op.drop_table("audit_seals", schema="entitlements")
    op.drop_index(op.f("ix_idempotency_created_at"), table_name="idempotency", schema="entitlements")
    op.drop_table("idempotency", schema="entitlements")
