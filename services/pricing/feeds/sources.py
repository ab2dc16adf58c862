"""Which sources there are, and how each is opened: the one place that knows them all."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from services.pricing.access.schemas import OfferedDataset
from services.pricing.feeds import policy
from services.pricing.feeds.budget import allowance
from services.pricing.feeds.coincap import CoinCap
from services.pricing.feeds.ledger import Ledger
from services.pricing.feeds.sample import SampleSource
from services.pricing.feeds.schemas import Feed
from services.pricing.feeds.service import Spending, free
from services.pricing.feeds.source import Source
from services.pricing.settings import PricingSettings
from shared.clock import Clock
from shared.database import Database

Opening = Callable[[PricingSettings, Database, Clock, Sequence[Feed]], AbstractContextManager[tuple[Source, Spending]]]


@dataclass(frozen=True)
class Entry:
    """A source by its name: whether the settings give what it needs, and how it is opened with its account."""

    name: str
    is_set_up: Callable[[PricingSettings], bool]
    open: Opening


@contextmanager
def _coincap(
    settings: PricingSettings, database: Database, clock: Clock, feeds: Sequence[Feed]
) -> Iterator[tuple[Source, Spending]]:
    budget = allowance(settings.coincap_credits, feeds)
    ledger = Ledger(database, CoinCap.name, budget, clock=clock)
    with CoinCap(
        settings.coincap_url, settings.coincap_api_key, gate=ledger, now=partial(_now, database, clock)
    ) as coincap:
        yield coincap, ledger.spending


@contextmanager
def _sample(
    _settings: PricingSettings, database: Database, clock: Clock, _feeds: Sequence[Feed]
) -> Iterator[tuple[Source, Spending]]:
    yield SampleSource(now=partial(_now, database, clock)), free


def _now(database: Database, clock: Clock) -> datetime:
    with database.transaction() as session:
        return clock.now(session)


SOURCES = (
    Entry(CoinCap.name, lambda settings: bool(settings.coincap_api_key), _coincap),
    Entry(SampleSource.name, lambda _: True, _sample),
)


@contextmanager
def open_source(
    settings: PricingSettings, database: Database, clock: Clock, datasets: Sequence[OfferedDataset]
) -> Iterator[tuple[Source, Spending, list[Feed]]]:
    """The first source that is set up, its account, and what it is asked for of these datasets."""
    entry = next(entry for entry in SOURCES if entry.is_set_up(settings))
    feeds = policy.feeds(datasets, entry.name)
    with entry.open(settings, database, clock, feeds) as (source, spending):
        yield source, spending, feeds
