"""Series and their prices, market capitalisations, and the runs of the jobs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "job_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("slot", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default="due", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_runs")),
        sa.UniqueConstraint("job", "slot", name=op.f("uq_job_runs_job_slot")),
        schema="pricing",
    )
    op.create_table(
        "market_caps",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("market_cap_usd", sa.Numeric(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provenance", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "market_cap_usd > 0 and market_cap_usd < 'Infinity'", name=op.f("ck_market_caps_market_cap")
        ),
        sa.CheckConstraint(
            "provenance in ('observed', 'vendor-history', 'derived', 'sample')", name=op.f("ck_market_caps_provenance")
        ),
        sa.PrimaryKeyConstraint("dataset", "date", name=op.f("pk_market_caps")),
        schema="pricing",
    )
    op.create_table(
        "price_revisions",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("frequency", sa.String(), nullable=False),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("price_usd", sa.Numeric(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "frequency", "timestamp", "superseded_at", name=op.f("pk_price_revisions")),
        schema="pricing",
    )
    op.create_table(
        "prices",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("frequency", sa.String(), nullable=False),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.Column("price_usd", sa.Numeric(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("frequency in ('1h', '1d')", name=op.f("ck_prices_frequency")),
        sa.CheckConstraint("price_usd > 0 and price_usd < 'Infinity'", name=op.f("ck_prices_price")),
        sa.PrimaryKeyConstraint("dataset", "frequency", "timestamp", name=op.f("pk_prices")),
        schema="pricing",
    )
    op.create_table(
        "series",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("frequency", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("frequency in ('1h', '1d')", name=op.f("ck_series_frequency")),
        sa.CheckConstraint("source in ('coincap', 'sample', 'imported')", name=op.f("ck_series_source")),
        sa.PrimaryKeyConstraint("dataset", "frequency", name=op.f("pk_series")),
        schema="pricing",
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("series", schema="pricing")
    op.drop_table("prices", schema="pricing")
    op.drop_table("price_revisions", schema="pricing")
    op.drop_table("market_caps", schema="pricing")
    op.drop_table("job_runs", schema="pricing")
