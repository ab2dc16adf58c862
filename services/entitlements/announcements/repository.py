"""Reads and writes what is to be said."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, delete, not_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from sqlmodel import col, select

from services.entitlements.announcements.entities import Announcement
from services.entitlements.announcements.policy import ENDED, ENDING, Due

KEY = ["grant_id", "type", "threshold"]


class AnnouncementRepository:
    """The announcements in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, grant: UUID, due: Sequence[Due]) -> None:
        """Write what is to be said of a grant, where it is not written yet."""
        rows = [{"grant_id": grant, "type": t, "threshold": name, "due_at": at} for t, name, at in due]
        if rows:
            self._session.execute(insert(Announcement).values(rows).on_conflict_do_nothing())

    def move_end(self, grant: UUID, at: datetime | None) -> None:
        """Have the grant's end announced at `at`, or not at all."""
        if at is None:
            self._session.execute(delete(Announcement).filter_by(grant_id=grant, type=ENDED))
            return
        due = insert(Announcement).values(grant_id=grant, type=ENDED, threshold="", due_at=at)
        self._session.execute(due.on_conflict_do_update(index_elements=KEY, set_={"due_at": at}))

    def move_endings(self, grant: UUID, due: Sequence[Due], now: datetime) -> None:
        """Have the grant's end told of beforehand as is `due`: what is past by now is not told late of a new end.

        But what was late already still is told where it is due of the new end, too.
        """
        past = [name for _, name, at in due if at <= now]
        late = and_(col(Announcement.due_at) <= now, col(Announcement.threshold).in_(past))
        self._session.execute(delete(Announcement).filter_by(grant_id=grant, type=ENDING).where(not_(late)))
        self.add(grant, [told for told in due if told[2] > now])

    def take_due(self, now: datetime, limit: int) -> Sequence[Announcement]:
        """What is due and nobody else is at, oldest first, held until the transaction ends."""
        query = select(Announcement).where(col(Announcement.due_at) <= now).order_by(col(Announcement.due_at))
        return self._session.scalars(query.limit(limit).with_for_update(skip_locked=True)).all()

    def remove(self, announcement: Announcement) -> None:
        """It was said, or is not true any more."""
        key = {name: getattr(announcement, name) for name in KEY}
        self._session.execute(delete(Announcement).filter_by(**key))
