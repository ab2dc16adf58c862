"""The record of who did what: rows that are written in the act's own transaction and never changed."""

from typing import Any
from uuid import UUID

from sqlalchemy import Column, Identity, MetaData, Table, Text, func, insert
from sqlalchemy import types as t
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from shared.database import UtcDateTime
from shared.principal import Principal


def audit_table(metadata: MetaData) -> Table:
    """The service's audit table; the app role may insert and read, nothing else, and triggers refuse the rest."""
    return Table(
        "audit_events",
        metadata,
        Column("id", t.BigInteger, Identity(always=True), primary_key=True),
        Column("at", UtcDateTime, nullable=False, server_default=func.clock_timestamp()),
        Column("actor", Text, nullable=False),
        Column("action", Text, nullable=False),
        Column("subject", Text, nullable=False, index=True),
        Column("data", JSONB, nullable=False),
    )


def record(
    session: Session, table: Table, *, actor: Principal, action: str, subject: UUID | str, data: dict[str, Any]
) -> None:
    """Write one audit row: who (an account's id or a process's name) did what to which thing.

    `data` holds ids, codes and times; never names or free text, so that an account can be anonymised.
    """
    row = {"actor": str(actor.account or actor.name), "action": action, "subject": str(subject), "data": data}
    session.execute(insert(table).values(row))
