"""The catalog's use cases: each does what it says, refuses with its reason, and leaves an audit row."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.catalog.database import audit_events
from services.catalog.datasets.errors import DatasetExists, DatasetNotFound, FrequencyNotFound, Retired
from services.catalog.datasets.schemas import DatasetChange, NewDataset
from services.catalog.datasets.service import DatasetService
from shared.errors import InvalidInput
from shared.principal import Principal

OPS = Principal(role="ops", name="Grace", account=uuid4())
NOW = datetime(2026, 1, 31, 20, tzinfo=UTC)
DAY = timedelta(days=1)


class Hand:
    """A clock whose hand a test moves."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self, _session: Session) -> datetime:
        """Where the hand is."""
        return self.at


class Catalog:
    """The service with its session and its clock."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.clock = Hand()
        self.service = DatasetService(session, self.clock)

    def add(self, symbol: str = "SOL", frequencies: tuple[str, ...] = ("1h", "1d")) -> None:
        """A dataset on offer."""
        new = NewDataset.model_validate({"symbol": symbol, "name": symbol.title(), "frequencies": frequencies})
        self.service.add(new, OPS)

    def change(self, **changes: object) -> None:
        """Change SOL, in what is to the session a later request."""
        self.service.change("SOL", DatasetChange.model_validate(changes), OPS)
        self.session.expire_all()

    def frequencies(self) -> list[str]:
        """What SOL is offered in."""
        return self.service.find("SOL").frequencies

    def audited(self) -> list[tuple[str, str, dict[str, object]]]:
        """The audit rows, oldest first."""
        rows = self.session.execute(select(audit_events).order_by(audit_events.c.id))
        return [(row.actor, row.action, row.data) for row in rows]


@pytest.fixture
def catalog(session_as: Callable[[str], Session]) -> Catalog:
    """An empty catalog, undone after the test."""
    return Catalog(session_as("catalog"))


def test_a_dataset_is_added_with_its_frequencies_shortest_first(catalog: Catalog) -> None:
    catalog.add(frequencies=("1mo", "1d", "1h"))

    found = catalog.service.find("SOL")
    assert (found.symbol, found.name, found.frequencies, found.retired) == ("SOL", "Sol", ["1h", "1d", "1mo"], {})
    assert catalog.audited() == [(str(OPS.account), "dataset.added", {"frequencies": ["1d", "1h", "1mo"]})]


def test_a_dataset_is_added_once(catalog: Catalog) -> None:
    catalog.add()
    with pytest.raises(DatasetExists):
        catalog.add(frequencies=("1mo",))

    assert catalog.frequencies() == ["1h", "1d"]
    assert len(catalog.audited()) == 1


def test_datasets_are_listed_by_symbol(catalog: Catalog) -> None:
    for symbol in ("ZEC", "ADA", "DOT"):
        catalog.add(symbol)

    assert [d.symbol for d in catalog.service.page(limit=2)] == ["ADA", "DOT"]
    assert [d.symbol for d in catalog.service.page(after="DOT", limit=2)] == ["ZEC"]


def test_what_does_not_exist_can_neither_be_found_nor_changed_nor_retired(catalog: Catalog) -> None:
    with pytest.raises(DatasetNotFound):
        catalog.service.find("SOL")
    with pytest.raises(DatasetNotFound):
        catalog.change(name="Solana")
    with pytest.raises(DatasetNotFound):
        catalog.service.retire("SOL", "1h", None, OPS)
    assert catalog.audited() == []


def test_a_change_leaves_alone_what_it_does_not_name(catalog: Catalog) -> None:
    catalog.add()
    catalog.change(sources={"coincap": "solana"})
    catalog.change(name="Solana", frequencies=["1mo", "1h"])

    found = catalog.service.find("SOL")
    assert (found.name, found.frequencies, found.sources) == ("Solana", ["1h", "1d", "1mo"], {"coincap": "solana"})
    assert catalog.audited()[1:] == [
        (str(OPS.account), "dataset.changed", {"fields": ["sources"]}),
        (str(OPS.account), "dataset.changed", {"fields": ["frequencies", "name"]}),
    ]


def test_a_frequency_is_retired_at_once_and_not_again(catalog: Catalog) -> None:
    catalog.add()
    catalog.service.retire("SOL", "1d", None, OPS)

    assert catalog.frequencies() == ["1h"]
    assert catalog.service.find("SOL").retired == {"1d": NOW}
    with pytest.raises(Retired) as refused:
        catalog.service.retire("SOL", "1d", None, OPS)
    assert refused.value.members == {"retired_at": "2026-01-31T20:00:00Z"}
    assert catalog.audited()[1:] == [
        (str(OPS.account), "frequency.retired", {"frequency": "1d", "at": "2026-01-31T20:00:00+00:00"})
    ]


def test_a_frequency_to_be_retired_later_is_on_offer_until_that_instant(catalog: Catalog) -> None:
    catalog.add()
    catalog.service.retire("SOL", "1d", NOW + DAY, OPS)

    catalog.clock.at = NOW + DAY - timedelta(microseconds=1)
    assert catalog.frequencies() == ["1h", "1d"]
    assert catalog.service.find("SOL").retired == {"1d": NOW + DAY}
    catalog.clock.at = NOW + DAY
    assert catalog.frequencies() == ["1h"]
    with pytest.raises(Retired):
        catalog.service.retire("SOL", "1d", NOW + 2 * DAY, OPS)


@pytest.mark.parametrize(("again", "then"), [(None, NOW), (NOW + DAY, NOW + DAY), (NOW + 3 * DAY, NOW + 3 * DAY)])
def test_until_it_is_retired_its_instant_can_be_moved(again: datetime | None, then: datetime, catalog: Catalog) -> None:
    catalog.add()
    catalog.service.retire("SOL", "1d", NOW + 2 * DAY, OPS)
    catalog.service.retire("SOL", "1d", again, OPS)

    assert catalog.service.find("SOL").retired == {"1d": then}


def test_nothing_is_retired_in_the_past_nor_what_was_never_offered(catalog: Catalog) -> None:
    catalog.add()
    with pytest.raises(InvalidInput) as refused:
        catalog.service.retire("SOL", "1d", NOW - timedelta(microseconds=1), OPS)
    with pytest.raises(FrequencyNotFound):
        catalog.service.retire("SOL", "1mo", None, OPS)

    assert refused.value.members["errors"][0]["pointer"] == "/effective_at"
    assert catalog.frequencies() == ["1h", "1d"]


def test_a_retired_frequency_comes_back_when_offered_again(catalog: Catalog) -> None:
    catalog.add()
    catalog.service.retire("SOL", "1d", None, OPS)
    catalog.session.flush()
    catalog.change(frequencies=["1d"])

    assert catalog.frequencies() == ["1h", "1d"]
    assert catalog.service.find("SOL").retired == {}
