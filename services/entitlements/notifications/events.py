"""What people are told of, written in the transaction of the fact itself."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.entitlements.database import outbox
from shared.outbox import publish

OPS = "ops"


def announce(session: Session, type_: str, *, to: UUID | str, data: dict[str, Any]) -> None:
    """Tell an account, or everyone who holds a role, once this transaction commits."""
    publish(session, outbox, type_, {"recipient": str(to), "data": data})
