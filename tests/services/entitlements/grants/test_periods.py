"""W5: whatever periods are asked for, a cell has one unclosed grant, its grants never overlap, nonsense is refused."""

from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from services.entitlements.grants.entities import Grant
from services.entitlements.grants.errors import CellHeld
from shared.errors import InvalidInput, Problem
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import DAY, T0, SetClock

FIRST: dict[str, dict[str, Any]] = {
    "running": {"duration_days": 10},
    "infinite": {"no_end": True},
    "a trial": {"trial": True},
    "scheduled": {"starts_at": T0 + 5 * DAY, "duration_days": 10},
    "scheduled for ever": {"starts_at": T0 + 5 * DAY, "no_end": True},
}
NEXT: dict[str, tuple[dict[str, Any], type[Problem] | None]] = {
    "overlapping": ({"duration_days": 20}, None),
    "the same": ({"ends_at": T0 + 10 * DAY}, None),
    "within": ({"duration_days": 2}, None),
    "infinite": ({"no_end": True}, None),
    "adjacent": ({"starts_at": T0 + 10 * DAY, "duration_days": 5}, CellHeld),
    "apart": ({"starts_at": T0 + 100 * DAY}, CellHeld),
    "reversed": ({"starts_at": T0 + 9 * DAY, "ends_at": T0 + 8 * DAY}, InvalidInput),
    "over already": ({"ends_at": T0}, InvalidInput),
    "zero-length": ({"starts_at": T0 + 9 * DAY, "ends_at": T0 + 9 * DAY}, InvalidInput),
    "in the past": ({"starts_at": T0 - DAY}, InvalidInput),
    "too long": ({"ends_at": T0 + 800 * DAY}, InvalidInput),
}


def periods(session: Session) -> list[tuple[datetime, datetime | None]]:
    """When each grant of the cell gave access, in order."""
    rows = session.execute(
        select(col(Grant.starts_at), func.coalesce(col(Grant.closed_at), col(Grant.ends_at)))
        .where(func.coalesce(col(Grant.closed_at) > col(Grant.starts_at), True))
        .order_by(col(Grant.starts_at))
    )
    return [(starts_at, over) for starts_at, over in rows]


def check_cell(session: Session) -> None:
    """At most one is unclosed, and none begins before the one before is over."""
    unclosed = select(func.count()).select_from(Grant).where(col(Grant.closed_at).is_(None))
    assert session.execute(unclosed).scalar_one() <= 1
    found = periods(session)
    assert all(over is not None and over <= starts for (_, over), (starts, _) in pairwise(found))


@pytest.mark.parametrize("way", ["decision", "direct grant"])
@pytest.mark.parametrize("then", list(NEXT))
@pytest.mark.parametrize("first", list(FIRST))
def test_w5_no_two_unclosed_grants_in_a_cell(desk: Desk, clock: SetClock, first: str, then: str, way: str) -> None:
    desk.give("1d", **FIRST[first])
    clock.at += DAY
    terms, refusal = NEXT[then]
    if refusal is CellHeld and first.startswith("scheduled"):
        refusal = None
    request, before = desk.ask_anyway("1d"), desk.counts()
    refused = None
    try:
        with desk.session.begin_nested():
            desk.decide(request, outcome="approve", **terms) if way == "decision" else desk.give("1d", **terms)
    except Problem as problem:
        refused = type(problem)
    assert refused is refusal
    assert desk.counts() == before if refused else desk.counts()["grants"] == before["grants"] + 1
    check_cell(desk.session)
