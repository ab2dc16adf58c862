"""Requests at the same moment, each with the control that fails when the guard is taken out."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from threading import Barrier, Thread
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.orm import Session

from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.requests.entities import RequestItem
from services.entitlements.requests.errors import NothingToRequest, TooManyOpen
from services.entitlements.requests.repository import RequestRepository
from services.entitlements.requests.schemas import RequestOut
from services.entitlements.requests.service import RequestService
from shared.clock import Clock
from shared.database import Database
from tests.conftest import Stores
from tests.services.entitlements.desk import Desk, Requests
from tests.services.entitlements.race import at_once, wait_for_a_waiter

TWINS = 16


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """A database in which things are committed."""
    with closing(Database(stores.app_url("entitlements"), pool_size=TWINS + 1)) as database:
        yield database


def ask(database: Database, frequency: str, dataset: str = "BTC", requests: Requests = RequestService) -> RequestOut:
    with database.transaction() as session:
        return Desk(session, requests=requests).ask(frequency, dataset=dataset)


def counts(database: Database) -> dict[str, int]:
    with database.transaction() as session:
        return Desk(session).counts()


def test_identical_requests_at_once_leave_one_pending_item(database: Database) -> None:
    answers = at_once(TWINS, lambda _: ask(database, "1d"))
    [made] = [answer for answer in answers if isinstance(answer, RequestOut)]
    refused = [answer for answer in answers if isinstance(answer, NothingToRequest)]
    assert len(refused) == TWINS - 1
    assert all(refusal.members["skipped"][0]["request"] == str(made.id) for refusal in refused)
    assert (
        counts(database).items() >= {"access_requests": 1, "request_items": 1, "audit_events": 1, "outbox": 1}.items()
    )


def test_without_the_partial_unique_index_two_identical_requests_leave_two(database: Database, stores: Stores) -> None:
    with closing(psycopg.connect(stores.database_url, autocommit=True)) as owner:
        owner.execute("drop index entitlements.uq_request_items_undecided")
    at_once(2, lambda _: ask(database, "1d"))
    assert counts(database)["request_items"] == 2


class Unlocked(RequestService):
    """Requests of one account that do not wait for each other."""

    def __init__(self, session: Session, clock: Clock, together: Barrier) -> None:
        super().__init__(session, clock)
        self._accounts = Unmet(session)
        self._requests = Together(session, together)


class Unmet(AccountRepository):
    """Does not touch the account's row."""

    def meet(self, account: UUID, *, name: str, role: str) -> None:
        """Do nothing."""


class Together(RequestRepository):
    """Counts at the same moment as its twin."""

    def __init__(self, session: Session, together: Barrier) -> None:
        super().__init__(session)
        self._together = together

    def count_undecided(self, account: UUID, now: datetime) -> int:
        """Count, and wait until the twin has counted."""
        count = super().count_undecided(account, now)
        self._together.wait(5)
        return count


def forty_nine_open(database: Database) -> None:
    with database.transaction() as session:
        for number in range(16):
            Desk(session).ask("1h", "1d", "1mo", dataset=f"D{number}")
        Desk(session).ask("1d")


def test_the_fiftieth_open_item_is_won_by_one(database: Database) -> None:
    forty_nine_open(database)
    answers = at_once(4, lambda number: ask(database, "1d", f"E{number}"))
    assert [type(answer) for answer in answers if isinstance(answer, Exception)] == [TooManyOpen] * 3
    assert counts(database)["request_items"] == 50


def test_without_the_account_s_lock_more_than_fifty_are_open(database: Database) -> None:
    forty_nine_open(database)
    together = Barrier(4)
    at_once(4, lambda number: ask(database, "1d", f"E{number}", lambda s, c: Unlocked(s, c, together)))
    assert counts(database)["request_items"] == 53


class Hasty(RequestService):
    """Does not wait for a decision that is under way: neither for its items nor for the account that it holds."""

    def __init__(self, session: Session, clock: Clock) -> None:
        super().__init__(session, clock)
        self._accounts = Unmet(session)
        self._requests = HastyRepository(session)


class HastyRepository(RequestRepository):
    """Reads where it should lock."""

    def lock_undecided(self, account: UUID, dataset: str, frequencies: Sequence[str]) -> Sequence[RequestItem]:  # type: ignore[override]
        """Read only."""
        return self.undecided(account, dataset, frequencies)


def ask_while_it_is_approved(database: Database, requests: Requests) -> list[RequestOut | Exception]:
    """What is answered to a request that arrives between an approval and its commit."""
    first = ask(database, "1d")
    answers: list[RequestOut | Exception] = []
    asking = Thread(target=lambda: answers.extend(at_once(1, lambda _: ask(database, "1d", requests=requests))))
    with database.transaction() as session:
        Desk(session).decide(first.id, outcome="approve")
        asking.start()
        wait_for_a_waiter(database)
    asking.join()
    return answers


def test_who_asks_while_it_is_approved_is_told_that_it_is_held(database: Database) -> None:
    [answer] = ask_while_it_is_approved(database, RequestService)
    assert isinstance(answer, NothingToRequest)
    assert answer.members["skipped"][0]["why"] == "already-granted"


def test_without_waiting_for_the_decision_a_held_cell_is_asked_for_again(database: Database) -> None:
    [answer] = ask_while_it_is_approved(database, Hasty)
    assert isinstance(answer, RequestOut)
