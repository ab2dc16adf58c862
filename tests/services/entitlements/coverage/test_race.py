"""A coverage that a decision overtakes is of one snapshot; beside it, one that sees half of what was decided."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from services.entitlements.coverage.service import CoverageService
from services.entitlements.requests.entities import RequestItem
from services.entitlements.requests.repository import RequestRepository
from shared.clock import DatabaseClock
from shared.database import Database, of_one_snapshot
from tests.conftest import Stores
from tests.services.entitlements.desk import Desk

Overtake = Callable[[], None]
AGED = """
update entitlements.grants
set starts_at = starts_at - interval '2 days', ends_at = clock_timestamp() - interval '1 minute'
"""


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """A database in which things are committed."""
    with closing(Database(stores.app_url("entitlements"), pool_size=2)) as database:
        yield database


class Slow(RequestRepository):
    """Reads what was asked for, and then is overtaken."""

    def __init__(self, session: Session, overtake: Overtake) -> None:
        super().__init__(session)
        self._overtake = overtake

    def latest_of(self, account: UUID) -> Sequence[RequestItem]:
        """Read, and let the decision be made."""
        found = super().latest_of(account)
        self._overtake()
        return found


class Overtaken(CoverageService):
    """A decision is made between its looks at what was asked for and at what is held."""

    def __init__(self, session: Session, overtake: Overtake) -> None:
        super().__init__(session, DatabaseClock())
        self._requests = Slow(session, overtake)


def waiting(desk: Desk) -> UUID:
    """A request that waits for Ops."""
    return desk.ask("1d").id


def in_grace(desk: Desk) -> UUID:
    """The request that keeps a grant going past its end."""
    desk.give("1d", duration_days=1, grace_days=7)
    request = desk.ask("1d").id
    desk.session.execute(text(AGED))
    return request


@pytest.mark.parametrize(
    ("asked", "outcome", "frozen", "told"),
    [
        (waiting, "approve", of_one_snapshot, ("pending", "pending", "active")),
        (in_grace, "refuse", of_one_snapshot, ("active", "active", "ended")),
        (in_grace, "refuse", lambda session: session, ("active", "pending", "ended")),
    ],
    ids=["approved", "a grace refused", "control: without a snapshot"],
)
def test_a_coverage_that_is_overtaken_says_what_was_read_before_but_for_one_without_a_snapshot(
    database: Database,
    asked: Callable[[Desk], UUID],
    outcome: str,
    frozen: Callable[[Session], Session],
    told: tuple[str, str, str],
) -> None:
    def state() -> str:
        with database.transaction() as session:
            return Desk(session).may("1d").state

    def decide() -> None:
        with database.transaction() as session:
            Desk(session).decide(request, outcome=outcome, reason="Because.")

    with database.transaction() as session:
        request = asked(Desk(session))
    before = state()
    with database.transaction() as session:
        desk = Desk(frozen(session))
        desk.coverage = Overtaken(session, decide)
        (meanwhile,) = [cell.state for cell in desk.cells() if cell.frequency == "1d"]
    assert (before, meanwhile, state()) == told
