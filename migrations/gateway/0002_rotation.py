"""A rotated key names the one key that took its place."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("api_keys", sa.Column("successor", sa.CHAR(length=10), nullable=True), schema="gateway")
    op.create_unique_constraint(op.f("uq_api_keys_successor"), "api_keys", ["successor"], schema="gateway")
    op.create_foreign_key(
        op.f("fk_api_keys_successor"),
        "api_keys",
        "api_keys",
        ["successor"],
        ["id"],
        source_schema="gateway",
        referent_schema="gateway",
    )


def downgrade() -> None:
    """Undo."""
    op.drop_column("api_keys", "successor", schema="gateway")
