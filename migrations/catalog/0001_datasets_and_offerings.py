"""Datasets, their offerings, and the audit trail."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.append_only import drop_append_only, make_append_only

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "audit_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
        schema="catalog",
    )
    op.create_index(op.f("ix_audit_events_subject"), "audit_events", ["subject"], unique=False, schema="catalog")
    op.create_table(
        "datasets",
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("sources", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("symbol ~ '^[A-Z0-9]{1,12}$'", name=op.f("ck_datasets_symbol")),
        sa.PrimaryKeyConstraint("symbol", name=op.f("pk_datasets")),
        schema="catalog",
    )
    op.create_table(
        "offerings",
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("frequency", sa.String(), nullable=False),
        sa.Column("offered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("frequency in ('1m', '1h', '1d', '1mo')", name=op.f("ck_offerings_frequency")),
        sa.ForeignKeyConstraint(["symbol"], ["catalog.datasets.symbol"], name=op.f("fk_offerings_symbol")),
        sa.PrimaryKeyConstraint("symbol", "frequency", name=op.f("pk_offerings")),
        schema="catalog",
    )
    make_append_only("catalog", "audit_events")


def downgrade() -> None:
    """Undo."""
    op.drop_table("offerings", schema="catalog")
    op.drop_table("datasets", schema="catalog")
    op.drop_index(op.f("ix_audit_events_subject"), table_name="audit_events", schema="catalog")
    op.drop_table("audit_events", schema="catalog")
    drop_append_only("catalog")
