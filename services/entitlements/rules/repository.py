"""Reads and writes the rules' rows, and reads the facts that rules are told."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from sqlmodel import col, select

from services.entitlements.grants.entities import Grant
from services.entitlements.rules.entities import RuleVersion

HISTORY = 100
YEAR = timedelta(days=366)


class RuleRepository:
    """The rules in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, version: int | None = None) -> RuleVersion | None:
        """A version, or the newest."""
        query = select(RuleVersion).order_by(col(RuleVersion.version).desc()).limit(1)
        if version is not None:
            query = query.where(RuleVersion.version == version)
        return self._session.scalars(query).first()

    def history(self) -> Sequence[RuleVersion]:
        """The newest versions, newest first."""
        return self._session.scalars(select(RuleVersion).order_by(col(RuleVersion.version).desc()).limit(HISTORY)).all()

    def add(self, new: RuleVersion) -> bool:
        """Write a version; false when there is one with its number, also from a twin at the same moment."""
        row = insert(RuleVersion).values(new.model_dump())
        written = self._session.execute(row.on_conflict_do_nothing().returning(col(RuleVersion.version)))
        return written.first() is not None

    def trials(self, account: UUID) -> set[tuple[str, str]]:
        """The (dataset, frequency) of which the account ever had a trial."""
        query = select(Grant.dataset, Grant.frequency).where(Grant.account == account, Grant.kind == "trial")
        return {(row[0], row[1]) for row in self._session.execute(query.distinct())}

    def approvals(self, account: UUID, now: datetime) -> tuple[datetime, ...]:
        """When rules approved something for the account within a year, the newest hundred, newest first."""
        nobody = col(Grant.granted_by).is_(None)  # a renewal's origin says so, whoever gave it
        query = select(Grant.created_at).where(Grant.account == account, nobody, col(Grant.created_at) > now - YEAR)
        return tuple(self._session.scalars(query.order_by(col(Grant.created_at).desc()).limit(100)))
