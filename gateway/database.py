"""The schema `gateway`."""

from sqlalchemy.orm import registry
from sqlmodel import SQLModel

from shared.audit import Trail, audit_table, seals_table
from shared.coherence.owner import feed_tables
from shared.database import schema_metadata
from shared.idempotency import idempotency_table

metadata = schema_metadata("gateway")
audit_events = audit_table(metadata)
trail = Trail(audit_events, seals_table(metadata))
feed = feed_tables(metadata)
idempotency = idempotency_table(metadata)


class Base(SQLModel, registry=registry(metadata=metadata)):
    """The ground of the gateway's tables."""
