"""Reads what stands around a request."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, case, cast, func
from sqlalchemy.orm import Session
from sqlmodel import col, select

from services.entitlements.grants.entities import Grant
from services.entitlements.requests.entities import UNDECIDED, RequestItem

GRANTS, PRECEDENTS = 100, 20


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

    def precedents(self, dataset: str, frequencies: Iterable[str], *, without: UUID) -> Sequence[RequestItem]:
        """The newest items of these frequencies that Ops decided, but for one request's."""
        decided = (RequestItem.outcome_by == "ops", col(RequestItem.status).in_(("approved", "refused")))
        same = (RequestItem.dataset == dataset, col(RequestItem.frequency).in_(set(frequencies)))
        query = select(RequestItem).where(*decided, *same, RequestItem.request_id != without)
        return self._session.scalars(query.order_by(col(RequestItem.decided_at).desc()).limit(PRECEDENTS)).all()
