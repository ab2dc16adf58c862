"""A coverage that an approval overtakes; beside it, one that looks at what is held first and sees neither."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from services.entitlements.access.policy import Access
from services.entitlements.coverage.service import CoverageService
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.requests.entities import RequestItem
from services.entitlements.requests.repository import RequestRepository
from services.entitlements.rules.service import Cell
from shared.clock import DatabaseClock
from shared.database import Database
from tests.conftest import Stores
from tests.services.entitlements.desk import Desk

Overtake = Callable[[], None]


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


class Early(GrantRepository):
    """Tells what was held a while ago."""

    def __init__(self, session: Session, held: Sequence[Grant]) -> None:
        super().__init__(session)
        self._early = held

    def latest_of(self, account: UUID) -> Sequence[Grant]:  # noqa: ARG002
        """What was read then."""
        return self._early


class Backwards(CoverageService):
    """Looks at what is held first, then is overtaken, then looks at what was asked for."""

    def __init__(self, session: Session, overtake: Overtake) -> None:
        super().__init__(session, DatabaseClock())
        self._overtake = overtake

    def _standing(self, account: UUID, wanted: Sequence[Cell]) -> Mapping[Cell, Access]:
        self._grants = Early(self._session, self._grants.latest_of(account))
        self._overtake()
        return super()._standing(account, wanted)


@pytest.mark.parametrize(("service", "told"), [(Overtaken, "active"), (Backwards, "never-requested")])
def test_a_cell_that_is_approved_meanwhile_is_held_but_neither_to_one_that_looks_at_what_is_held_first(
    database: Database, service: Callable[[Session, Overtake], CoverageService], told: str
) -> None:
    with database.transaction() as session:
        asked = Desk(session).ask("1d")

    def approve() -> None:
        with database.transaction() as session:
            Desk(session).decide(asked.id, outcome="approve")

    with database.transaction() as session:
        desk = Desk(session)
        desk.coverage = service(session, approve)
        states = {cell.frequency: cell.state for cell in desk.cells()}
    assert states == {"1h": "never-requested", "1d": told, "1mo": "never-requested"}
