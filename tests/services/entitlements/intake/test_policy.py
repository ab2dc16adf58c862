"""When held access may be asked for anew."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.entitlements.grants.entities import Grant
from services.entitlements.intake.policy import Cell, renewable_from, skipped_as
from services.entitlements.requests.entities import RequestItem
from tests.services.entitlements.fakes import DAY, MS, T0

HOUR = timedelta(hours=1)
LEAP, NEW_YEAR = datetime(2028, 2, 29, tzinfo=UTC), datetime(2027, 12, 31, 23, 59, 59, tzinfo=UTC)
STARTS = st.one_of(
    st.datetimes(datetime(2024, 1, 1), datetime(2032, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.sampled_from([LEAP, NEW_YEAR, datetime(2026, 1, 31, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC)]),
)
TERMS = st.timedeltas(timedelta(seconds=1), 730 * DAY)


@pytest.mark.parametrize(
    ("term", "window"),
    [
        (365 * DAY, 14 * DAY),
        (70 * DAY, 14 * DAY),
        (50 * DAY, 10 * DAY),
        (5 * DAY, DAY),
        (3 * DAY, DAY),
        (DAY, DAY),
        (HOUR, DAY),
    ],
)
def test_the_window_is_a_fifth_of_the_term_at_least_a_day_and_at_most_fourteen(
    term: timedelta, window: timedelta
) -> None:
    assert T0 + term - renewable_from(T0, T0 + term) == window


@given(STARTS, TERMS)
@example(datetime(2028, 1, 31, tzinfo=UTC), 29 * DAY)
@example(LEAP - DAY, 2 * DAY)
@example(NEW_YEAR, 366 * DAY)
def test_the_window_never_depends_on_the_calendar(starts_at: datetime, term: timedelta) -> None:
    ends_at = starts_at + term
    opens = renewable_from(starts_at, ends_at)
    assert DAY <= ends_at - opens <= 14 * DAY
    assert ends_at - opens == renewable_end(term)
    assert opens - starts_at == renewable_from(T0, T0 + term) - T0


def renewable_end(term: timedelta) -> timedelta:
    """The same in whole microseconds."""
    fifth = timedelta(microseconds=round(term / timedelta(microseconds=1) / 5))
    return sorted((DAY, fifth, 14 * DAY))[1]


@given(STARTS, TERMS, TERMS)
def test_a_longer_term_never_opens_its_window_earlier(starts_at: datetime, one: timedelta, other: timedelta) -> None:
    shorter, longer = sorted((one, other))
    assert renewable_from(starts_at, starts_at + shorter) <= renewable_from(starts_at, starts_at + longer)


def grant(**fields: Any) -> Grant:
    cell: dict[str, Any] = {"account": UUID(int=1), "dataset": "BTC", "frequency": "1d", "created_at": T0}
    standard = {"kind": "standard", "origin": "ops", "starts_at": T0, "ends_at": T0 + 100 * DAY}
    return Grant(id=UUID(int=2), **{**cell, **standard, **fields})


TRIAL: dict[str, Any] = {"kind": "trial", "ends_at": T0 + 14 * DAY}


@pytest.mark.parametrize(
    ("held", "trial", "after", "why"),
    [
        ({}, False, timedelta(0), "already-granted"),
        ({}, False, 86 * DAY - MS, "already-granted"),
        ({}, False, 86 * DAY, None),
        ({}, True, 99 * DAY, "already-granted"),
        ({"ends_at": None}, False, 1000 * DAY, "already-granted"),
        ({"starts_at": T0 + 90 * DAY}, False, 89 * DAY, "already-granted"),
        ({"starts_at": T0 + 99 * DAY + HOUR}, False, 99 * DAY, "already-granted"),
        (TRIAL, False, timedelta(0), None),
        (TRIAL, False, 13 * DAY, None),
        (TRIAL, True, timedelta(0), "already-granted"),
        (TRIAL, True, 14 * DAY - MS, "already-granted"),
    ],
)
def test_held_access_is_skipped_but_near_its_end_and_for_an_upgrade(
    held: dict[str, Any], trial: bool, after: timedelta, why: str | None
) -> None:
    assert skipped_as(Cell("1d", None, grant(**held)), trial=trial, now=T0 + after) == why


def test_what_is_pending_is_skipped_whatever_is_held() -> None:
    cell: dict[str, Any] = {"account": UUID(int=1), "dataset": "BTC", "frequency": "1d"}
    item = RequestItem(id=UUID(int=3), request_id=UUID(int=4), lapse_at=T0 + DAY, **cell)
    for held in (None, grant(), grant(**TRIAL)):
        assert skipped_as(Cell("1d", item, held), trial=False, now=T0) == "already-pending"
    assert skipped_as(Cell("1d", None, None), trial=True, now=T0) is None
