"""Webhooks: every secret of the last day, each until its own time; when a webhook failed last."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TEXT = 'yyyy-mm-dd"T"hh24:mi:ss.us"Z"'


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "webhooks",
        sa.Column(
            "old_secrets",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        schema="entitlements",
    )
    op.execute(f"""
        update entitlements.webhooks set old_secrets = jsonb_build_array(jsonb_build_object(
            'sealed', encode(old_secret, 'hex'), 'until', to_char(old_secret_until at time zone 'UTC', '{TEXT}')
        ))
        where old_secret is not null and old_secret_until is not null
    """)  # noqa: S608
    op.drop_column("webhooks", "old_secret", schema="entitlements")
    op.drop_column("webhooks", "old_secret_until", schema="entitlements")
    op.add_column("webhooks", sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True), schema="entitlements")
    op.execute("update entitlements.webhooks set failed_at = failing_since")


def downgrade() -> None:
    """Undo: of the old secrets, the newest stays."""
    op.drop_column("webhooks", "failed_at", schema="entitlements")
    op.add_column(
        "webhooks", sa.Column("old_secret_until", sa.DateTime(timezone=True), nullable=True), schema="entitlements"
    )
    op.add_column("webhooks", sa.Column("old_secret", sa.LargeBinary(), nullable=True), schema="entitlements")
    op.execute("""
        update entitlements.webhooks set
            old_secret = decode(old_secrets->-1->>'sealed', 'hex'),
            old_secret_until = (old_secrets->-1->>'until')::timestamptz
    """)
    op.drop_column("webhooks", "old_secrets", schema="entitlements")
