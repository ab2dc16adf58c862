"""A series knows since when it is of its source: of an instant before that, nothing can be told any more."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# no row says when the older replacements were: a quarter of an hour after the first row's time they had been
SINCE = """
with kept as (
    select dataset, frequency, recorded_at from pricing.prices
    union all select dataset, frequency, recorded_at from pricing.price_revisions
    union all select dataset, 'cap', recorded_at from pricing.market_caps
    union all select dataset, 'cap', recorded_at from pricing.market_cap_revisions
), begun as (
    select dataset, frequency, min(recorded_at) + interval '15 minutes' as at from kept group by dataset, frequency
)
update pricing.series set replaced_at = begun.at from begun
where begun.dataset = series.dataset and begun.frequency = series.frequency and first_version > 1
"""


def upgrade() -> None:
    """Apply; what was replaced before counts as replaced once its first rows were surely stored."""
    op.add_column("series", sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True), schema="pricing")
    op.execute(SINCE)


def downgrade() -> None:
    """Undo."""
    op.drop_column("series", "replaced_at", schema="pricing")
