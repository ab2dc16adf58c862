"""A block against approvals: its change names every cell that was approved before it, and none is approved after it."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session
from sqlmodel import select

from services.entitlements.accounts.entities import Account
from services.entitlements.accounts.errors import AccountBlocked
from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.decisions.service import DecisionService
from services.entitlements.grants.entities import Grant
from shared.clock import Clock
from shared.coherence.owner import NAMES
from shared.database import Database
from shared.principal import Principal
from tests.conftest import Stores
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import OPS, person
from tests.services.entitlements.race import at_once

ROUNDS = 12
FREQUENCIES = ("1h", "1d", "1mo")


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """A database in which things are committed."""
    with closing(Database(stores.app_url("entitlements"), pool_size=len(FREQUENCIES) + 1)) as database:
        yield database


def block_against_approvals(
    database: Database,
    block: Callable[[Desk, Principal], None],
    decisions: Callable[[Session, Clock], DecisionService] = DecisionService,
) -> tuple[set[str], list[Any]]:
    """The cells that were approved but are not named in the block's change, and what the deciders got."""
    somebody, named = person(), set[str]()
    with database.transaction() as session:
        requests = [Desk(session).ask(frequency, by=somebody).id for frequency in FREQUENCIES]

    def act(number: int) -> Any:
        with database.transaction() as session:
            desk = Desk(session, decisions=decisions)
            if number < len(requests):
                return desk.decide(requests[number], by=OPS, outcome="approve")
            block(desk, somebody)
            named.update(*session.info.get(NAMES, {}).values())
            return None

    answers = at_once(len(requests) + 1, act)
    with database.transaction() as session:
        cells = {g.frequency for g in session.scalars(select(Grant).where(Grant.account == somebody.account_id))}
    return cells - {name.rpartition("/")[2] for name in named}, answers[:-1]


def plainly(desk: Desk, somebody: Principal) -> None:
    """Block, whenever it comes to that."""
    desk.block(somebody)


def test_a_block_names_what_was_approved_before_it_and_nothing_is_approved_after_it(database: Database) -> None:
    for _ in range(ROUNDS):
        missed, answers = block_against_approvals(database, plainly)
        assert missed == set()
        refused = [answer for answer in answers if isinstance(answer, Exception)]
        assert all(isinstance(answer, AccountBlocked) for answer in refused), refused


class Unheld(AccountRepository):
    """Looks at an account's standing without holding it, and goes on when the account has been blocked."""

    def __init__(self, session: Session, looked: Event, blocked: Event) -> None:
        super().__init__(session)
        self._looked, self._blocked = looked, blocked

    def hold(self, account: UUID) -> Account | None:
        """Only look, and wait."""
        found = self.find(account)
        self._looked.set()
        self._blocked.wait(5)
        return found

    def require_good(self, account: UUID, now: datetime) -> None:
        """It was looked at before."""


class Careless(DecisionService):
    """Approves by what it saw."""

    def __init__(self, session: Session, clock: Clock, looked: Event, blocked: Event) -> None:
        super().__init__(session, clock)
        self._accounts = self._grants._accounts = Unheld(session, looked, blocked)


def test_without_holding_the_account_a_cell_is_approved_that_the_block_does_not_name(database: Database) -> None:
    looked, blocked = Event(), Event()

    def block(desk: Desk, somebody: Principal) -> None:
        looked.wait(5)
        desk.block(somebody)
        blocked.set()

    missed, _ = block_against_approvals(
        database, block, lambda session, clock: Careless(session, clock, looked, blocked)
    )
    assert missed
