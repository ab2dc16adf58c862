"""Which sources there are is said in one place, the feeds' registry; no longer here too."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NAME = "ck_series_source"


def upgrade() -> None:
    """Apply."""
    op.drop_constraint(op.f(NAME), "series", schema="pricing")


def downgrade() -> None:
    """Undo; fails while a series is of another source."""
    op.create_check_constraint(op.f(NAME), "series", "source in ('coincap', 'sample', 'imported')", schema="pricing")
