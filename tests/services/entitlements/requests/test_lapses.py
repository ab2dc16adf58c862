"""What nobody decided in time: written by whoever comes next, announced once, however late."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session
from sqlmodel import col, select

from services.entitlements.requests.entities import RequestItem
from services.entitlements.requests.repository import RequestRepository
from services.entitlements.requests.schemas import RequestsQuery
from services.entitlements.requests.service import RequestService
from shared.clock import DatabaseClock
from shared.database import Database
from tests.conftest import Stores
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import DAY, OPS, QUANT, T0, SetClock, person
from tests.services.entitlements.race import at_once

SWEEPERS = 4


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """A database in which things are committed."""
    with closing(Database(stores.app_url("entitlements"), pool_size=SWEEPERS + 1)) as database:
        yield database


def test_what_lapsed_is_told_to_its_owner_once_per_request(desk: Desk, clock: SetClock) -> None:
    request = desk.ask("1d", "1h")
    desk.question(request.id, "1d")
    clock.at = request.lapse_at + 3 * DAY
    assert desk.requests.find(request.id, QUANT).status == "lapsed"
    assert [desk.requests.write_due_lapses(clock.at, 100) for _ in range(3)] == [2, 0, 0]
    [told], [row] = desk.told("access.lapsed"), desk.audited("access.lapsed")
    assert (told["recipient"], told["data"]["request"]) == (str(QUANT.account), str(request.id))
    assert (told["data"]["frequencies"], told["data"]["lapsed_at"]) == (["1d", "1h"], "2026-05-18T12:00:00Z")
    assert (row.actor, row.subject) == ("entitlements", str(request.id))


def test_who_asks_again_writes_and_tells_it_and_the_scheduler_finds_nothing(desk: Desk, clock: SetClock) -> None:
    asked, settled = desk.ask("1d"), desk.ask("1h")
    clock.at = asked.lapse_at
    desk.ask("1d")
    desk.give("1h")
    assert len(desk.told("access.lapsed")) == 2
    assert desk.requests.write_due_lapses(clock.at, 100) == 0
    assert desk.requests.find(settled.id, OPS).status == "lapsed"


def test_it_is_computed_before_it_is_written_and_by_the_same_clock(desk: Desk, clock: SetClock) -> None:
    request = desk.ask("1d")
    clock.at = request.lapse_at
    query = RequestsQuery(status="lapsed")
    assert [r.id for r in desk.requests.page(query, QUANT, after=None, limit=9)] == [request.id]
    clock.at = T0
    assert desk.requests.page(query, QUANT, after=None, limit=9) == []


def test_the_oldest_come_first_and_never_more_than_wanted(desk: Desk, clock: SetClock) -> None:
    first = desk.ask("1d")
    clock.at += DAY
    desk.ask("1h")
    later = clock.at + 20 * DAY
    assert desk.requests.write_due_lapses(later, 1) == 1
    assert [told["data"]["request"] for told in desk.told("access.lapsed")] == [str(first.id)]
    assert [desk.requests.write_due_lapses(later, 1) for _ in range(2)] == [1, 0]


def three_days_late(database: Database) -> list[UUID]:
    """Requests whose time has been over for three days, written by nobody."""
    with database.transaction() as session:
        requests = [Desk(session).ask("1d", "1h", by=person()).id for _ in range(30)]
        late = DatabaseClock().now(session) - 3 * DAY
        session.execute(update(RequestItem).values(lapse_at=late))
    return requests


def sweep(database: Database) -> int:
    """What a scheduler does when it is back: pieces, until nothing is left."""
    written = 0
    while True:
        with database.transaction() as session:
            service = RequestService(session, DatabaseClock())
            piece = service.write_due_lapses(DatabaseClock().now(session), 7)
        written += piece
        if not piece:
            return written


def announced(database: Database) -> list[str]:
    """One line for each item that was announced."""
    with database.transaction() as session:
        told = Desk(session).told("access.lapsed")
    return sorted(f"{t['data']['request']}/{f}" for t in told for f in t["data"]["frequencies"])


def test_after_three_days_without_a_scheduler_several_announce_each_once(database: Database) -> None:
    requests = three_days_late(database)
    written = at_once(SWEEPERS, lambda _: sweep(database))
    assert sum(number for number in written if isinstance(number, int)) == 60
    assert announced(database) == sorted(f"{request}/{f}" for request in requests for f in ("1d", "1h"))


class Unguarded(RequestRepository):
    """Finds what lapsed without holding it, and writes it whatever it is by then."""

    def __init__(self, session: Session, all_have_read: Barrier) -> None:
        super().__init__(session)
        self._all_have_read = all_have_read

    def lock_lapsed(self, now: datetime, *, limit: int) -> Sequence[RequestItem]:
        """Read, and wait until all others have read."""
        due = select(RequestItem).where(col(RequestItem.lapse_at) <= now).order_by(col(RequestItem.id)).limit(limit)
        items = self._session.scalars(due).all()
        self._all_have_read.wait(5)
        return items

    def lapse(self, item: RequestItem) -> bool:
        """Overwrite."""
        lapsed = update(RequestItem).where(col(RequestItem.id) == item.id)
        self._session.execute(lapsed.values(status="lapsed", decided_at=item.lapse_at))
        return True


def test_without_the_guard_an_item_is_announced_several_times(database: Database) -> None:
    three_days_late(database)
    all_have_read = Barrier(2)

    def careless(_: int) -> int:
        with database.transaction() as session:
            service = RequestService(session, DatabaseClock())
            service._requests = Unguarded(session, all_have_read)
            return service.write_due_lapses(DatabaseClock().now(session), 100)

    assert at_once(2, careless) == [60, 60]
    assert len(announced(database)) == 120
