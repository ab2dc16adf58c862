"""The way in of market capitalisations: beside those of their own asset only."""

from datetime import datetime

from sqlalchemy.orm import Session

from services.pricing.feeds import policy
from services.pricing.feeds.entities import Position
from services.pricing.feeds.repository import FeedRepository
from services.pricing.feeds.schemas import Feed
from services.pricing.market_caps.policy import SAMPLE
from services.pricing.market_caps.repository import CAP
from services.pricing.market_caps.schemas import DayCaps
from services.pricing.market_caps.service import MarketCapService
from shared.clock import Clock


class CapIntake:
    """Takes a source's market capitalisations in, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock, source: str) -> None:
        self._session = session
        self._clock = clock
        self._source = source
        self._caps = MarketCapService(session, clock)

    def position(self, feed: Feed) -> Position:
        """How far the source was asked: not at all for this asset, if it was for another.

        It bears the other's slug until the first value takes the place of that one's.
        """
        kept = self._kept(feed)
        if kept is not None and not policy.is_of_another(kept, feed.slug):
            return kept
        today, _ = policy.day_of(self._clock.now(self._session).date())
        return Position(
            dataset=feed.dataset,
            frequency=CAP,
            source=self._source,
            asked_from=today,
            asked_until=today,
            tried_at=today,
            failed_at=kept.failed_at if kept else None,
            history_failed_at=kept.history_failed_at if kept else None,
            slug=kept.slug if kept else feed.slug,
        )

    def is_anew(self, feed: Feed) -> bool:
        """Whether what is stored is of another asset, and gives way to the first value of this one."""
        kept = self._kept(feed)
        return kept is not None and policy.is_of_another(kept, feed.slug)

    def record(self, feed: Feed, days: DayCaps, provenance: str, position: Position | None = None) -> int:
        """Record days as of this asset, and how far the source was asked; how many were written."""
        anew, kept = self.is_anew(feed), self._kept(feed)
        if days and self._source != SAMPLE and (kept is None or kept.slug != feed.slug):
            position = position or self.position(feed)
        if position is not None:
            position.slug = feed.slug if days else position.slug
            FeedRepository(self._session, feed.dataset, CAP).keep(position)
        return self._caps.record(feed.dataset, days, source=self._source, provenance=provenance, replace=anew)

    def note(self, feed: Feed, **changed: datetime | None) -> None:
        """Change the position's moments; how far another asset was asked for stays, in case that one comes back."""
        position = self._kept(feed) or self.position(feed)
        for name, at in changed.items():
            setattr(position, name, at)
        FeedRepository(self._session, feed.dataset, CAP).keep(position)

    def _kept(self, feed: Feed) -> Position | None:
        return FeedRepository(self._session, feed.dataset, CAP).position(self._source)
