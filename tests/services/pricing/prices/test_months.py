"""Months, recomputed from the real daily history with Decimal, and their edges."""

import csv
import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from services.pricing.prices.file import read_rows
from services.pricing.prices.policy import EARLIEST, LATEST
from services.pricing.prices.schemas import Window
from services.pricing.prices.service import PriceService
from tests.services.pricing.conftest import DAY, Bar, FixedClock, bars

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BTC, ETH = "btc_usd_1d_2014-2020.csv", "eth_usd_1d_2016-2020.csv"


def months(session: Session, start: datetime = EARLIEST, end: datetime = LATEST) -> list[dict[str, object]]:
    chunk = PriceService(session, FixedClock(NOW)).read(Window("BTC", "1mo", start, end), format_="json", limit=1000)
    found: list[dict[str, object]] = json.loads(f"[{chunk.body}]")
    return found


def load(session: Session, samples: list[Bar], now: datetime = NOW) -> None:
    PriceService(session, FixedClock(now)).load("BTC", "1d", "imported", samples)


def real_days(file: Path) -> list[Bar]:
    with file.open() as lines:
        rows = read_rows(lines, period=DAY, now=NOW)
        return [Bar(row.timestamp, row.price) for row in rows]


@pytest.mark.parametrize("name", [BTC, ETH])
def test_months_of_the_real_history_equal_an_independent_computation(
    session: Session, history: Path, name: str
) -> None:
    load(session, real_days(history / name))
    by_month: dict[str, list[str]] = defaultdict(list)
    with (history / name).open() as lines:
        for row in csv.DictReader(lines):
            by_month[row["date"][:7]].append(row["close"])
    found = months(session)
    assert [month["timestamp"] for month in found] == [f"{month}-01T00:00:00Z" for month in by_month]
    for month, texts in zip(found, by_month.values(), strict=True):
        with localcontext(prec=100, rounding=ROUND_HALF_EVEN):
            mean = (sum(map(Decimal, texts), Decimal()) / len(texts)).quantize(Decimal("1e-18"))
        assert month["price_usd"] == texts[-1]
        assert month["open_usd"] == texts[0]
        assert Decimal(str(month["high_usd"])) == max(map(Decimal, texts))
        assert Decimal(str(month["low_usd"])) == min(map(Decimal, texts))
        assert month["mean_usd"] == f"{mean:f}"
        assert month["samples"] == len(texts)
    unfinished = [str(month["timestamp"])[:7] for month in found if not month["final"]]
    assert unfinished == ["2019-03", "2020-01"]  # their last days are missing


def test_the_real_hole_of_twelve_days_is_reported(session: Session, history: Path) -> None:
    load(session, real_days(history / BTC))
    days, whole = PriceService(session, FixedClock(NOW)).coverage("BTC", ["1d", "1mo"])
    hole = (datetime(2019, 3, 20, tzinfo=UTC), datetime(2019, 4, 1, tzinfo=UTC), 12)
    assert [(gap.start, gap.end, gap.missing) for gap in days.gaps] == [hole]
    assert days.rows == 1862
    assert (whole.rows, whole.gaps) == (62, [])


@pytest.mark.parametrize(
    ("texts", "mean"),
    [
        (["1", "1.000000000000000001"], "1.000000000000000000"),
        (["1.000000000000000001", "1.000000000000000002"], "1.000000000000000002"),
        (["1.000000000000000001", "1.000000000000000003"], "1.000000000000000002"),
        (["1", "1", "2"], "1.333333333333333333"),
        (["1", "2", "2"], "1.666666666666666667"),
        (["0.0000000000000000005", "0.0000000000000000005"], "0.000000000000000000"),
        (["0.0000000000000000015", "0.0000000000000000015"], "0.000000000000000002"),
        (["0.00000000000000000050000001"], "0.000000000000000001"),
        (["9999999999999999999999.5", "9999999999999999999999.6"], "9999999999999999999999.550000000000000000"),
    ],
)
def test_the_mean_is_exact_and_rounded_half_to_even(session: Session, texts: list[str], mean: str) -> None:
    load(session, [Bar(datetime(2025, 6, n + 1, tzinfo=UTC), Decimal(text)) for n, text in enumerate(texts)])
    assert months(session)[0]["mean_usd"] == mean


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        ((2025, 6, 1), (2025, 8, 1), [6, 7]),
        ((2025, 6, 1, 0, 0, 0, 1), (2025, 8, 1, 0, 0, 0, 1), [7, 8]),
        ((2025, 6, 15), (2025, 6, 30), []),
        ((2025, 5, 31), (2025, 6, 2), [6]),
    ],
)
def test_a_month_is_answered_whole_if_its_first_instant_lies_in_the_range(
    session: Session, start: tuple[int, ...], end: tuple[int, ...], found: list[int]
) -> None:
    first = datetime(2025, 5, 1, tzinfo=UTC)
    load(session, bars(150, start=first, step=DAY))
    answer = months(session, datetime(*start, tzinfo=UTC), datetime(*end, tzinfo=UTC))  # type: ignore[arg-type,misc]
    assert [int(str(month["timestamp"])[5:7]) for month in answer] == found
    assert all(month["samples"] in (30, 31) for month in answer)


@pytest.mark.parametrize(
    ("days", "seen", "final"),
    [
        (30, datetime(2025, 7, 1, tzinfo=UTC), True),
        (30, datetime(2025, 7, 1, tzinfo=UTC) - timedelta(microseconds=1), False),
        (29, datetime(2025, 8, 1, tzinfo=UTC), False),
    ],
)
def test_a_month_is_final_when_it_is_over_and_its_last_day_is(
    session: Session, days: int, seen: datetime, final: bool
) -> None:
    load(session, bars(days, start=datetime(2025, 6, 1, tzinfo=UTC), step=DAY), now=seen)
    assert months(session)[0]["final"] is final
