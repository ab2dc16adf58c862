"""What Ops decided of a frequency, newest first, however much was decided."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "ix_request_items_precedents",
        "request_items",
        ["dataset", "frequency", "decided_at"],
        unique=False,
        schema="entitlements",
        postgresql_where=sa.text("outcome_by = 'ops'"),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_request_items_precedents", table_name="request_items", schema="entitlements")
