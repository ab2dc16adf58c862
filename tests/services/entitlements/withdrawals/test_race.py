"""A Quant withdraws while Ops decides: one of them does, and the other is told; with the control without the guard."""

from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from services.entitlements.decisions.service import DecisionService
from services.entitlements.requests.errors import AlreadyDecided
from services.entitlements.withdrawals.errors import NothingToWithdraw
from services.entitlements.withdrawals.service import WithdrawalService
from shared.clock import Clock
from shared.database import Database
from tests.conftest import Stores
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import QUANT
from tests.services.entitlements.race import Unguarded, at_once

ROUNDS = 20
Opening = Callable[[Session], Desk]


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """A database in which things are committed."""
    with closing(Database(stores.app_url("entitlements"), pool_size=2)) as database:
        yield database


def ask(database: Database, number: int) -> UUID:
    with database.transaction() as session:
        return Desk(session).ask("1d", dataset=f"D{number}").id


def both(database: Database, request: UUID, opening: Opening = Desk) -> tuple[Any, Any]:
    """What Ops, who approves, and the Quant, who withdraws, are answered."""

    def act(number: int) -> Any:
        with database.transaction() as session:
            desk = opening(session)
            return desk.withdraw(request) if number else desk.decide(request, outcome="approve")

    approved, withdrawn = at_once(2, act)
    return approved, withdrawn


def test_of_a_decision_and_a_withdrawal_one_happens_and_the_other_is_told(database: Database) -> None:
    for number in range(ROUNDS):
        request = ask(database, number)
        approved, withdrawn = both(database, request)
        refused = [answer for answer in (approved, withdrawn) if isinstance(answer, Exception)]
        assert len(refused) == 1, (approved, withdrawn)
        assert isinstance(refused[0], AlreadyDecided | NothingToWithdraw)
        with database.transaction() as session:
            desk = Desk(session)
            [item] = desk.requests.find(request, QUANT).items
            assert item.status == ("withdrawn" if approved is refused[0] else "approved")
            assert (item.grant is not None) == (withdrawn is refused[0])
    with database.transaction() as session:
        desk = Desk(session)
        decided = len(desk.audited("access.decided"))
        assert (desk.counts()["grants"], decided) == (decided, ROUNDS - len(desk.audited("access.withdrawn")))


class HastyDecisions(DecisionService):
    """Decides what it saw, whatever it is by then."""

    def __init__(self, session: Session, clock: Clock, both_have_read: Barrier) -> None:
        super().__init__(session, clock)
        self._requests = Unguarded(session, both_have_read)


class HastyWithdrawals(WithdrawalService):
    """Withdraws likewise."""

    def __init__(self, session: Session, clock: Clock, both_have_read: Barrier) -> None:
        super().__init__(session, clock)
        self._requests = Unguarded(session, both_have_read)


def test_without_the_guard_a_request_is_both_approved_and_withdrawn(database: Database) -> None:
    both_have_read = Barrier(2)

    def hasty(session: Session) -> Desk:
        desk = Desk(session, decisions=lambda session, clock: HastyDecisions(session, clock, both_have_read))
        desk.withdrawals = HastyWithdrawals(session, desk.clock, both_have_read)
        return desk

    answers = both(database, ask(database, 0), hasty)
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    with database.transaction() as session:
        desk = Desk(session)
        assert (len(desk.audited("access.decided")), len(desk.audited("access.withdrawn"))) == (1, 1)
