"""The schema `entitlements`."""

from sqlalchemy.orm import registry
from sqlmodel import SQLModel

from shared.audit import Trail, audit_table, seals_table
from shared.coherence.owner import feed_tables
from shared.database import schema_metadata
from shared.idempotency import idempotency_table
from shared.outbox import outbox_table

metadata = schema_metadata("entitlements")
audit_events = audit_table(metadata)
trail = Trail(audit_events, seals_table(metadata))
outbox = outbox_table(metadata)
feed = feed_tables(metadata)
idempotency = idempotency_table(metadata)


class Base(SQLModel, registry=registry(metadata=metadata)):
    """The ground of the entitlements' tables."""
