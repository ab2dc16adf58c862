"""Reads the ends of all series."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from services.pricing.prices.entities import Price, Series

Ends = tuple[datetime, datetime]


class CoverageRepository:
    """The series in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def ends(self) -> Mapping[tuple[str, str], Ends]:
        """The starts of the first and the last bar of every stored series, by dataset and frequency; one statement."""
        own = (col(Price.dataset) == col(Series.dataset), col(Price.frequency) == col(Series.frequency))
        first, last = (
            select(bound(col(Price.timestamp))).where(*own).correlate(Series).scalar_subquery()
            for bound in (func.min, func.max)
        )
        rows = self._session.execute(
            select(col(Series.dataset), col(Series.frequency), first, last).where(first.is_not(None))
        )
        return {(row[0], row[1]): (row[2], row[3]) for row in rows}
