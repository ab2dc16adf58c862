"""W5, at once: a cell has one unclosed grant, whoever gives; without the index, two that saw nothing both stay."""

from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from services.entitlements.grants.entities import Grant
from services.entitlements.grants.errors import CellHeld
from services.entitlements.grants.policy import Term
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.grants.schemas import GrantOut
from services.entitlements.grants.service import GrantService, new_grant
from shared.clock import DatabaseClock
from shared.database import Database
from tests.conftest import Stores
from tests.proof import figure
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import DAY, OPS, person
from tests.services.entitlements.grants.test_periods import check_cell
from tests.services.entitlements.race import at_once, drop_the_index

THREADS, ROUNDS = 16, 4
LATER = datetime.now(UTC) + DAY
PERIODS: list[dict[str, Any]] = [
    {"duration_days": 10},
    {"duration_days": 2},
    {"no_end": True},
    {"trial": True},
    {"starts_at": LATER, "duration_days": 10},
    {"starts_at": LATER, "no_end": True},
]


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """A database in which things are committed."""
    with closing(Database(stores.app_url("entitlements"), pool_size=THREADS)) as database:
        yield database


def test_w5_of_sixteen_periods_given_at_once_no_two_are_unclosed(database: Database) -> None:
    somebody, made, refused = person(), 0, 0

    def give(number: int) -> list[GrantOut]:
        while True:
            with suppress(OperationalError, PoolTimeout), database.transaction() as session:  # 503: too busy, again
                return Desk(session).give("1d", to=somebody, **PERIODS[number % len(PERIODS)])

    for _ in range(ROUNDS):
        answers = at_once(THREADS, give)
        assert all(isinstance(answer, (list, CellHeld)) for answer in answers), answers
        made += sum(isinstance(answer, list) for answer in answers)
        refused += sum(isinstance(answer, CellHeld) for answer in answers)
        with database.transaction() as session:
            check_cell(session)
    figure("W5", periods_at_once=THREADS, rounds=ROUNDS, made=made, refused=refused)


class Blind(GrantRepository):
    """Looks at the cell, and waits until its twin has looked."""

    def __init__(self, session: Session, together: Barrier) -> None:
        super().__init__(session)
        self._together = together

    def lock_unclosed(self, account: Any, dataset: str, frequency: str) -> Grant | None:
        """Look, and wait."""
        found = super().lock_unclosed(account, dataset, frequency)
        self._together.wait(5)
        return found


@pytest.mark.parametrize(("index", "stay"), [(True, 1), (False, 2)])
def test_w5_the_index_leaves_one_of_two_grants_that_saw_nothing_and_without_it_both_stay(
    database: Database, stores: Stores, index: bool, stay: int
) -> None:
    if not index:
        drop_the_index(stores)
    somebody, together = person(), Barrier(2)

    def give(_number: int) -> Grant:
        with database.transaction() as session:
            grants = GrantService(session, DatabaseClock())
            grants._grants = Blind(session, together)
            now = DatabaseClock().now(session)
            term = Term(kind="standard", starts_at=now, ends_at=now + DAY)
            cell: dict[str, Any] = {"account": somebody.account_id, "dataset": "BTC", "frequency": "1d"}
            return grants.give(new_grant(**cell, term=term, origin="direct", now=now, by=OPS.account), now)

    answers = at_once(2, give)
    assert [type(answer) for answer in answers if isinstance(answer, Exception)] == [CellHeld] * (2 - stay)
    with database.transaction() as session:
        assert Desk(session).counts()["grants"] == stay
