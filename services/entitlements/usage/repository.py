"""Reads and writes what pricing reported."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import RowMapping, and_, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from sqlmodel import col, select

from services.entitlements.grants.entities import Grant
from services.entitlements.grants.repository import in_force
from services.entitlements.usage.entities import Usage
from services.entitlements.usage.schemas import Reading

KEY = ("account", "dataset", "frequency", "day")
DAYS = timedelta(days=30)


class UsageRepository:
    """The usage in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def raise_to(self, readings: Iterable[Reading]) -> None:
        """Write counts down; none ever becomes smaller."""
        by_size = sorted(readings, key=lambda reading: (reading.rows, reading.last_read_at))
        unique = {tuple(getattr(reading, name) for name in KEY): reading.model_dump() for reading in by_size}
        if not unique:
            return
        # in the order of the key: so two reports at once do not wait for each other in a circle
        rows = insert(Usage).values([unique[key] for key in sorted(unique, key=str)])
        grown = {
            name: func.greatest(col(getattr(Usage, name)), rows.excluded[name]) for name in ("rows", "last_read_at")
        }
        self._session.execute(rows.on_conflict_do_update(index_elements=KEY, set_=grown))

    def of_what_is_held(self, account: UUID, now: datetime) -> Sequence[RowMapping]:
        """How much the account read in the last 30 days of each cell that it holds now, nothing included."""
        cell = (col(Grant.dataset), col(Grant.frequency))
        names = ("account", "dataset", "frequency")
        same = [col(getattr(Usage, name)) == col(getattr(Grant, name)) for name in names]
        recent = and_(*same, col(Usage.day) > (now - DAYS).date())
        total = func.coalesce(func.sum(col(Usage.rows)), 0).label("rows")
        query = select(*cell, total, func.max(col(Usage.last_read_at)).label("last_read_at"))
        held = query.select_from(Grant).outerjoin(Usage, recent).where(Grant.account == account, *in_force(now))
        return self._session.execute(held.group_by(*cell).order_by(*cell)).mappings().all()
