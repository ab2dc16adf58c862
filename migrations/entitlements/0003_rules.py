"""The rules that answer automatically, each item's trace of them, and the first set."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.append_only import add_append_only

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

FIRST = [
    {
        "name": "account-blocked",
        "when": {"standing": "blocked"},
        "verdict": "refuse",
        "reason": "Your account is blocked, so it cannot be given anything new.",
        "reason_code": "account-blocked",
    },
    {
        "name": "account-closed",
        "when": {"standing": "closed"},
        "verdict": "refuse",
        "reason": "Your account is closed.",
        "reason_code": "account-closed",
    },
    {
        "name": "trial-already-used",
        "when": {"trial": True, "trial_used": True},
        "verdict": "refuse",
        "reason": "You had a trial of this already; ask for standard access.",
        "reason_code": "trial-already-used",
    },
    {
        "name": "short-trial",
        "when": {"trial": True, "frequencies": ["1d", "1mo"], "max_duration_days": 14, "standing": "good"},
        "verdict": "approve",
        "reason": "Short trials are given at once.",
        "reason_code": "short-trial",
        "cap": {"automatic_approvals": 5, "days": 30},
    },
]


def upgrade() -> None:
    """Apply."""
    rules = op.create_table(
        "rules",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("author", sa.Uuid(), nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("rules", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("version > 0", name=op.f("ck_rules_version")),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_rules")),
        schema="entitlements",
    )
    op.bulk_insert(rules, [{"version": 1, "note": "What every installation begins with.", "rules": FIRST}])
    add_append_only("entitlements", "rules")
    op.add_column(
        "request_items",
        sa.Column("trace", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        schema="entitlements",
    )
    op.create_index(
        "ix_access_requests_created_at", "access_requests", ["created_at"], unique=False, schema="entitlements"
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_access_requests_created_at", table_name="access_requests", schema="entitlements")
    op.drop_column("request_items", "trace", schema="entitlements")
    op.drop_table("rules", schema="entitlements")
