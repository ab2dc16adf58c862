"""A retirement of what many hold: it stops nobody, and each is told once, whoever follows it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy.orm import Session
from sqlmodel import col, select

from services.entitlements.grants.entities import Grant
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.retirements.schemas import Retiring
from services.entitlements.retirements.service import RetirementService
from shared.clock import DatabaseClock
from shared.database import Database
from tests.conftest import Stores
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import DAY, person
from tests.services.entitlements.race import at_once

GRANTS, REVOKED = 40, 10
RETIRING = Retiring(symbol="BTC", retired={"1d": datetime.now(UTC) + DAY})


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """Grants of what is to be retired."""
    with closing(Database(stores.app_url("entitlements"), pool_size=4)) as database:
        with database.transaction() as session:
            for _ in range(GRANTS):
                Desk(session).give("1d", to=person())
        yield database


def ids(database: Database) -> list[UUID]:
    """The grants, in the order in which a retirement takes them."""
    with database.transaction() as session:
        return list(session.scalars(select(Grant.id).order_by(col(Grant.id))))


def told(database: Database) -> list[str]:
    """The grants whose retirement was told, as often as it was."""
    with database.transaction() as session:
        return sorted(message["data"]["grant"] for message in Desk(session).told("dataset.retired"))


def revoke(database: Database, grant: UUID) -> str:
    with database.transaction() as session:
        return Desk(session).revoke(grant).status


def test_a_revocation_beside_a_batch_does_not_wait_for_it(database: Database) -> None:
    *_, last = ids(database)
    with database.transaction() as following:
        assert RetirementService(following, DatabaseClock()).follow(RETIRING, limit=GRANTS - 1) == GRANTS - 1
        assert revoke(database, last) == "revoked"


def test_three_schedulers_and_somebody_who_revokes_tell_each_grant_once(database: Database) -> None:
    revoked = ids(database)[::-1][:REVOKED]

    def work(number: int) -> None:
        if number == 0:
            assert [revoke(database, grant) for grant in revoked] == ["revoked"] * REVOKED
            return
        for _ in range(GRANTS):
            with database.transaction() as session:
                RetirementService(session, DatabaseClock()).follow(RETIRING, limit=3)

    assert at_once(4, work) == [None] * 4
    once = told(database)
    assert len(once) == len(set(once))
    assert {str(grant) for grant in ids(database)} - set(once) <= {str(grant) for grant in revoked}


class Unheld(GrantRepository):
    """Reads grants without holding them."""

    def __init__(self, session: Session, all_have_read: Barrier) -> None:
        super().__init__(session)
        self._all_have_read = all_have_read

    def lock_not_retiring_as(self, dataset: str, retired: Mapping[str, datetime], limit: int) -> Sequence[Grant]:
        """Read, and wait until all others have read."""
        query = select(Grant).where(Grant.dataset == dataset, col(Grant.retires_at).is_distinct_from(retired["1d"]))
        grants = self._session.scalars(query.order_by(col(Grant.id)).limit(limit)).all()
        self._all_have_read.wait(5)
        return grants


class Careless(RetirementService):
    """Follows a retirement without a guard."""

    def __init__(self, session: Session, all_have_read: Barrier) -> None:
        super().__init__(session, DatabaseClock())
        self._grants = Unheld(session, all_have_read)


def test_without_holding_them_three_schedulers_tell_each_grant_thrice(database: Database) -> None:
    all_have_read = Barrier(3)

    def careless(_number: int) -> int:
        with database.transaction() as session:
            return Careless(session, all_have_read).follow(RETIRING, limit=3)

    assert at_once(3, careless) == [3, 3, 3]
    assert (len(told(database)), len(set(told(database)))) == (9, 3)
