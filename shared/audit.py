"""The record of who did what: rows that are written in the act's own transaction and never changed.

`shared/seals.py` chains them by hashes, so that a change made all the same is found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints
from sqlalchemy import Column, Identity, LargeBinary, MetaData, Table, Text, func, insert, select
from sqlalchemy import types as t
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Session

from shared.database import UtcDateTime
from shared.principal import Principal
from shared.wire import Instant, Output, Query

UUID_TEXT = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# an id, a process or a thing there is one of, a symbol, a short id: what actors and subjects are named by
Name = Annotated[str, StringConstraints(pattern=rf"^({UUID_TEXT}|[a-z]{{1,40}}|[A-Z0-9]{{1,12}}|[0-9A-Za-z]{{10}})$")]
Number = Annotated[int, Field(ge=0, lt=2**63)]


@dataclass(frozen=True)
class Trail:
    """A service's audit rows, and the seals that stand over them."""

    events: Table
    seals: Table


class EventsQuery(Query):
    """Which events."""

    actor: Name | None = None
    subject: Name | None = None
    after: Number | Instant | None = None
    position: Number = 0
    limit: int = Field(default=100, ge=1, le=1000)


class EventOut(Output):
    """Who did what to which thing, and when."""

    id: int = Field(description="Counts within its trail.", examples=[7])
    at: datetime
    actor: str = Field(description="An account's id, or a process's name.")
    action: str = Field(examples=["access.decided"])
    subject: str = Field(description="The id of what it was done to.")
    data: dict[str, Any] = Field(
        description="Ids, codes and times; depends on `action`.", examples=[{"dataset": "BTC"}]
    )


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


def seals_table(metadata: MetaData) -> Table:
    """The seals over the audit table, under the same protection; `last_id` is the greatest id sealed so far.

    `digests` are of the rows, in the order of `ids`; `hash` is of all the rest.
    """
    return Table(
        "audit_seals",
        metadata,
        Column("number", t.BigInteger, primary_key=True, autoincrement=False),
        Column("at", UtcDateTime, nullable=False),
        Column("last_id", t.BigInteger, nullable=False, index=True),
        Column("ids", ARRAY(t.BigInteger), nullable=False),
        Column("digests", ARRAY(LargeBinary), nullable=False),
        Column("prev_hash", LargeBinary, nullable=False),
        Column("hash", LargeBinary, nullable=False),
    )


def record(
    session: Session, table: Table, *, actor: Principal, action: str, subject: UUID | str, data: dict[str, Any]
) -> None:
    """Write one audit row: who (an account's id or a process's name) did what to which thing.

    `data` holds ids, codes and times; never names or free text, so that an account can be anonymised.
    """
    row = {"actor": str(actor.account or actor.name), "action": action, "subject": str(subject), "data": data}
    session.execute(insert(table).values(row))


def page(session: Session, table: Table, query: EventsQuery) -> Sequence[EventOut]:
    """Events that match, oldest first."""
    after = table.c.at if isinstance(query.after, datetime) else table.c.id
    wanted = {table.c.actor: query.actor, table.c.subject: query.subject}
    conditions = [column == value for column, value in wanted.items() if value is not None]
    conditions += [after > query.after] if query.after is not None else []
    rows = select(table).where(table.c.id > query.position, *conditions).order_by(table.c.id).limit(query.limit)
    return [EventOut.model_validate(row) for row in session.execute(rows)]
