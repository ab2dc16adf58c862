"""What is said of a term, and when."""

from datetime import datetime, timedelta

import pytest

from services.entitlements.announcements.policy import announcements_of, thresholds
from tests.services.entitlements.fakes import DAY, MS, T0

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("term", "names"),
    [
        (730 * DAY, ["14d", "3d", "1d"]),
        (30 * DAY, ["14d", "3d", "1d"]),
        (30 * DAY - MS, ["3d", "1d"]),
        (3 * DAY, ["3d", "1d"]),
        (3 * DAY - MS, ["6h"]),
        (DAY, ["6h"]),
        (DAY - MS, []),
        (HOUR, []),
    ],
)
def test_the_longer_a_term_the_more_often_its_end_is_told(term: timedelta, names: list[str]) -> None:
    assert [name for name, _ in thresholds(term)] == names


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "due"),
    [
        (T0, None, []),
        (T0 + DAY, None, [("grant.started", "", T0 + DAY)]),
        (T0, T0 + HOUR, [("grant.ended", "", T0 + HOUR)]),
        (T0, T0 + DAY, [("grant.ending", "6h", T0 + 18 * HOUR), ("grant.ended", "", T0 + DAY)]),
        (
            T0 + DAY,
            T0 + 5 * DAY,
            [
                ("grant.started", "", T0 + DAY),
                ("grant.ending", "3d", T0 + 2 * DAY),
                ("grant.ending", "1d", T0 + 4 * DAY),
                ("grant.ended", "", T0 + 5 * DAY),
            ],
        ),
    ],
)
def test_what_is_due_follows_from_the_term(
    starts_at: datetime, ends_at: datetime | None, due: list[tuple[str, str, datetime]]
) -> None:
    assert announcements_of(starts_at, ends_at, T0) == due
