"""Loading, revising, closing and replacing series, on the real database."""

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from services.pricing.prices.errors import SeriesHasOtherSource
from services.pricing.prices.policy import EARLIEST, LATEST
from services.pricing.prices.schemas import Extent, Window
from services.pricing.prices.service import NOTHING_KNOWN, PriceService
from tests.services.pricing.conftest import DAY, HOUR, T0, Bar, FixedClock, bars

LATER = T0 + timedelta(days=400)
ALL = Window("BTC", "1h", EARLIEST, LATEST)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(LATER)


@pytest.fixture
def prices(session: Session, clock: FixedClock) -> PriceService:
    return PriceService(session, clock)


def version(session: Session, dataset: str = "BTC", frequency: str = "1h") -> int:
    found = text("select version from pricing.series where dataset = :dataset and frequency = :frequency")
    return int(session.execute(found, {"dataset": dataset, "frequency": frequency}).scalar_one())


def stored(prices: PriceService, window: Window = ALL) -> list[str]:
    return prices.read(window, format_="csv", limit=10_000).body.splitlines()


def test_a_load_counts_what_it_inserted_revised_and_left(prices: PriceService, session: Session) -> None:
    assert prices.load("BTC", "1h", "coincap", bars(5)) == {"inserted": 5, "revised": 0, "unchanged": 0}
    changed = [*bars(5)[1:], *bars(2, start=T0 + 5 * HOUR)]
    changed[0] = Bar(changed[0].timestamp, Decimal(7))
    assert prices.load("BTC", "1h", "coincap", changed) == {"inserted": 2, "revised": 1, "unchanged": 3}
    assert version(session) == 2
    assert prices.load("BTC", "1h", "coincap", changed) == {"inserted": 0, "revised": 0, "unchanged": 6}
    assert version(session) == 2


def test_an_unchanged_row_is_not_written_again(prices: PriceService, session: Session) -> None:
    prices.load("BTC", "1h", "coincap", bars(3))
    before = session.execute(text("select ctid, xmin, xmax from pricing.prices order by timestamp")).all()
    prices.load("BTC", "1h", "coincap", bars(3))
    assert session.execute(text("select ctid, xmin, xmax from pricing.prices order by timestamp")).all() == before


def test_a_batch_reads_no_more_of_a_long_series_than_is_around_it(prices: PriceService, session: Session) -> None:
    def read() -> int:
        rows = (
            "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where relid = 'pricing.prices'::regclass"
        )
        return int(session.execute(text(rows)).scalar_one())

    prices.load("BTC", "1h", "coincap", bars(5_000))
    before = read()
    prices.load("BTC", "1h", "coincap", bars(10, start=T0 + 2_000 * HOUR, price="7"))
    prices.load("BTC", "1h", "coincap", bars(10, start=T0 + 5_000 * HOUR))
    assert 20 <= read() - before < 100


def test_a_revised_price_is_kept_with_its_times(prices: PriceService, session: Session, clock: FixedClock) -> None:
    prices.load("BTC", "1h", "coincap", bars(1))
    clock.at = LATER + HOUR
    prices.load("BTC", "1h", "coincap", bars(1, price="9.90"))
    kept = session.execute(text("select price_usd::text, recorded_at, superseded_at from pricing.price_revisions"))
    assert [tuple(row) for row in kept] == [("100.50", LATER, LATER + HOUR)]
    assert stored(prices) == ["2025-06-10T00:00:00Z,9.90,true"]


@pytest.mark.parametrize(
    "price",
    ["370.0", "1", "0.000000012345678901", "109587.7240219355226081", f"{'9' * 40}.{'0' * 60}", f"0.{'0' * 59}1"],
)
def test_the_text_of_a_price_stays_exactly_the_sources(prices: PriceService, price: str) -> None:
    prices.load("BTC", "1h", "coincap", [Bar(T0, Decimal(price))])
    assert stored(prices) == [f"2025-06-10T00:00:00Z,{price},true"]


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity"])
def test_the_database_refuses_what_is_no_price(prices: PriceService, price: str) -> None:
    with pytest.raises(DBAPIError):
        prices.load("BTC", "1h", "coincap", [Bar(T0, Decimal(price))])


def test_a_bar_is_final_once_it_is_seen_after_its_end(
    prices: PriceService, session: Session, clock: FixedClock
) -> None:
    clock.at = T0 + HOUR - timedelta(microseconds=1)
    prices.load("BTC", "1h", "coincap", bars(1))
    assert stored(prices) == ["2025-06-10T00:00:00Z,100.50,false"]
    clock.at = T0 + HOUR
    counts = prices.load("BTC", "1h", "coincap", bars(1))
    assert counts == {"inserted": 0, "revised": 0, "unchanged": 1}
    assert stored(prices) == ["2025-06-10T00:00:00Z,100.50,true"]
    assert version(session) == 2  # what readers see has changed


def test_an_answer_asked_for_before_the_end_is_not_final_however_late_it_is_stored(
    prices: PriceService, clock: FixedClock
) -> None:
    prices.load("BTC", "1h", "coincap", bars(1), seen_at=T0 + HOUR / 2)
    assert stored(prices) == ["2025-06-10T00:00:00Z,100.50,false"]


def test_older_news_never_overwrites_newer(prices: PriceService) -> None:
    prices.load("BTC", "1h", "coincap", bars(1), seen_at=T0 + 2 * HOUR)
    counts = prices.load("BTC", "1h", "coincap", bars(1, price="1.0"), seen_at=T0 + HOUR)
    assert counts == {"inserted": 0, "revised": 0, "unchanged": 1}
    assert stored(prices) == ["2025-06-10T00:00:00Z,100.50,true"]


