"""Reads past items with what the rules said about them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session
from sqlmodel import col, select

from services.entitlements.requests.entities import AccessRequest, RequestItem


class PastRepository:
    """The past in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def items(self, *, since: datetime | None, until: datetime | None, limit: int) -> Sequence[RequestItem]:
        """Items that rules were asked about, of requests made in [since, until), newest first."""
        query = select(RequestItem).join(AccessRequest, col(RequestItem.request_id) == AccessRequest.id)
        query = query.where(col(RequestItem.trace).is_not(None))
        if since is not None:
            query = query.where(col(AccessRequest.created_at) >= since)
        if until is not None:
            query = query.where(col(AccessRequest.created_at) < until)
        newest = (col(AccessRequest.created_at).desc(), col(RequestItem.id).desc())
        return self._session.scalars(query.order_by(*newest).limit(limit)).all()
