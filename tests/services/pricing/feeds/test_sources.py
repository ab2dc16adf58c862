"""A second source beside CoinCap: a line in the registry, and all it brings is served under its name, unmixed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from services.pricing.feeds import sources
from services.pricing.feeds.coincap import CoinCap
from services.pricing.feeds.entities import Caps, History, MarketCap, Sample
from services.pricing.feeds.jobs import run_job
from services.pricing.feeds.schemas import Feed
from services.pricing.feeds.service import Spending, free
from services.pricing.feeds.source import PERIODS, Source
from services.pricing.feeds.sources import SOURCES, Entry
from services.pricing.settings import PricingSettings
from shared.clock import Clock
from shared.database import Database
from tests.conftest import Stores
from tests.services.pricing.conftest import DAY, Service
from tests.standins.coincap import StandinCoinCap, point

PRICES, CAPS = "/v1/datasets/{}/prices", "/v1/datasets/{}/market-caps"
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


class Vendor:
    """Another vendor, for whom everything costs 7 dollars: three days of it."""

    name = "vendor"
    at_once = 100

    def span(self, _frequency: str) -> timedelta:
        """Two days a call."""
        return 2 * DAY

    def depth(self, _frequency: str) -> timedelta:
        """All of the three days, and the beginning of today."""
        return 4 * DAY

    def history(self, _slug: str, frequency: str, *, start: datetime, end: datetime) -> History:
        """A price for every bar of the days that are over, and a supply."""
        step = PERIODS[frequency]
        bars = [TODAY - n * step for n in range(1, 3 * DAY // step + 1)]
        return History([Sample(at, Decimal(7), Decimal(10)) for at in reversed(bars) if start <= at < end], [])

    def market_caps(self, slugs: Sequence[str]) -> Caps:
        """As much for every asset."""
        return Caps([MarketCap(slug, Decimal(70), datetime.now(UTC)) for slug in slugs], [])

    def market_cap_history(self, slug: str, *, start: datetime, end: datetime) -> Caps:
        """As much at eight in the evening."""
        moments = [TODAY - n * DAY + timedelta(hours=20) for n in (3, 2, 1)]
        return Caps([MarketCap(slug, Decimal(70), at) for at in moments if start <= at < end], [])


@contextmanager
def opened(
    _settings: PricingSettings, _database: Database, _clock: Clock, _feeds: Sequence[Feed]
) -> Iterator[tuple[Source, Spending]]:
    yield Vendor(), free


@pytest.fixture
def with_vendor(monkeypatch: pytest.MonkeyPatch, stores: Stores, settings: PricingSettings) -> PricingSettings:
    """The vendor is set up where CoinCap is not, and knows both assets."""
    with psycopg.connect(stores.app_url("catalog")) as catalog:
        catalog.execute("update catalog.datasets set sources = sources || jsonb_build_object('vendor', lower(symbol))")
    coincap, sample = SOURCES
    monkeypatch.setattr(sources, "SOURCES", (coincap, Entry("vendor", lambda _: True, opened), sample))
    return settings


@pytest.fixture
def with_coincap(with_vendor: PricingSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[PricingSettings]:
    """CoinCap is set up, and tells of other prices; it need not be asked for ten years of them."""
    monkeypatch.setattr(CoinCap, "depth", Vendor.depth)
    days = [point(TODAY - n * DAY, "5.0") for n in (3, 2, 1)]
    with StandinCoinCap() as upstream:
        for slug in ("bitcoin", "ethereum"):
            upstream.give_history(slug, "d1", days)
            upstream.give_history(slug, "h1", days)
            upstream.give_market_cap(slug, "50")
            upstream.give_market_cap_history(slug, [(TODAY - n * DAY + timedelta(hours=20), "50") for n in (3, 2, 1)])
        yield with_vendor.model_copy(update={"coincap_url": upstream.url, "coincap_api_key": upstream.key})


def bring(settings: PricingSettings) -> dict[str, int]:
    """Both jobs, once; what the prices' came to."""
    counts = run_job(settings, "sync-prices").counts
    run_job(settings, "backfill-market-caps")
    return counts


def served(service: Service, dataset: str) -> list[tuple[str | None, set[str], int]]:
    """Of days, and of market caps: whose they are, which values there are, and how many rows."""
    days = service.get(PRICES.format(dataset), frequency="1d").json()
    caps = service.get(CAPS.format(dataset)).json()
    return [
        (days["source"], {row["price_usd"] for row in days["data"]}, len(days["data"])),
        (caps["source"], {row["market_cap_usd"] for row in caps["data"]}, len(caps["data"])),
    ]


def test_what_a_second_source_brings_is_served_under_its_name(with_vendor: PricingSettings, service: Service) -> None:
    counts = bring(with_vendor)
    assert (counts["series"], counts["inserted"], counts["failed"]) == (4, 72 + 3 * 3, 0)
    for dataset in ("BTC", "ETH"):
        days, caps = served(service, dataset)
        assert days == ("vendor", {"7"}, 3)
        assert caps[:2] == ("vendor", {"70"})
        assert caps[2] >= 3
    covered = service.get("/v1/datasets/BTC/coverage").json()["data"]
    assert {row["source"] for row in covered} == {"vendor"}


@pytest.mark.parametrize("first", ["vendor", "coincap"])
def test_neither_of_two_sources_touches_what_the_other_brought(
    with_vendor: PricingSettings, with_coincap: PricingSettings, service: Service, first: str
) -> None:
    order = [with_vendor, with_coincap] if first == "vendor" else [with_coincap, with_vendor]
    bring(order[0])
    before = [served(service, dataset) for dataset in ("BTC", "ETH")]
    assert {source for dataset in before for source, _, _ in dataset} == {first}
    counts = bring(order[1])
    assert counts["skipped"] >= 3
    assert [served(service, dataset) for dataset in ("BTC", "ETH")] == before


def test_a_second_source_takes_the_samples_place_wholly(
    with_vendor: PricingSettings, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sources, "SOURCES", SOURCES)
        bring(with_vendor)
    assert {source for source, _, _ in served(service, "BTC")} == {"sample"}
    bring(with_vendor)
    assert [found[:2] for found in served(service, "BTC")] == [("vendor", {"7"}), ("vendor", {"70"})]
