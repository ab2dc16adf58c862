"""Reads what stands around a request."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, case, cast, func, union
from sqlalchemy.orm import Session
from sqlmodel import col, select

from services.entitlements.grants.entities import Grant
from services.entitlements.requests.entities import UNDECIDED, RequestItem

GRANTS, PRECEDENTS, OWN = 100, 20, 2


class CardRepository:
    """Requests and grants in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def grants(self, account: UUID) -> Sequence[Grant]:
        """The account's newest grants, newest first."""
        own = select(Grant).where(Grant.account == account).order_by(col(Grant.created_at).desc()).limit(GRANTS)
        return self._session.scalars(own).all()

    def outcomes(self, account: UUID, now: datetime) -> dict[str, int]:
        """How many of the account's items are in which state."""
        lapsed = col(RequestItem.status).in_(UNDECIDED) & (col(RequestItem.lapse_at) <= now)
        state = case((lapsed, "lapsed"), else_=cast(col(RequestItem.status), Text)).label("state")
        counted = select(state, func.count()).where(RequestItem.account == account).group_by("state")
        return {row[0]: row[1] for row in self._session.execute(counted)}

    def precedents(
        self, dataset: str, frequencies: Collection[str], *, of: UUID, without: UUID
    ) -> Sequence[RequestItem]:
        """The newest items that Ops decided, of each frequency as many, but for one request's; newest first.

        An account's own newest are among them, however much was decided since.
        """
        most = PRECEDENTS // len(frequencies)
        parts = []
        for frequency in frequencies:
            decided = select(RequestItem.id).where(RequestItem.dataset == dataset, RequestItem.frequency == frequency)
            decided = decided.where(RequestItem.outcome_by == "ops", RequestItem.request_id != without)
            newest = decided.order_by(col(RequestItem.decided_at).desc())
            parts += [newest.where(RequestItem.account == of).limit(OWN), newest.limit(most - OWN)]
        query = select(RequestItem).where(col(RequestItem.id).in_(union(*parts)))
        return self._session.scalars(query.order_by(col(RequestItem.decided_at).desc())).all()
