"""The schema `pricing`."""

from sqlalchemy.orm import registry
from sqlmodel import SQLModel

from shared.database import schema_metadata
from shared.idempotency import idempotency_table
from shared.jobs import job_runs_table

metadata = schema_metadata("pricing")
job_runs = job_runs_table(metadata)
idempotency = idempotency_table(metadata)


class Base(SQLModel, registry=registry(metadata=metadata)):
    """The ground of the pricing's tables."""
