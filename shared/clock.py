"""The time that decides: always the database's, so that every replica and every process agrees."""

from datetime import datetime
from typing import Protocol

from sqlalchemy import func, select
from sqlalchemy.orm import Session


class Clock(Protocol):
    """Tells the time inside a transaction."""

    def now(self, session: Session) -> datetime:
        """The present instant, UTC."""
        ...


class DatabaseClock:
    """PostgreSQL's `clock_timestamp()`: the instant of the call, not of the transaction's start."""

    def now(self, session: Session) -> datetime:
        """The present instant, UTC."""
        now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
        return now
