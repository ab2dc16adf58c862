"""The count of changes after which an answer could become no, for those who remember answers."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "changes",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("number", "name", name=op.f("pk_changes")),
        schema="gateway",
    )
    op.create_table(
        "coherence",
        sa.Column("single", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("epoch", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("number", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("floor", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("single", name=op.f("ck_coherence_single")),
        sa.PrimaryKeyConstraint("single", name=op.f("pk_coherence")),
        schema="gateway",
    )
    op.execute("insert into gateway.coherence default values")


def downgrade() -> None:
    """Undo."""
    op.drop_table("coherence", schema="gateway")
    op.drop_table("changes", schema="gateway")
