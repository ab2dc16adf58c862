"""Requests, grants, notifications, the outbox and the audit trail."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.append_only import drop_append_only, make_append_only

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "access_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.Uuid(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("trial", sa.Boolean(), nullable=False),
        sa.Column("duration_days", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lapse_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_requests")),
        schema="entitlements",
    )
    op.create_index(
        "ix_access_requests_account", "access_requests", ["account", "id"], unique=False, schema="entitlements"
    )
    op.create_table(
        "accounts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("standing", sa.String(), server_default="good", nullable=False),
        sa.CheckConstraint("standing in ('good', 'blocked', 'closed')", name=op.f("ck_accounts_standing")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        schema="entitlements",
    )
    op.create_table(
        "audit_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
        schema="entitlements",
    )
    op.create_index(op.f("ix_audit_events_subject"), "audit_events", ["subject"], unique=False, schema="entitlements")
    op.create_table(
        "grants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.Uuid(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("frequency", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("granted_by", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("supersedes", sa.Uuid(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Uuid(), nullable=True),
        sa.Column("close_reason", sa.String(), nullable=True),
        sa.Column("close_reason_code", sa.String(), nullable=True),
        sa.Column("close_note", sa.String(), nullable=True),
        sa.CheckConstraint(
            "close_reason in ('ended', 'revoked', 'superseded', 'relinquished', 'retired', 'account-closed')",
            name=op.f("ck_grants_close_reason"),
        ),
        sa.CheckConstraint("kind = 'standard' or ends_at is not null", name=op.f("ck_grants_trial_ends")),
        sa.CheckConstraint("kind in ('standard', 'trial')", name=op.f("ck_grants_kind")),
        sa.CheckConstraint("origin in ('rule', 'ops', 'direct', 'renewal')", name=op.f("ck_grants_origin")),
        sa.CheckConstraint("(closed_at is null) = (close_reason is null)", name=op.f("ck_grants_closing")),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_grants_term")),
        sa.CheckConstraint("granted_by <> account", name=op.f("ck_grants_self_decision")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
        schema="entitlements",
    )
    op.create_index("ix_grants_account", "grants", ["account", "created_at"], unique=False, schema="entitlements")
    op.create_index(
        "uq_grants_unclosed",
        "grants",
        ["account", "dataset", "frequency"],
        unique=True,
        schema="entitlements",
        postgresql_where=sa.text("closed_at is null"),
    )
    op.create_table(
        "inboxes",
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("recipient", name=op.f("pk_inboxes")),
        schema="entitlements",
    )
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sa.UniqueConstraint("event_id", "recipient", name=op.f("uq_notifications_event_id_recipient")),
        sa.UniqueConstraint("recipient", "number", name=op.f("uq_notifications_recipient_number")),
        schema="entitlements",
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        schema="entitlements",
    )
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["due_at"],
        unique=False,
        schema="entitlements",
        postgresql_where="state in ('pending', 'sent', 'working')",
    )
    op.create_table(
        "notification_reads",
        sa.Column("notification_id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.Uuid(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["notification_id"], ["entitlements.notifications.id"], name=op.f("fk_notification_reads_notification_id")
        ),
        sa.PrimaryKeyConstraint("notification_id", "account", name=op.f("pk_notification_reads")),
        schema="entitlements",
    )
    op.create_table(
        "request_items",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.Uuid(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("frequency", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("lapse_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome_by", sa.String(), nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason_code", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("grant_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("(status = 'approved') = (grant_id is not null)", name=op.f("ck_request_items_grant")),
        sa.CheckConstraint(
            "(status in ('pending', 'needs-info')) = (decided_at is null)", name=op.f("ck_request_items_decided")
        ),
        sa.CheckConstraint("outcome_by in ('rule', 'ops')", name=op.f("ck_request_items_outcome_by")),
        sa.CheckConstraint(
            "status in ('pending', 'needs-info', 'approved', 'refused', 'withdrawn', 'lapsed')",
            name=op.f("ck_request_items_status"),
        ),
        sa.CheckConstraint("decided_by <> account", name=op.f("ck_request_items_self_decision")),
        sa.ForeignKeyConstraint(["grant_id"], ["entitlements.grants.id"], name=op.f("fk_request_items_grant_id")),
        sa.ForeignKeyConstraint(
            ["request_id"], ["entitlements.access_requests.id"], name=op.f("fk_request_items_request_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request_items")),
        sa.UniqueConstraint("request_id", "frequency", name=op.f("uq_request_items_request_id_frequency")),
        schema="entitlements",
    )
    op.create_index(
        "ix_request_items_cell",
        "request_items",
        ["account", "dataset", "frequency", "id"],
        unique=False,
        schema="entitlements",
    )
    op.create_index(
        "uq_request_items_undecided",
        "request_items",
        ["account", "dataset", "frequency"],
        unique=True,
        schema="entitlements",
        postgresql_where=sa.text("status in ('pending', 'needs-info')"),
    )
    make_append_only("entitlements", "audit_events")


def downgrade() -> None:
    """Undo."""
    op.drop_index(
        "uq_request_items_undecided",
        table_name="request_items",
        schema="entitlements",
        postgresql_where=sa.text("status in ('pending', 'needs-info')"),
    )
    op.drop_index("ix_request_items_cell", table_name="request_items", schema="entitlements")
    op.drop_table("request_items", schema="entitlements")
    op.drop_table("notification_reads", schema="entitlements")
    op.drop_index(
        "ix_outbox_due",
        table_name="outbox",
        schema="entitlements",
        postgresql_where="state in ('pending', 'sent', 'working')",
    )
    op.drop_table("outbox", schema="entitlements")
    op.drop_table("notifications", schema="entitlements")
    op.drop_table("inboxes", schema="entitlements")
    op.drop_index(
        "uq_grants_unclosed", table_name="grants", schema="entitlements", postgresql_where=sa.text("closed_at is null")
    )
    op.drop_index("ix_grants_account", table_name="grants", schema="entitlements")
    op.drop_table("grants", schema="entitlements")
    op.drop_index(op.f("ix_audit_events_subject"), table_name="audit_events", schema="entitlements")
    op.drop_table("audit_events", schema="entitlements")
    op.drop_table("accounts", schema="entitlements")
    op.drop_index("ix_access_requests_account", table_name="access_requests", schema="entitlements")
    op.drop_table("access_requests", schema="entitlements")
    drop_append_only("entitlements")
