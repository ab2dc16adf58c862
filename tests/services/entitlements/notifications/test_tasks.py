"""The worker's part: one row per event and recipient, numbered without gaps, however many workers there are."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from functools import partial
from threading import Barrier
from threading import Event as Flag
from time import sleep
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session
from sqlmodel import col, select

from services.entitlements.database import outbox
from services.entitlements.module import module
from services.entitlements.notifications.entities import Notification
from services.entitlements.notifications.events import OPS, announce
from services.entitlements.notifications.repository import NotificationRepository
from services.entitlements.notifications.tasks import notify
from shared.database import Database
from shared.ids import new_id
from shared.outbox import Event, deliver, take_due
from tests.conftest import Stores
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import QUANT, T0
from tests.services.entitlements.race import at_once

WORKERS, EVENTS = 4, 40
ACCOUNT = QUANT.account_id
BOTH = (OPS, str(ACCOUNT))


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """A database in which things are committed."""
    with closing(Database(stores.app_url("entitlements"), pool_size=WORKERS)) as database:
        yield database


def an_event(recipient: str = OPS) -> Event:
    """Something to be told."""
    payload = {"recipient": recipient, "data": {"dataset": "BTC"}}
    return Event(id=new_id(), type="access.requested", payload=payload, created_at=T0, request_id=None)


def numbers(session: Session, recipient: str = OPS) -> list[int]:
    """The numbers in an inbox, oldest first."""
    query = select(Notification.number).where(Notification.recipient == recipient).order_by(col(Notification.id))
    return list(session.execute(query).scalars())


def test_an_event_that_is_handled_twice_is_told_once(session: Session) -> None:
    event = an_event()
    notify(session, event)
    notify(session, event)
    notify(session, an_event())
    assert numbers(session) == [1, 2]


def test_every_recipient_counts_alone(session: Session) -> None:
    for recipient in (OPS, str(QUANT.account), OPS):
        notify(session, an_event(recipient))
    assert (numbers(session), numbers(session, str(QUANT.account))) == ([1, 2], [1])


def test_everything_that_is_announced_has_a_task(desk: Desk) -> None:
    desk.decide(desk.ask("1d").id, outcome="approve")
    [grant] = desk.give("1h")
    desk.revoke(grant.id)
    asked = desk.ask("1mo").id
    desk.question(asked)
    desk.answer(asked)
    desk.withdraw(asked)
    desk.requests.write_due_lapses(desk.ask("1mo").lapse_at, 1)
    types = set(desk.session.execute(select(outbox.c.type)).scalars())
    assert types <= set(module.tasks)


def announced(database: Database) -> list[UUID]:
    """Events that were handed over to the workers."""
    with database.transaction() as session:
        for _ in range(EVENTS):
            announce(session, "access.requested", to=OPS, data={})
    with database.transaction() as session:
        return [event for event, _ in take_due(session, outbox)]


def test_workers_at_once_tell_each_event_once_in_the_order_of_the_ids_without_gaps_in_the_numbers(
    database: Database,
) -> None:
    events = announced(database)

    def work(worker: int) -> None:
        for event in events:
            deliver(database, outbox, module.tasks, event)

    assert at_once(WORKERS, work) == [None] * WORKERS
    with database.transaction() as session:
        assert numbers(session) == list(range(1, EVENTS + 1))


def test_a_worker_that_fails_leaves_no_gap(database: Database) -> None:
    def tell(fails: bool, _worker: int) -> None:
        with database.transaction() as session:
            notify(session, an_event())
            if fails:
                raise InterruptedError

    for fails in (False, True, False):
        at_once(1, partial(tell, fails))
    with database.transaction() as session:
        assert numbers(session) == [1, 2]


class Uncounted(NotificationRepository):
    """Numbers by looking, without holding the inbox."""

    def __init__(self, session: Session, all_have_looked: Barrier) -> None:
        super().__init__(session)
        self._all_have_looked = all_have_looked

    def _next_number(self, recipient: str) -> int:
        query = select(func.coalesce(func.max(Notification.number), 0) + 1).where(Notification.recipient == recipient)
        number: int = self._session.execute(query).scalar_one()
        self._all_have_looked.wait(5)
        return number


def test_without_the_inbox_s_row_two_workers_take_the_same_number(database: Database) -> None:
    all_have_looked = Barrier(2)

    def tell(worker: int) -> Any:
        with database.transaction() as session:
            inbox = Uncounted(session, all_have_looked)
            inbox.add(event_id=new_id(), recipient=OPS, type_="access.requested", data={}, created_at=T0)

    assert [type(answer) for answer in at_once(2, tell) if answer is not None] == [IntegrityError]


def read(database: Database, after: UUID | None) -> list[UUID]:
    """What somebody of Ops would read next, of both inboxes."""
    with database.transaction() as session:
        rows = NotificationRepository(session).page(BOTH, ACCOUNT, after=after, unread=False, limit=10)
        return [row[0].id for row in rows]


def tell_late_and_read(database: Database, kind: type[NotificationRepository]) -> tuple[list[UUID], list[UUID]]:
    """One inbox's row is made first and appears last; what was read meanwhile, and what after that."""
    made, go_on = Flag(), Flag()

    def tell(recipient: str, *, slowly: bool = False) -> None:
        with database.transaction() as session:
            inbox = kind(session)
            inbox.add(event_id=new_id(), recipient=recipient, type_="access.requested", data={}, created_at=T0)
            made.set()
            if slowly:
                assert go_on.wait(5)

    with ThreadPoolExecutor(2) as pool:
        late = pool.submit(tell, OPS, slowly=True)
        assert made.wait(5)
        other = pool.submit(tell, str(ACCOUNT))
        wait([other], timeout=0.3)
        first = read(database, None)
        go_on.set()
        late.result(5)
        other.result(5)
    return first, read(database, first[-1] if first else None)


def test_who_reads_two_inboxes_skips_nothing_when_one_s_row_appears_late(database: Database) -> None:
    first, rest = tell_late_and_read(database, NotificationRepository)
    assert (len(first + rest), len(set(first + rest))) == (2, 2)


class Unordered(NotificationRepository):
    """Ids by the clock alone."""

    def _next_id(self) -> UUID:
        return new_id()


def test_without_the_one_order_of_all_inboxes_a_row_is_skipped(database: Database) -> None:
    """The negative control of the test above."""
    first, rest = tell_late_and_read(database, Unordered)
    assert len(first + rest) == 1


def test_a_worker_that_was_stopped_in_the_middle_does_not_keep_others_from_an_inbox(stores: Stores) -> None:
    with (
        closing(Database(stores.app_url("entitlements"), pool_size=1, idle_seconds=1)) as stopped,
        closing(Database(stores.app_url("entitlements"), pool_size=1)) as going,
    ):
        with pytest.raises(DBAPIError), stopped.transaction() as session:  # noqa: PT012
            notify(session, an_event())
            with pytest.raises(OperationalError), going.transaction() as other:  # it waits for a second
                notify(other, an_event())
            sleep(0.5)
            with going.transaction() as other:
                notify(other, an_event())
            session.execute(select(Notification.number))
        with going.transaction() as session:
            assert numbers(session) == [1]
