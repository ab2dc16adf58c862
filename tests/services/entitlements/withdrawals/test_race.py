"""A Quant withdraws while Ops decides: one of them does, and the other is told; or while Ops blocks: both are done.

Each with the control without the guard.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from threading import Barrier, Thread
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from services.entitlements.accounts.entities import Account
from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.decisions.service import DecisionService
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.requests.errors import AlreadyDecided
from services.entitlements.withdrawals.errors import NothingToWithdraw
from services.entitlements.withdrawals.service import WithdrawalService
from shared.clock import Clock
from shared.database import Database
from shared.principal import Principal
from tests.conftest import Stores
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import OPS, QUANT, person
from tests.services.entitlements.race import Unguarded, at_once, wait_for_a_waiter

ROUNDS = 20
Opening = Callable[[Session], Desk]


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """A database in which things are committed."""
    with closing(Database(stores.app_url("entitlements"), pool_size=4)) as database:
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


HELD = ("1h", "1d", "1mo")


def renewing(database: Database) -> tuple[Principal, UUID]:
    """Somebody with three grants, each in its grace's reach, and the request that would renew them."""
    somebody = person()
    with database.transaction() as session:
        Desk(session).give(*reversed(HELD), to=somebody, duration_days=1, grace_days=3)
        return somebody, Desk(session).ask(*HELD, by=somebody).id


def block_and_withdraw(database: Database, opening: Opening = Desk) -> list[Any]:
    """What Ops, who blocks, and the Quant, who withdraws, are refused with."""
    somebody, request = renewing(database)

    def act(number: int) -> None:
        with database.transaction() as session:
            desk = opening(session)
            desk.withdraw(request, by=somebody) if number else desk.block(somebody)

    return [refused for refused in at_once(2, act) if refused is not None]


def test_a_block_and_a_withdrawal_at_once_are_both_done(database: Database) -> None:
    for _ in range(6):
        assert block_and_withdraw(database) == []


@pytest.mark.parametrize("blocked_first", [True, False])
def test_a_block_and_a_withdrawal_wait_for_each_other(database: Database, blocked_first: bool) -> None:
    somebody, request = renewing(database)
    acts: list[Callable[[Desk], Any]] = [
        lambda desk: desk.block(somebody),
        lambda desk: desk.withdraw(request, by=somebody),
    ]
    first, second = acts if blocked_first else reversed(acts)
    answers: list[Any] = []

    def follow(_: int) -> Any:
        with database.transaction() as session:
            return second(Desk(session))

    following = Thread(target=lambda: answers.extend(at_once(1, follow)))
    with database.transaction() as session:
        first(Desk(session))
        following.start()
        wait_for_a_waiter(database)
    following.join()
    assert not isinstance(answers[0], Exception)
    with database.transaction() as session:
        desk = Desk(session)
        assert (desk.may(who=somebody).state, desk.requests.find(request, OPS).status) == ("blocked", "withdrawn")


class Unheld(AccountRepository):
    """Does not hold the account."""

    def hold(self, account: UUID) -> Account | None:
        """Read only."""
        return self.find(account)


class OneByOne(GrantRepository):
    """Takes grants in whatever order they come after the first, and those only when the other side has one, too."""

    def __init__(self, session: Session, first: str, both_have_one: Barrier) -> None:
        super().__init__(session)
        self._first, self._both_have_one = first, [both_have_one]

    def lock_cells(self, account: UUID, dataset: str, frequencies: Iterable[str]) -> None:
        """Take none beforehand."""

    def lock_unclosed(self, account: UUID, dataset: str, frequency: str) -> Grant | None:
        """Take it, but the first one before."""
        self._take_first(account)
        return super().lock_unclosed(account, dataset, frequency)

    def lock_held(self, account: UUID) -> Sequence[Grant]:
        """Take all, but the first one before."""
        self._take_first(account)
        return super().lock_held(account)

    def _take_first(self, account: UUID) -> None:
        if self._both_have_one:
            super().lock_unclosed(account, "BTC", self._first)
            self._both_have_one.pop().wait(5)


def test_without_an_order_a_block_and_a_withdrawal_wait_for_each_other_in_vain(database: Database) -> None:
    both_have_one = Barrier(2)

    def careless(session: Session) -> Desk:
        desk = Desk(session)
        desk.withdrawals._accounts = Unheld(session)
        desk.withdrawals._cells = OneByOne(session, "1h", both_have_one)
        desk.standings._grants = OneByOne(session, "1mo", both_have_one)
        return desk

    refused = block_and_withdraw(database, careless)
    assert {type(error) for error in refused} == {OperationalError}, refused
