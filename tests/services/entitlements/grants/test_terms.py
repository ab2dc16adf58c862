"""Terms by arithmetic: whole days wherever they fall, month ends and leap days included."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.entitlements.grants.entities import Grant
from services.entitlements.grants.policy import MAX_DAYS, TRIAL_DAYS, later, shortens, status_of, term_of
from services.entitlements.grants.schemas import Terms
from shared.errors import InvalidInput
from tests.services.entitlements.fakes import DAY, MS

EDGES = [
    datetime(2027, 1, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(2027, 2, 28, tzinfo=UTC),
    datetime(2028, 2, 28, 12, tzinfo=UTC),
    datetime(2028, 2, 29, tzinfo=UTC),
    datetime(2028, 2, 29, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(2027, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(2100, 2, 28, 23, tzinfo=UTC),
]
SOMETIME = st.datetimes(datetime(2020, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - by timezones
NOW = st.one_of(st.sampled_from(EDGES), SOMETIME)
DAYS = st.integers(1, MAX_DAYS)
END = st.one_of(st.none(), NOW)


@given(now=NOW, days=DAYS, wait=st.integers(0, 400))
def test_a_term_is_so_many_days_of_24_hours_from_its_start(now: datetime, days: int, wait: int) -> None:
    term = term_of(Terms(duration_days=days, starts_at=now + wait * DAY), now)
    assert term.ends_at is not None
    assert (term.ends_at - term.starts_at, term.starts_at - now) == (timedelta(days=days), wait * DAY)
    assert term.ends_at.timetz() == now.timetz()


@given(now=NOW, days=DAYS)
def test_days_and_their_end_say_the_same(now: datetime, days: int) -> None:
    assert term_of(Terms(duration_days=days), now) == term_of(Terms(ends_at=now + days * DAY), now)


@given(now=NOW, days=st.one_of(st.none(), DAYS), trial=st.booleans())
def test_what_was_asked_never_gives_more_than_its_kind_may(now: datetime, days: int | None, trial: bool) -> None:
    term = term_of(Terms(), now, asked_days=days, asked_trial=trial)
    assert term.ends_at is not None
    assert timedelta() < term.ends_at - now <= timedelta(days=TRIAL_DAYS if trial else MAX_DAYS)


@given(now=NOW, starts=NOW, ends=NOW)
def test_no_term_is_empty_reversed_past_or_too_long(now: datetime, starts: datetime, ends: datetime) -> None:
    sensible = now <= starts < ends <= starts + MAX_DAYS * DAY
    if not sensible:
        with pytest.raises(InvalidInput):
            term_of(Terms(starts_at=starts, ends_at=ends), now)
        return
    term = term_of(Terms(starts_at=starts, ends_at=ends), now)
    assert (term.starts_at, term.ends_at) == (starts, ends)


@given(old=END, new=END)
def test_the_later_of_two_ends_shortens_neither(old: datetime | None, new: datetime | None) -> None:
    end = later(old, new)
    assert end in (old, new)
    assert not shortens(old, end)
    assert not shortens(new, end)
    assert later(new, old) == end


@given(starts=NOW, days=DAYS)
def test_a_status_changes_at_its_two_instants_and_nowhere_else(starts: datetime, days: int) -> None:
    times: dict[str, Any] = {"starts_at": starts, "ends_at": starts + days * DAY, "created_at": starts}
    grant = Grant(kind="standard", origin="ops", account=uuid4(), dataset="BTC", frequency="1d", id=uuid4(), **times)
    at = [starts - MS, starts, starts + days * DAY - MS, starts + days * DAY]
    assert [status_of(grant, now) for now in at] == ["scheduled", "active", "active", "ended"]
