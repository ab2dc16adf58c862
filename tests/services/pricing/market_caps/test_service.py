"""Which market capitalisation takes the place of which, on the real database; and which days a range holds."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from services.pricing.market_caps.policy import first_day
from services.pricing.market_caps.schemas import DayCap, Days
from services.pricing.market_caps.service import MarketCapService
from tests.services.pricing.conftest import HOUR, T0, FixedClock

DAY = date(2025, 6, 10)


@pytest.fixture
def caps(session: Session) -> MarketCapService:
    return MarketCapService(session, FixedClock(T0))


def record(caps: MarketCapService, provenance: str, cap: str, day: date = DAY) -> bool:
    source = "sample" if provenance == "sample" else "coincap"
    return caps.record("BTC", {day: DayCap(Decimal(cap), T0)}, source=source, provenance=provenance) == 1


def stored(caps: MarketCapService) -> list[tuple[int, str, str]]:
    told = caps.read(Days("BTC", date(2000, 1, 1), date(2100, 1, 1)), limit=100)
    return [(row.date.day, format(row.market_cap_usd, "f"), row.provenance) for row in told.rows]


def source(caps: MarketCapService) -> str | None:
    return caps.read(Days("BTC", DAY, DAY), limit=None).source


@pytest.mark.parametrize(
    ("stands", "comes", "written"),
    [
        ("sample", "sample", False),
        ("sample", "vendor-history", True),
        ("sample", "observed", True),
        ("vendor-history", "sample", False),
        ("vendor-history", "vendor-history", False),
        ("vendor-history", "derived", False),
        ("vendor-history", "observed", True),
        ("derived", "vendor-history", True),
        ("observed", "sample", False),
        ("observed", "vendor-history", False),
        ("observed", "observed", False),
    ],
)
def test_only_a_better_provenance_takes_the_place(
    caps: MarketCapService, stands: str, comes: str, written: bool
) -> None:
    assert record(caps, stands, "1.50")
    assert record(caps, comes, "2.50") is written
    assert stored(caps) == [(10, "2.50", comes) if written else (10, "1.50", stands)]


def test_what_gives_way_is_kept_as_a_revision(session: Session) -> None:
    for hours, (provenance, cap) in enumerate([("derived", "1.50"), ("vendor-history", "2.50"), ("observed", "3.50")]):
        service = MarketCapService(session, FixedClock(T0 + hours * HOUR))
        assert service.record("BTC", {DAY: DayCap(Decimal(cap), T0)}, source="coincap", provenance=provenance) == 1
    rows = session.execute(
        text(
            "select market_cap_usd::text, provenance, recorded_at, superseded_at from pricing.market_cap_revisions "
            "order by superseded_at"
        )
    )
    assert [tuple(row) for row in rows] == [
        ("1.50", "derived", T0, T0 + HOUR),
        ("2.50", "vendor-history", T0 + HOUR, T0 + 2 * HOUR),
    ]


def test_many_days_are_written_at_once_each_by_its_own_right(caps: MarketCapService) -> None:
    record(caps, "observed", "1.0")
    days = {date(2025, 6, number): DayCap(Decimal(number), T0) for number in range(8, 13)}
    assert caps.record("BTC", days, source="coincap", provenance="vendor-history") == 4
    assert caps.record("BTC", {}, source="coincap", provenance="vendor-history") == 0
    assert [day for day, _, provenance in stored(caps) if provenance == "vendor-history"] == [8, 9, 11, 12]


def test_the_first_real_value_replaces_the_sample_wholly(caps: MarketCapService) -> None:
    for day in (8, 9, 10):
        record(caps, "sample", "1.0", date(2025, 6, day))
    assert source(caps) == "sample"
    assert record(caps, "vendor-history", "1394938121675.859863281250000000", date(2025, 6, 9))
    assert not record(caps, "sample", "1.0", date(2025, 6, 11))
    assert stored(caps) == [(9, "1394938121675.859863281250000000", "vendor-history")]
    assert source(caps) == "coincap"
    assert caps.held(date(2025, 6, 9)) == {"BTC": "vendor-history"}


def test_one_real_sources_values_never_stand_among_anothers(caps: MarketCapService) -> None:
    assert record(caps, "derived", "1.0")
    other = {day: DayCap(Decimal(2), T0) for day in (DAY, date(2025, 6, 11))}
    for replace in (False, True):
        assert caps.record("BTC", other, source="vendor", provenance="observed", replace=replace) == 0
    assert (stored(caps), source(caps)) == ([(10, "1.0", "derived")], "coincap")


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2025, 6, 10, tzinfo=UTC), date(2025, 6, 10)),
        (datetime(2025, 6, 10, 0, 0, 0, 1, tzinfo=UTC), date(2025, 6, 11)),
        (datetime(2025, 12, 31, 23, tzinfo=UTC), date(2026, 1, 1)),
    ],
)
def test_a_day_belongs_to_a_range_if_its_first_instant_does(at: datetime, day: date) -> None:
    assert first_day(at) == day
