"""Three announcers at once: each thing is said once; where rows are taken without being held, it is said thrice."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from sqlmodel import col, select

from services.entitlements.announcements.entities import Announcement
from services.entitlements.announcements.repository import AnnouncementRepository
from services.entitlements.announcer.service import AnnouncerService
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.repository import GrantRepository
from shared.clock import DatabaseClock
from shared.database import Database
from tests.conftest import Stores
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import person
from tests.services.entitlements.race import at_once

GRANTS = 60
PAST = text("update entitlements.announcements set due_at = due_at - interval '20 days'")
OVER = text("""
    update entitlements.grants set starts_at = starts_at - interval '20 days', ends_at = ends_at - interval '20 days'
""")


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """Grants of ten days whose announcers were stopped all the while."""
    with closing(Database(stores.app_url("entitlements"), pool_size=3)) as database:
        with database.transaction() as session:
            desk = Desk(session)
            for _ in range(GRANTS):
                desk.give("1d", to=person(), duration_days=10)
            session.execute(PAST)
            session.execute(OVER)
        yield database


def announce(database: Database) -> None:
    """Three at once, until nothing is left."""

    def work(_number: int) -> None:
        for _ in range(20):
            with database.transaction() as session:
                AnnouncerService(session, DatabaseClock()).announce_due(10)

    refused = [answer for answer in at_once(3, work) if answer is not None]
    assert not refused


def told(database: Database) -> tuple[int, int]:
    """How many endings and ends were told."""
    with database.transaction() as session:
        desk = Desk(session)
        return len(desk.told("grant.ending")), len(desk.told("grant.ended"))


def test_three_announcers_say_everything_once(database: Database) -> None:
    announce(database)
    assert told(database) == (2 * GRANTS, GRANTS)


class Careless(AnnouncementRepository):
    """Takes what is due without holding it."""

    def __init__(self, session: Session, all_have_read: Barrier) -> None:
        super().__init__(session)
        self._all_have_read = all_have_read

    def take_due(self, now: datetime, limit: int) -> Sequence[Announcement]:
        """Read, and wait until all others have read."""
        query = select(Announcement).where(col(Announcement.due_at) <= now).order_by(col(Announcement.due_at))
        due = self._session.scalars(query.limit(limit)).all()
        self._all_have_read.wait(5)
        return due


class CarelessGrants(GrantRepository):
    """Reads grants without holding them."""

    def lock_free(self, grants: Iterable[UUID]) -> dict[UUID, Grant]:
        """Read them."""
        return {id_: self._session.get_one(Grant, id_) for id_ in grants}


class CarelessAnnouncer(AnnouncerService):
    """Says things without a guard."""

    def __init__(self, session: Session, all_have_read: Barrier) -> None:
        super().__init__(session, DatabaseClock())
        self._announcements, self._grants = Careless(session, all_have_read), CarelessGrants(session)


def test_without_holding_them_three_announcers_say_everything_thrice(database: Database) -> None:
    all_have_read = Barrier(3)

    def careless(_number: int) -> int:
        with database.transaction() as session:
            return CarelessAnnouncer(session, all_have_read).announce_due(10)

    assert at_once(3, careless) == [10, 10, 10]
    assert sum(told(database)) == 30
