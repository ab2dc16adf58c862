"""The rows of requests: status in SQL is status in the policy, and locks come in one order."""

from datetime import datetime
from itertools import combinations_with_replacement
from typing import Any, cast, get_args
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert
from sqlalchemy.orm import Session

from services.entitlements.grants.entities import Grant
from services.entitlements.requests.entities import AccessRequest, RequestItem
from services.entitlements.requests.policy import request_status
from services.entitlements.requests.repository import RequestRepository
from services.entitlements.requests.schemas import RequestsQuery, RequestStatus
from shared.clock import DatabaseClock
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import DAY, QUANT

FREQUENCIES = ("1h", "1d", "1mo")
STATES = [
    *[(status, lapses) for status in ("pending", "needs-info") for lapses in (-1, 1)],
    *[(status, -1) for status in ("approved", "refused", "withdrawn", "lapsed")],
]


def every_mixture(session: Session, now: datetime) -> dict[Any, list[RequestItem]]:
    """A request for each combination of at most three states, written."""
    grant = {"id": uuid4(), "account": uuid4(), "dataset": "BTC", "frequency": "1d", "kind": "standard"}
    session.execute(insert(Grant).values(**grant, origin="ops", starts_at=now, created_at=now))
    requests: dict[Any, list[RequestItem]] = {}
    for size in (1, 2, 3):
        for states in combinations_with_replacement(STATES, size):
            request, account = uuid4(), uuid4()
            requests[request] = [
                RequestItem(
                    id=uuid4(),
                    request_id=request,
                    account=account,
                    dataset="BTC",
                    frequency=frequency,
                    status=status,
                    lapse_at=now + days * DAY,
                    decided_at=None if status in ("pending", "needs-info") else now - DAY,
                    grant_id=cast("UUID", grant["id"]) if status == "approved" else None,
                )
                for frequency, (status, days) in zip(FREQUENCIES, states, strict=False)
            ]
    common = {"dataset": "BTC", "trial": False, "created_at": now, "lapse_at": now}
    accounts = [{"id": request, "account": items[0].account, **common} for request, items in requests.items()]
    session.execute(insert(AccessRequest).values(accounts))
    session.execute(insert(RequestItem).values([item.model_dump() for items in requests.values() for item in items]))
    return requests


def test_every_status_in_sql_is_the_status_of_the_policy(session: Session) -> None:
    now = DatabaseClock().now(session)
    requests = every_mixture(session, now)
    by_policy = {request: request_status(items, now) for request, items in requests.items()}
    assert set(by_policy.values()) == set(get_args(RequestStatus))
    by_sql = {
        request.id: status
        for status in get_args(RequestStatus)
        for request in RequestRepository(session).page(
            RequestsQuery(status=status), now=now, account=None, after=None, limit=500
        )
    }
    assert by_sql == by_policy


def test_locks_are_taken_in_the_same_order_by_request_and_by_cell(desk: Desk, session: Session) -> None:
    request = desk.ask("1mo", "1h", "1d")
    repository = RequestRepository(session)
    by_request = [item.id for item in repository.lock_items(request.id)]
    by_cell = [item.id for item in repository.lock_undecided(QUANT.account_id, "BTC", ["1h", "1d", "1mo"])]
    assert by_request == by_cell == sorted(by_cell)


def test_the_latest_item_of_a_cell_is_the_newest(desk: Desk, session: Session) -> None:
    first = desk.ask("1d", "1h")
    [grant] = [i.grant for i in desk.decide(first.id, outcome="approve").items if i.frequency == "1d"]
    assert grant is not None
    desk.revoke(grant)
    second = desk.ask("1d")
    latest = RequestRepository(session).latest(QUANT.account_id, "BTC", ["1d", "1h"])
    assert {i.frequency: i.request_id for i in latest} == {"1d": second.id, "1h": first.id}


def test_an_item_is_decided_once(desk: Desk, session: Session) -> None:
    request = desk.ask("1d")
    [item] = RequestRepository(session).items([request.id])
    outcome = {"status": "withdrawn", "decided_at": request.created_at}
    assert [RequestRepository(session).decide(item.id, **outcome) for _ in range(2)] == [True, False]


@pytest.mark.parametrize(("days", "status"), [(13, "pending"), (14, "lapsed")])
def test_what_lapsed_is_written_by_whoever_comes_next(desk: Desk, session: Session, days: int, status: str) -> None:
    request = desk.ask("1d")
    repository, now = RequestRepository(session), request.created_at + days * DAY
    assert desk.requests.write_due_lapses(now, 10) == (status == "lapsed")
    [item] = repository.items([request.id])
    assert item.status == status
    assert item.decided_at == (request.lapse_at if status == "lapsed" else None)
