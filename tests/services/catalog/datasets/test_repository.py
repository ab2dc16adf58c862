"""The catalog's rows are written once, found by symbol, and their frequencies come back when offered again."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.catalog.datasets.entities import Dataset, Offering
from services.catalog.datasets.repository import DatasetRepository

NOW = datetime(2026, 1, 31, 20, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


@pytest.fixture
def session(session_as: Callable[[str], Session]) -> Session:
    """The catalog's session, undone after the test."""
    return session_as("catalog")


def dataset(symbol: str, name: str = "A coin") -> Dataset:
    """A dataset with a feed."""
    return Dataset(symbol=symbol, name=name, sources={"coincap": "coin"}, created_at=NOW)


def offerings(
    repository: DatasetRepository, session: Session, symbol: str
) -> dict[str, tuple[datetime, datetime | None]]:
    """What is offered of a dataset, read afresh."""
    session.expire_all()
    return {o.frequency: (o.offered_at, o.retired_at) for o in repository.offerings([symbol])}


def test_a_dataset_is_added_once_and_found(session: Session) -> None:
    repository = DatasetRepository(session)

    assert repository.add(dataset("SOL")) is True
    assert repository.add(dataset("SOL", "Another")) is False
    found = repository.find("SOL")
    assert found is not None
    assert (found.name, found.kind, found.sources, found.created_at) == ("A coin", "price", {"coincap": "coin"}, NOW)


@pytest.mark.parametrize("symbol", ["NONE", "sol", "", "\x00", "\ud800", "S" * 10_000, "' or 1=1 --"])
def test_what_is_no_symbol_is_not_found(symbol: str, session: Session) -> None:
    assert DatasetRepository(session).find(symbol) is None


def test_pages_follow_the_symbols(session: Session) -> None:
    repository = DatasetRepository(session)
    for symbol in ("ZEC", "ADA", "DOT"):
        repository.add(dataset(symbol))

    assert [d.symbol for d in repository.page(after="", limit=2)] == ["ADA", "DOT"]
    assert [d.symbol for d in repository.page(after="DOT", limit=2)] == ["ZEC"]
    assert repository.page(after="ZEC", limit=2) == []


def test_changes_are_kept(session: Session) -> None:
    repository = DatasetRepository(session)
    repository.add(dataset("SOL"))
    found = repository.find("SOL")
    assert found is not None
    found.name, found.sources = "Solana", {}
    repository.save(found)
    session.expire_all()

    again = repository.find("SOL")
    assert again is not None
    assert (again.name, again.sources) == ("Solana", {})


def test_a_frequency_on_offer_stays_as_it_is_and_a_retired_one_comes_back(session: Session) -> None:
    repository = DatasetRepository(session)
    repository.add(dataset("SOL"))
    repository.offer("SOL", ["1h", "1d"], NOW)
    retired = repository.lock_offering("SOL", "1d")
    assert retired is not None
    retired.retired_at = NOW
    session.flush()

    repository.offer("SOL", ["1h", "1d", "1mo"], LATER)

    assert offerings(repository, session, "SOL") == {"1h": (NOW, None), "1d": (LATER, None), "1mo": (LATER, None)}


def test_a_frequency_never_offered_cannot_be_locked(session: Session) -> None:
    assert DatasetRepository(session).lock_offering("SOL", "1h") is None


@pytest.mark.parametrize("row", [dataset("lower"), dataset("TOOLONGASYMBOL"), dataset("")])
def test_the_table_itself_refuses_what_is_no_symbol(row: Dataset, session: Session) -> None:
    with pytest.raises(IntegrityError, match="ck_datasets_symbol"):
        DatasetRepository(session).add(row)


def test_the_table_itself_refuses_an_unknown_frequency_or_dataset(session: Session) -> None:
    repository = DatasetRepository(session)
    with pytest.raises(IntegrityError, match="fk_offerings_symbol"), session.begin_nested():
        repository.offer("NONE", ["1h"], NOW)
    repository.add(dataset("SOL"))
    with pytest.raises(IntegrityError, match="ck_offerings_frequency"), session.begin_nested():  # noqa: PT012
        session.add(Offering(symbol="SOL", frequency="2h", offered_at=NOW))
        session.flush()
