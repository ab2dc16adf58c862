"""How far the feeds are, what they did not trust, what the sources cost, and what market caps once were."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "feed_positions",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("frequency", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("asked_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("frequency in ('1h', '1d', 'cap')", name=op.f("ck_feed_positions_frequency")),
        sa.PrimaryKeyConstraint("dataset", "frequency", name=op.f("pk_feed_positions")),
        schema="pricing",
    )
    op.create_table(
        "market_cap_revisions",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("market_cap_usd", sa.Numeric(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provenance", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "date", "superseded_at", name=op.f("pk_market_cap_revisions")),
        schema="pricing",
    )
    op.create_table(
        "quarantine",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("frequency", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("raw", sa.String(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(raw) <= 2000", name=op.f("ck_quarantine_raw")),
        sa.PrimaryKeyConstraint("dataset", "frequency", "digest", name=op.f("pk_quarantine")),
        schema="pricing",
    )
    op.create_index(op.f("ix_quarantine_last_seen_at"), "quarantine", ["last_seen_at"], schema="pricing")
    op.create_table(
        "suspect_prices",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("frequency", sa.String(), nullable=False),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.Column("price_usd", sa.Numeric(), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("frequency in ('1h', '1d')", name=op.f("ck_suspect_prices_frequency")),
        sa.CheckConstraint("price_usd > 0 and price_usd < 'Infinity'", name=op.f("ck_suspect_prices_price")),
        sa.PrimaryKeyConstraint("dataset", "frequency", "timestamp", name=op.f("pk_suspect_prices")),
        schema="pricing",
    )
    op.create_table(
        "upstreams",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("credits", sa.Integer(), nullable=False),
        sa.Column("allowance", sa.Integer(), nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("open_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_upstreams")),
        schema="pricing",
    )


def downgrade() -> None:
    """Undo."""
    for table in ("upstreams", "suspect_prices", "quarantine", "market_cap_revisions", "feed_positions"):
        op.drop_table(table, schema="pricing")
