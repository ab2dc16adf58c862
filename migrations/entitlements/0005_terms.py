"""Ends that are planned, grace, what is to be announced, and why an account is blocked."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

PLANNED = ("grace_until", "revokes_at", "retires_at")


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "grants", sa.Column("grace_days", sa.Integer(), server_default="0", nullable=False), schema="entitlements"
    )
    for name in PLANNED:
        op.add_column("grants", sa.Column(name, sa.DateTime(timezone=True), nullable=True), schema="entitlements")
    op.create_check_constraint(
        op.f("ck_grants_trial_grace"), "grants", "kind = 'standard' or grace_days = 0", schema="entitlements"
    )
    op.create_check_constraint(op.f("ck_grants_grace"), "grants", "grace_until >= ends_at", schema="entitlements")
    op.create_index(
        "ix_grants_unclosed_offer",
        "grants",
        ["dataset", "frequency"],
        unique=False,
        schema="entitlements",
        postgresql_where=sa.text("closed_at is null"),
    )
    op.add_column("accounts", sa.Column("standing_reason", sa.String(), nullable=True), schema="entitlements")
    op.add_column(
        "accounts", sa.Column("blocked_until", sa.DateTime(timezone=True), nullable=True), schema="entitlements"
    )
    op.create_table(
        "announcements",
        sa.Column("grant_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("threshold", sa.String(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["grant_id"], ["entitlements.grants.id"], name=op.f("fk_announcements_grant_id")),
        sa.PrimaryKeyConstraint("grant_id", "type", "threshold", name=op.f("pk_announcements")),
        schema="entitlements",
    )
    op.create_index(op.f("ix_announcements_due_at"), "announcements", ["due_at"], unique=False, schema="entitlements")
    op.execute("""
        insert into entitlements.announcements (grant_id, type, threshold, due_at)
        select id, 'grant.ended', '', ends_at from entitlements.grants where closed_at is null and ends_at is not null
    """)


def downgrade() -> None:
    """Undo."""
    op.drop_table("announcements", schema="entitlements")
    op.drop_column("accounts", "blocked_until", schema="entitlements")
    op.drop_column("accounts", "standing_reason", schema="entitlements")
    op.drop_index("ix_grants_unclosed_offer", table_name="grants", schema="entitlements")
    for name in (*PLANNED, "grace_days"):
        op.drop_column("grants", name, schema="entitlements")
