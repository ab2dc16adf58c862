"""The rows of grants: status in SQL is status in the policy, and a cell takes one unclosed grant."""

from datetime import timedelta
from itertools import product
from typing import Any, get_args
from uuid import UUID, uuid4

from sqlalchemy import insert
from sqlalchemy.orm import Session

from services.entitlements.grants.entities import CLOSE_REASONS, Grant
from services.entitlements.grants.policy import status_of
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.grants.schemas import GrantsQuery, GrantStatus
from shared.clock import DatabaseClock
from tests.services.entitlements.fakes import DAY, T0

ACCOUNT = uuid4()


def a_grant(account: UUID = ACCOUNT, **fields: Any) -> Grant:
    """A grant of BTC, daily."""
    term: dict[str, Any] = {"starts_at": T0, "ends_at": T0 + DAY, "created_at": T0}
    cell = {"account": account, "dataset": "BTC", "frequency": "1d", "kind": "standard", "origin": "ops"}
    return Grant(id=uuid4(), **{**term, **cell, **fields})


def test_every_status_in_sql_is_the_status_of_the_policy(session: Session) -> None:
    now = DatabaseClock().now(session)
    hours = [timedelta(hours=hour) for hour in (-2, -1, 1, 2)]
    grants = [
        a_grant(
            account=uuid4(),
            starts_at=now + start,
            ends_at=None if end is None else now + end,
            close_reason=reason,
            closed_at=now if reason else None,
        )
        for start, end, reason in product(hours, [*hours, None], [*CLOSE_REASONS, None])
        if end is None or start < end
    ]
    session.execute(insert(Grant).values([grant.model_dump() for grant in grants]))
    by_policy = {grant.id: status_of(grant, now) for grant in grants}
    assert set(by_policy.values()) == set(get_args(GrantStatus))
    by_sql = {
        grant.id: status
        for status in get_args(GrantStatus)
        for grant in GrantRepository(session).page(GrantsQuery(status=status), account=None, after=None, limit=500)
    }
    assert by_sql == by_policy


def test_a_second_unclosed_grant_of_a_cell_is_not_written(session: Session) -> None:
    grants = GrantRepository(session)
    written = [grants.add(grant) for grant in (a_grant(), a_grant(), a_grant(frequency="1h"), a_grant(account=uuid4()))]
    assert written == [True, False, True, True]


def test_the_latest_grant_is_the_newest_that_was_not_superseded(session: Session) -> None:
    grants = GrantRepository(session)
    closed: dict[str, Any] = {"closed_at": T0, "close_reason": "superseded"}
    old, newest = a_grant(closed_at=T0, close_reason="revoked"), a_grant(created_at=T0 + 2 * DAY, **closed)
    for grant in (a_grant(created_at=T0 - DAY, **closed), old, newest):
        grants.add(grant)
    assert [found.id for found in grants.latest(ACCOUNT, "BTC", ["1d", "1h"])] == [old.id]


def test_lists_are_narrowed_by_every_filter(session: Session) -> None:
    grants = GrantRepository(session)
    one, other = a_grant(), a_grant(account=uuid4(), dataset="ETH", frequency="1h", ends_at=T0 + 9 * DAY)
    for grant in (one, other):
        grants.add(grant)
    narrowed: list[dict[str, object]] = [
        {"account": ACCOUNT},
        {"dataset": "BTC"},
        {"frequency": "1d"},
        {"ending_before": T0 + 2 * DAY},
    ]
    for query in narrowed:
        page = grants.page(GrantsQuery.model_validate(query), account=None, after=None, limit=10)
        assert [grant.id for grant in page] == [one.id], query
