"""Prices know the series version they are of, so that a version can be read after it; and who has read how much."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


FILL_GAPS = """
insert into pricing.price_gaps (dataset, frequency, start, "end")
select dataset, frequency, due, next
from (select dataset, frequency, timestamp + cast('1' || right(frequency, 1) as interval) as due,
    lead(timestamp) over (partition by dataset, frequency order by timestamp) as next from pricing.prices) as spaced
where next > due
"""


def upgrade() -> None:
    """Apply; what a series was before its present version is not known, so that one is its first."""
    op.add_column("series", sa.Column("first_version", sa.Integer(), nullable=True), schema="pricing")
    op.execute("update pricing.series set first_version = version")
    op.alter_column("series", "first_version", nullable=False, schema="pricing")
    for table, column in (("prices", "version"), ("price_revisions", "version"), ("price_revisions", "last_version")):
        filled = sa.Column(column, sa.Integer(), server_default="0", nullable=False)
        op.add_column(table, filled, schema="pricing")
        op.alter_column(table, column, server_default=None, schema="pricing")
    op.create_table(
        "price_gaps",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("frequency", sa.String(), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "frequency", "start", name=op.f("pk_price_gaps")),
        schema="pricing",
    )
    op.execute(FILL_GAPS)
    op.create_table(
        "usage",
        sa.Column("account", sa.Uuid(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("frequency", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("account_name", sa.String(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("last_read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reported", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("account", "dataset", "frequency", "day", name=op.f("pk_usage")),
        schema="pricing",
    )
    op.create_index(
        op.f("ix_usage_unreported"),
        "usage",
        ["account", "dataset", "frequency", "day"],
        unique=False,
        schema="pricing",
        postgresql_where=sa.text("reported < rows"),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index(op.f("ix_usage_unreported"), table_name="usage", schema="pricing")
    op.drop_table("usage", schema="pricing")
    op.drop_table("price_gaps", schema="pricing")
    for table, column in (("price_revisions", "last_version"), ("price_revisions", "version"), ("prices", "version")):
        op.drop_column(table, column, schema="pricing")
    op.drop_column("series", "first_version", schema="pricing")
