"""Says what is due, and writes down the ends that came by themselves."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.entitlements.announcements.entities import Announcement
from services.entitlements.announcements.policy import ENDED, ENDING, STARTED
from services.entitlements.announcements.repository import AnnouncementRepository
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.policy import OPEN, closed_at, end_of, foreseen, status_of
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.grants.schemas import as_json
from services.entitlements.grants.service import described
from services.entitlements.notifications.events import announce
from shared.clock import Clock
from shared.wire import instant_text


class AnnouncerService:
    """What is due, taken from under nobody: whoever takes a row says it in the same transaction, and it is gone."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._announcements = AnnouncementRepository(session)
        self._grants = GrantRepository(session)

    def announce_due(self, limit: int) -> int:
        """Settle at most so many; how many were. What somebody holds just now is left for the next time."""
        now = self._clock.now(self._session)
        due = self._announcements.take_due(now, limit)
        grants = self._grants.lock_free(announcement.grant_id for announcement in due)
        free = [announcement for announcement in due if announcement.grant_id in grants]
        for announcement in free:
            self._settle(announcement, grants[announcement.grant_id], now)
        return len(free)

    def _settle(self, due: Announcement, grant: Grant, now: datetime) -> None:
        if due.type == ENDED and status_of(grant, now) in OPEN:  # something keeps it going
            self._grants.move_end(grant, now)
            return
        if _is_true(due.type, grant, now):
            if due.type == ENDED:
                self._grants.write_end(grant, now)
            announce(self._session, due.type, to=grant.account, data=_told(due.type, grant, now))
        self._announcements.remove(due)


def _is_true(type_: str, grant: Grant, now: datetime) -> bool:
    """Whether it still is as was foreseen: nobody put another grant in its place or closed it by hand.

    A beginning, or an end to come, that was due before the grant ended as foreseen is told late.
    """
    end = end_of(grant)
    if end is not None and (closed_at(grant, now), status_of(grant, now)) == end:
        return type_ == ENDED or grant.starts_at < end[0]
    return type_ != ENDED and status_of(grant, now) in OPEN


def _told(type_: str, grant: Grant, now: datetime) -> dict[str, Any]:
    """What the message carries; one of an end to come says the one that is foreseen."""
    told = as_json(described(grant, now))
    if type_ == STARTED:
        return {"dataset": grant.dataset, "grants": [told]}
    if type_ == ENDING:
        return {**told, "ends_at": instant_text(foreseen(grant))}
    return {**told, "status": status_of(grant, now), "closed_at": instant_text(grant.closed_at)}
