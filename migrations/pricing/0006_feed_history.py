"""A feed's position knows of which asset it is, and when its older history was last refused."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; of which asset the positions of before are, the next sync says."""
    failed = sa.Column("history_failed_at", sa.DateTime(timezone=True), nullable=True)
    op.add_column("feed_positions", failed, schema="pricing")
    op.add_column("feed_positions", sa.Column("slug", sa.String(), nullable=True), schema="pricing")


def downgrade() -> None:
    """Undo."""
    op.drop_column("feed_positions", "slug", schema="pricing")
    op.drop_column("feed_positions", "history_failed_at", schema="pricing")
