"""Sixteen deciders at once, and a decision beside a block: each with the control that fails without the guard.

The full form, 200 requests, runs with TICKGATE_PROOF=1.
"""

from collections.abc import Iterator
from contextlib import closing
from threading import Barrier, Thread
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from services.entitlements.accounts.entities import Account
from services.entitlements.accounts.errors import AccountBlocked
from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.decisions.service import DecisionService
from services.entitlements.requests.errors import AlreadyDecided
from services.entitlements.requests.schemas import OpsRequestOut
from shared.clock import Clock
from shared.database import Database
from tests.conftest import Stores
from tests.proof import PROOF, figure
from tests.services.entitlements.desk import Decisions, Desk
from tests.services.entitlements.fakes import person
from tests.services.entitlements.race import Unguarded, at_once, wait_for_a_waiter

DECIDERS = [person("ops", f"Decider {number}") for number in range(16)]
REQUESTS = 200 if PROOF else 40


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """A database in which things are committed."""
    with closing(Database(stores.app_url("entitlements"), pool_size=len(DECIDERS))) as database:
        yield database


def ask_for(database: Database, number: int) -> list[UUID]:
    """Requests of as many Quants."""
    with database.transaction() as session:
        return [Desk(session).ask("1d", by=person()).id for _ in range(number)]


def all_decide(database: Database, request: UUID, decisions: Decisions = DecisionService) -> list[Any]:
    """What each of the deciders is answered; every other one refuses."""

    def decide(number: int) -> OpsRequestOut:
        outcome = {"outcome": "refuse", "reason": "No."} if number % 2 else {"outcome": "approve"}
        with database.transaction() as session:
            return Desk(session, decisions=decisions).decide(request, by=DECIDERS[number], **outcome)

    return at_once(len(DECIDERS), decide)


def test_w1_sixteen_deciders_make_one_decision_of_each_request(database: Database) -> None:
    answers = [answer for request in ask_for(database, REQUESTS) for answer in all_decide(database, request)]
    made = [answer for answer in answers if isinstance(answer, OpsRequestOut)]
    lost = [answer for answer in answers if isinstance(answer, AlreadyDecided)]
    assert (len(made), len(lost)) == (REQUESTS, REQUESTS * (len(DECIDERS) - 1))
    winners = {answer.items[0].decided_by for answer in made}
    assert {UUID(refusal.members["items"][0]["decided_by"]) for refusal in lost} == winners
    approved = [answer for answer in made if answer.status == "approved"]
    with database.transaction() as session:
        desk = Desk(session)
        assert desk.counts()["grants"] == len(approved)
        for rows in (desk.audited("access.decided"), desk.told("access.decided")):
            assert len(rows) == REQUESTS
    figure("W1", requests=REQUESTS, deciders=len(DECIDERS), made=made, lost=lost, grants=approved)


class Careless(DecisionService):
    """Decides without a guard."""

    def __init__(self, session: Session, clock: Clock, all_have_read: Barrier) -> None:
        super().__init__(session, clock)
        self._requests = Unguarded(session, all_have_read)


def test_w1_without_the_guard_a_request_is_decided_several_times(database: Database) -> None:
    [request] = ask_for(database, 1)
    all_have_read = Barrier(len(DECIDERS))
    answers = all_decide(database, request, lambda session, clock: Careless(session, clock, all_have_read))
    made = [answer for answer in answers if isinstance(answer, OpsRequestOut)]
    assert len(made) > 1
    with database.transaction() as session:
        assert len(Desk(session).audited("access.decided")) == len(made)


class Unheld(AccountRepository):
    """Reads the account's standing without holding it."""

    def hold(self, account: UUID) -> Account | None:
        """Read only."""
        return self.find_all([account]).get(account)


class Hasty(DecisionService):
    """Does not wait for a block that is under way."""

    def __init__(self, session: Session, clock: Clock) -> None:
        super().__init__(session, clock)
        self._accounts = self._grants._accounts = Unheld(session)


def block(session: Session) -> None:
    session.execute(update(Account).values(standing="blocked"))


def approve(database: Database, request: UUID, decisions: Decisions = DecisionService) -> OpsRequestOut:
    with database.transaction() as session:
        return Desk(session, decisions=decisions).decide(request, outcome="approve")


def test_an_approval_beside_a_block_waits_for_it_and_is_refused(database: Database) -> None:
    [request] = ask_for(database, 1)
    answers: list[Any] = []
    approving = Thread(target=lambda: answers.extend(at_once(1, lambda _: approve(database, request))))
    with database.transaction() as session:
        block(session)
        approving.start()
        wait_for_a_waiter(database)
    approving.join()
    assert [type(answer) for answer in answers] == [AccountBlocked]
    assert answers[0].members == {"standing": "blocked"}
    with database.transaction() as session:
        assert Desk(session).counts()["grants"] == 0


def test_a_block_beside_an_approval_waits_for_it(database: Database) -> None:
    [request] = ask_for(database, 1)

    def then_block(_: int) -> None:
        with database.transaction() as session:
            block(session)

    answers: list[Any] = []
    blocking = Thread(target=lambda: answers.extend(at_once(1, then_block)))
    with database.transaction() as session:
        Desk(session).decide(request, outcome="approve")
        blocking.start()
        wait_for_a_waiter(database)
    blocking.join()
    assert answers == [None]


def test_without_holding_the_account_an_approval_overtakes_a_block(database: Database) -> None:
    [request] = ask_for(database, 1)
    with database.transaction() as session:
        block(session)
        assert approve(database, request, Hasty).status == "approved"
