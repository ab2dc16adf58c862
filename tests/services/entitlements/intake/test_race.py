"""Requests at the same moment, each with the control that fails when the guard is taken out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.intake.policy import Cell
from services.entitlements.intake.service import IntakeService, Plan
from services.entitlements.requests.entities import RequestItem
from services.entitlements.requests.errors import NothingToRequest, TooManyOpen
from services.entitlements.requests.repository import RequestRepository
from services.entitlements.requests.schemas import NewRequest, RequestOut
from shared.clock import Clock
from shared.database import Database
from shared.principal import Principal
from tests.conftest import Stores
from tests.proof import figure
from tests.services.entitlements.desk import Desk, Intake
from tests.services.entitlements.race import at_once, drop_the_index

TWINS = 16


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """A database in which things are committed."""
    with closing(Database(stores.app_url("entitlements"), pool_size=TWINS + 1)) as database:
        yield database


def ask(database: Database, frequency: str, dataset: str = "BTC", intake: Intake = IntakeService) -> RequestOut:
    with database.transaction() as session:
        return Desk(session, intake=intake).ask(frequency, dataset=dataset)


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


class Unlocked(IntakeService):
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


@pytest.mark.parametrize(("index", "items"), [(True, 1), (False, 2)])
def test_the_index_alone_leaves_one_of_two_requests_that_saw_nothing_and_without_it_both_stay(
    database: Database, stores: Stores, index: bool, items: int
) -> None:
    if not index:
        drop_the_index(stores, "uq_request_items_undecided")
    together = Barrier(2)
    at_once(2, lambda _: ask(database, "1d", intake=lambda s, c: Unlocked(s, c, together)))
    assert counts(database)["request_items"] == items


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


class Unheld(RequestRepository):
    """Reads where it should lock."""

    def lock_undecided(self, account: UUID, dataset: str, frequencies: Iterable[str]) -> Sequence[RequestItem]:
        """Read only."""
        return RequestRepository.undecided(self, account, dataset, frequencies)


class Slow(Unheld):
    """Reads what is undecided, and then is overtaken."""

    def __init__(self, session: Session, overtake: Callable[[], None]) -> None:
        super().__init__(session)
        self._overtake = overtake

    def undecided(self, account: UUID, dataset: str, frequencies: Iterable[str]) -> Sequence[RequestItem]:
        """Read, and let the decision be made."""
        found = super().undecided(account, dataset, frequencies)
        self._overtake()
        return found


class Overtaken(IntakeService):
    """Holds nothing, and a decision is made between its looks at what is pending and at what is held."""

    def __init__(self, session: Session, clock: Clock, overtake: Callable[[], None]) -> None:
        super().__init__(session, clock)
        self._accounts = Unmet(session)
        self._requests = Slow(session, overtake)


class Backwards(IntakeService):
    """Holds nothing, looks at what is held first, then is overtaken, then looks at what is pending."""

    def __init__(self, session: Session, clock: Clock, overtake: Callable[[], None]) -> None:
        super().__init__(session, clock)
        self._accounts = Unmet(session)
        self._requests = Unheld(session)
        self._overtake = overtake

    def _cells(self, new: NewRequest, caller: Principal, now: datetime) -> list[Cell]:
        held = self._standing.unclosed(caller.account_id, new.dataset)
        self._overtake()
        return [replace(cell, held=next(iter(held), None)) for cell in super()._cells(new, caller, now)]


def asked_while_it_is_approved(
    database: Database, intake: Callable[[Session, Clock, Callable[[], None]], IntakeService]
) -> RequestOut | Exception:
    """What is answered to a request whose look at the cell an approval overtakes."""
    first = ask(database, "1d")

    def approve() -> None:
        with database.transaction() as session:
            Desk(session).decide(first.id, outcome="approve")

    [answer] = at_once(1, lambda _: ask(database, "1d", intake=lambda s, c: intake(s, c, approve)))
    return answer


def test_a_cell_is_pending_or_held_to_whoever_asks_while_it_is_approved(database: Database) -> None:
    assert isinstance(asked_while_it_is_approved(database, Overtaken), NothingToRequest)


def test_looking_at_what_is_held_first_a_held_cell_is_asked_for_again(database: Database) -> None:
    assert isinstance(asked_while_it_is_approved(database, Backwards), RequestOut)
    with database.transaction() as session:
        assert Desk(session).counts()["request_items"] == 2


def five_approved(database: Database, approved: int = 5) -> None:
    with database.transaction() as session:
        for number in range(approved):
            assert Desk(session).ask("1d", dataset=f"D{number}", trial=True).status == "approved"


def trials(database: Database, number: int, intake: Intake = IntakeService) -> RequestOut:
    with database.transaction() as session:
        return Desk(session, intake=intake).ask("1d", dataset=f"E{number}", trial=True)


def test_the_last_automatic_approval_is_won_by_one(database: Database) -> None:
    five_approved(database, 4)
    answers = at_once(4, lambda number: trials(database, number))
    states = sorted(answer.status for answer in answers if isinstance(answer, RequestOut))
    assert states == ["approved", "pending", "pending", "pending"]
    assert counts(database)["grants"] == 5


class Uncounted(IntakeService):
    """Does not hold the account's row while its rules count."""

    def __init__(self, session: Session, clock: Clock, together: Barrier) -> None:
        super().__init__(session, clock)
        self._accounts = Unmet(session)
        self._together = together

    def _plan(self, new: NewRequest, caller: Principal, now: datetime) -> Plan:
        plan = super()._plan(new, caller, now)
        self._together.wait(5)
        return plan


def test_without_the_account_s_lock_more_than_the_cap_are_approved(database: Database) -> None:
    five_approved(database, 4)
    together = Barrier(4)
    at_once(4, lambda number: trials(database, number, lambda s, c: Uncounted(s, c, together)))
    assert counts(database)["grants"] == 8


@pytest.mark.parametrize(("trial", "grants", "told"), [(False, 0, 1), (True, 1, 1)])
def test_w3_fifty_equal_requests_at_once_have_one_effect(
    database: Database, trial: bool, grants: int, told: int
) -> None:
    def post(_: int) -> RequestOut:
        while True:
            with suppress(OperationalError, PoolTimeout), database.transaction() as session:  # 503: too busy, again
                return Desk(session).ask("1d", trial=trial)

    answers = at_once(50, post)
    made = [answer for answer in answers if isinstance(answer, RequestOut)]
    refused = [answer for answer in answers if isinstance(answer, NothingToRequest)]
    assert (len(made), len(refused)) == (1, 49)
    found = counts(database)
    assert (found["access_requests"], found["request_items"], found["grants"]) == (1, 1, grants)
    assert (found["audit_events"], found["outbox"]) == (1 + grants, told)
    figure("W3", trial=trial, at_once=answers, made=made, refused=refused)