def test_the_first_real_prices_replace_a_sample_wholly(prices: PriceService, session: Session) -> None:
    prices.load("BTC", "1h", "sample", bars(10))
    prices.load("BTC", "1h", "sample", bars(10, price="1.0"))
    assert prices.extent("BTC", "1h", "coincap") is None
    assert prices.load("BTC", "1h", "coincap", bars(2, start=T0 + DAY)) == {
        "inserted": 2,
        "revised": 0,
        "unchanged": 0,
    }
    assert len(stored(prices)) == 2
    assert session.execute(text("select count(*) from pricing.price_revisions")).scalar() == 0
    assert prices.read(ALL, format_="csv", limit=1).source == "coincap"
    assert version(session) == 3


def test_an_empty_batch_does_not_replace_a_sample(prices: PriceService) -> None:
    prices.load("BTC", "1h", "sample", bars(3))
    assert prices.load("BTC", "1h", "coincap", []) == {"inserted": 0, "revised": 0, "unchanged": 0}
    assert len(stored(prices)) == 3


@pytest.mark.parametrize(("first", "second"), [("coincap", "sample"), ("coincap", "imported"), ("imported", "coincap")])
def test_two_sources_do_not_mix(prices: PriceService, first: str, second: str) -> None:
    prices.load("BTC", "1h", first, bars(3))
    with pytest.raises(SeriesHasOtherSource, match=f"BTC 1h holds {first} prices"):
        prices.load("BTC", "1h", second, bars(3, price="1.0"))
    with pytest.raises(SeriesHasOtherSource):
        prices.extent("BTC", "1h", second)
    assert stored(prices)[0] == "2025-06-10T00:00:00Z,100.50,true"
    assert prices.load("BTC", "1h", second, bars(1), replace=True)["inserted"] == 1
    assert len(stored(prices)) == 1


def test_a_feed_goes_on_from_the_last_final_bar(prices: PriceService) -> None:
    assert prices.extent("BTC", "1h", "coincap") is None
    prices.load("BTC", "1h", "coincap", bars(3), seen_at=T0 + 2 * HOUR + HOUR / 2)
    assert prices.extent("BTC", "1h", "coincap") == Extent(first=T0, last_final=T0 + HOUR)


def test_what_is_known_around_a_window_is_the_same_sources_only(prices: PriceService) -> None:
    prices.load("BTC", "1h", "coincap", bars(5))
    window = {"start": T0 + HOUR, "end": T0 + 3 * HOUR}
    known = prices.known("BTC", "1h", "coincap", **window)
    assert known.held == {T0 + HOUR: Decimal("101.50"), T0 + 2 * HOUR: Decimal("102.50")}
    assert (known.before, known.after) == (Decimal("100.50"), Decimal("103.50"))
    assert prices.known("BTC", "1h", "imported", **window) == NOTHING_KNOWN
    assert prices.known("ETH", "1h", "coincap", **window) == NOTHING_KNOWN


def test_coverage_lists_every_gap(prices: PriceService) -> None:
    prices.load("BTC", "1h", "coincap", [*bars(2), *bars(1, start=T0 + 5 * HOUR), *bars(2, start=T0 + 7 * HOUR)])
    hours, days, months = prices.coverage("BTC", ["1h", "1d", "1mo"])
    assert (hours.first, hours.last, hours.rows, hours.source) == (T0, T0 + 8 * HOUR, 5, "coincap")
    assert [(gap.start, gap.end, gap.missing) for gap in hours.gaps] == [
        (T0 + 2 * HOUR, T0 + 5 * HOUR, 3),
        (T0 + 6 * HOUR, T0 + 7 * HOUR, 1),
    ]
    for empty in (days, months):
        assert (empty.first, empty.last, empty.rows, empty.gaps, empty.source) == (None, None, 0, [], None)


def test_a_whole_month_without_days_is_a_gap_of_months(prices: PriceService) -> None:
    def day(month: int) -> datetime:
        return T0.replace(month=month)

    prices.load("BTC", "1d", "coincap", [Bar(day(n), Decimal(n)) for n in (6, 7, 10)])
    months = prices.coverage("BTC", ["1mo"])[0]
    assert (months.rows, months.first, months.last) == (3, T0.replace(day=1), T0.replace(month=10, day=1))
    assert [(gap.start.month, gap.end.month, gap.missing) for gap in months.gaps] == [(8, 10, 2)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.sets(st.integers(0, 40), min_size=1, max_size=8), min_size=1, max_size=6))
def test_gaps_are_those_between_the_bars_in_whatever_order_they_came(
    prices: PriceService, batches: list[set[int]]
) -> None:
    prices.load("BTC", "1h", "coincap", bars(1), replace=True)
    for batch in batches:
        prices.load("BTC", "1h", "coincap", [Bar(T0 + n * HOUR, Decimal(1)) for n in batch])
    held = sorted({0}.union(*batches))
    (hours,) = prices.coverage("BTC", ["1h"])
    assert (hours.first, hours.last, hours.rows) == (T0, T0 + held[-1] * HOUR, len(held))
    assert [(gap.start, gap.end) for gap in hours.gaps] == [
        (T0 + (one + 1) * HOUR, T0 + other * HOUR) for one, other in pairwise(held) if other > one + 1
    ]
