"""Market capitalisations know the version that they are of, as prices do: those of a dataset are a series, `cap`."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COLUMNS = (("market_caps", "version"), ("market_cap_revisions", "version"), ("market_cap_revisions", "last_version"))
MAKE_SERIES = """
insert into pricing.series (dataset, frequency, source, version, first_version, updated_at)
select dataset, 'cap', case when bool_and(provenance = 'sample') then 'sample' else 'coincap' end, 1, 1,
    max(recorded_at)
from pricing.market_caps group by dataset
"""


def upgrade() -> None:
    """Apply; what the values were before is told by instant only."""
    _allow_frequencies("'1h', '1d', 'cap'")
    op.execute(MAKE_SERIES)
    for table, column in COLUMNS:
        filled = sa.Column(column, sa.Integer(), server_default="0", nullable=False)
        op.add_column(table, filled, schema="pricing")
        op.alter_column(table, column, server_default=None, schema="pricing")


def downgrade() -> None:
    """Undo."""
    for table, column in reversed(COLUMNS):
        op.drop_column(table, column, schema="pricing")
    op.execute("delete from pricing.series where frequency = 'cap'")
    _allow_frequencies("'1h', '1d'")


def _allow_frequencies(listed: str) -> None:
    name = op.f("ck_series_frequency")
    op.drop_constraint(name, "series", schema="pricing")
    op.create_check_constraint(name, "series", f"frequency in ({listed})", schema="pricing")
