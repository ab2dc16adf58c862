"""What the states of items mean for their request, now and later."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from services.entitlements.requests.entities import RequestItem
from services.entitlements.requests.policy import awaiting, is_undecided, item_status, reapply_after, request_status
from tests.services.entitlements.fakes import DAY, MS, T0


def item(status: str, **fields: Any) -> RequestItem:
    """An item that lapses in a day, if it is undecided."""
    cell: dict[str, Any] = {
        "request_id": uuid4(),
        "account": UUID(int=1),
        "dataset": "BTC",
        "frequency": "1d",
    }
    return RequestItem(id=uuid4(), **{**cell, "status": status, "lapse_at": T0 + DAY, **fields})


@pytest.mark.parametrize("status", ["pending", "needs-info"])
def test_an_undecided_item_lapses_on_the_millisecond(status: str) -> None:
    states = [item_status(item(status), T0 + DAY + shift) for shift in (-MS, 0 * MS, MS)]
    assert states == [status, "lapsed", "lapsed"]


@pytest.mark.parametrize("status", ["approved", "refused", "withdrawn", "lapsed"])
def test_a_decided_item_never_lapses(status: str) -> None:
    assert item_status(item(status), T0 + 2 * DAY) == status
    assert not is_undecided(item(status), T0)


@pytest.mark.parametrize(
    ("states", "status", "whose_turn"),
    [
        ("pending", "pending", "ops"),
        ("needs-info", "pending", "quant"),
        ("pending needs-info", "pending", "ops"),
        ("pending approved", "pending", "ops"),
        ("needs-info refused", "pending", "quant"),
        ("approved", "approved", None),
        ("approved approved", "approved", None),
        ("refused refused", "refused", None),
        ("withdrawn withdrawn", "withdrawn", None),
        ("lapsed", "lapsed", None),
        ("approved refused", "partially-approved", None),
        ("lapsed approved withdrawn", "partially-approved", None),
        ("refused withdrawn", "closed", None),
        ("lapsed refused", "closed", None),
    ],
)
def test_a_request_is_what_its_items_are(states: str, status: str, whose_turn: str | None) -> None:
    items = [item(state) for state in states.split()]
    assert (request_status(items, T0), awaiting(items, T0)) == (status, whose_turn)


def test_a_request_whose_items_run_out_is_lapsed_without_anybody_writing_it() -> None:
    items = [item("pending"), item("needs-info")]
    assert (request_status(items, T0 + DAY), awaiting(items, T0 + DAY)) == ("lapsed", None)


@pytest.mark.parametrize(
    ("fields", "granted", "expected"),
    [
        ({"status": "refused", "outcome_by": "ops", "decided_at": T0}, None, T0 + DAY),
        ({"status": "refused", "outcome_by": "ops", "decided_at": T0}, T0 - DAY, T0 + DAY),
        ({"status": "refused", "outcome_by": "ops", "decided_at": T0}, T0 + MS, None),
        ({"status": "refused", "outcome_by": "rule", "decided_at": T0}, None, None),
        ({"status": "approved", "outcome_by": "ops", "decided_at": T0}, None, None),
        ({"status": "lapsed", "decided_at": T0}, None, None),
        ({"status": "withdrawn", "decided_at": T0}, None, None),
        ({"status": "pending"}, None, None),
    ],
)
def test_only_a_refusal_by_ops_that_nothing_followed_keeps_from_asking_again(
    fields: dict[str, Any], granted: Any, expected: object
) -> None:
    assert reapply_after(item(**fields), granted) == expected
