"""Which source may follow which, the calendar of bars, the format that is meant."""

from datetime import UTC, datetime, timedelta

import pytest

from services.pricing.prices.policy import (
    admit,
    bars_between,
    is_known,
    month_from,
    negotiate,
    next_bar,
    ranges,
    stored_frequencies,
    tag,
)
from services.pricing.prices.schemas import Edition


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("stored", "offered", "replace", "step"),
    [
        (None, "sample", False, "append"),
        (None, "coincap", False, "append"),
        ("sample", "sample", False, "append"),
        ("sample", "coincap", False, "replace"),
        ("sample", "imported", False, "replace"),
        ("coincap", "sample", False, "refuse"),
        ("imported", "sample", False, "refuse"),
        ("coincap", "imported", False, "refuse"),
        ("imported", "coincap", False, "refuse"),
        ("imported", "imported", False, "append"),
        ("coincap", "imported", True, "replace"),
        ("imported", "imported", True, "replace"),
    ],
)
def test_a_series_is_never_a_mixture(stored: str | None, offered: str, replace: bool, step: str) -> None:
    assert admit(stored, offered, replace=replace) == step


@pytest.mark.parametrize(
    ("at", "month"),
    [
        (utc(2026, 1, 1), utc(2026, 1, 1)),
        (utc(2026, 1, 1, 0, 0, 0, 1), utc(2026, 2, 1)),
        (utc(2026, 1, 31, 23, 59), utc(2026, 2, 1)),
        (utc(2024, 2, 29), utc(2024, 3, 1)),
        (utc(2026, 12, 2), utc(2027, 1, 1)),
    ],
)
def test_the_first_month_from_an_instant(at: datetime, month: datetime) -> None:
    assert month_from(at) == month


@pytest.mark.parametrize(
    ("frequency", "at", "following", "after_a_year"),
    [
        ("1h", utc(2026, 1, 31, 23), utc(2026, 2, 1), 8760),
        ("1d", utc(2026, 12, 31), utc(2027, 1, 1), 365),
        ("1mo", utc(2026, 12, 1), utc(2027, 1, 1), 12),
    ],
)
def test_the_calendar_of_bars(frequency: str, at: datetime, following: datetime, after_a_year: int) -> None:
    assert next_bar(frequency, at) == following
    assert bars_between(frequency, at, at.replace(year=2027)) == after_a_year


@pytest.mark.parametrize(
    ("offered", "stored"),
    [([], ()), (["1mo"], ("1d",)), (["1d", "1mo"], ("1d",)), (["1mo", "1h"], ("1h", "1d"))],
)
def test_months_need_days(offered: list[str], stored: tuple[str, ...]) -> None:
    assert stored_frequencies(offered) == stored


@pytest.mark.parametrize(
    ("accept", "format_"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("application/json", "json"),
        ("text/csv", "csv"),
        ("Text/CSV; charset=utf-8", "csv"),
        ("text/csv;q=0.5, application/json", "json"),
        ("application/json;q=0.5, text/csv", "csv"),
        ("text/csv, */*;q=0.1", "csv"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "json"),
        ("application/vnd.apache.arrow.stream", "arrow"),
        ("application/vnd.apache.parquet", "parquet"),
        ("application/vnd.apache.parquet;q=0.9, application/*;q=0.5", "parquet"),
        ("application/*", "json"),
        ("text/*", "csv"),
        ("*/*, application/json;q=0", "csv"),
        ("text/csv;q=0", None),
        ("text/csv;q=much", None),
        ("text/html", None),
        ("application/xml, image/*", None),
        (",;,q=", "json"),
    ],
)
def test_the_format_that_is_meant(accept: str, format_: str | None) -> None:
    assert negotiate(accept) == format_


def test_a_range_in_which_too_many_bars_could_start_is_parted_without_a_gap() -> None:
    start, end = utc(1901, 1, 1), utc(2999, 1, 1)
    assert ranges("1d", start, end) == [(start, end)]
    assert ranges("1h", start, start + 5_000_000 * timedelta(hours=1)) == [
        (start, start + 5_000_000 * timedelta(hours=1))
    ]
    parts = ranges("1h", start, end)
    assert [parts[0][0], parts[1][0], parts[1][1]] == [start, parts[0][1], end]
    assert all(bars_between("1h", *part) <= 5_000_000 for part in parts)


def test_a_tag_names_version_time_and_format() -> None:
    edition = Edition(7, utc(2026, 1, 1))
    tags = {
        tag(edition, "csv"),
        tag(edition, "json"),
        tag(Edition(8, utc(2026, 1, 1)), "csv"),
        tag(Edition(7, utc(2026, 1, 1, 0, 0, 0, 1)), "csv"),
        tag(Edition(0, None), "csv"),
    }
    assert len(tags) == 5
    assert all(name.startswith('"') and name.endswith('"') for name in tags)


@pytest.mark.parametrize(
    ("header", "known"),
    [('"1-0-csv"', True), ('W/"1-0-csv"', True), ('"x", "1-0-csv"', True), ("*", True), ('"1-0"', False), ("", False)],
)
def test_a_tag_is_known_to_who_names_it(header: str, known: bool) -> None:
    assert is_known(header, '"1-0-csv"') is known
