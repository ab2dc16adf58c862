"""One answer to who may read, for every state that a cell can be in."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.entitlements.access.policy import State, access_of, changes
from services.entitlements.grants.entities import Grant
from services.entitlements.intake.policy import Outcome
from services.entitlements.requests.entities import RequestItem
from tests.services.entitlements.fakes import DAY, MS, T0


def a_grant(
    start: float, end: float | None, *, at: float | None = None, kind: str = "standard", **closing: Any
) -> Grant:
    """A grant from day to day, made when it starts or at another day; closed on day 5, if closed."""
    return Grant(
        id=uuid4(),
        account=UUID(int=1),
        dataset="BTC",
        frequency="1d",
        kind=kind,
        origin="ops",
        starts_at=T0 + start * DAY,
        ends_at=None if end is None else T0 + end * DAY,
        created_at=T0 + (start if at is None else at) * DAY,
        closed_at=T0 + 5 * DAY if closing else None,
        **closing,
    )


def an_item(status: str, decided: float | None = None, lapses: float = 14, by: str = "ops") -> RequestItem:
    """An item that was decided on a day."""
    return RequestItem(
        id=uuid4(),
        request_id=uuid4(),
        account=UUID(int=1),
        dataset="BTC",
        frequency="1d",
        status=status,
        outcome_by=by if status in ("approved", "refused") else None,
        decided_at=None if decided is None else T0 + decided * DAY,
        lapse_at=T0 + lapses * DAY,
    )


STATES = [
    ("never-requested", None, []),
    ("pending", None, [an_item("pending")]),
    ("needs-info", None, [an_item("needs-info")]),
    ("lapsed", None, [an_item("pending", lapses=10)]),
    ("lapsed", None, [an_item("needs-info", lapses=9)]),
    ("lapsed", None, [an_item("lapsed", 9)]),
    ("refused", None, [an_item("refused", 9)]),
    ("never-requested", None, [an_item("withdrawn", 9)]),
    ("active", a_grant(0, 20), []),
    ("active", a_grant(0, None), []),
    ("active", a_grant(0, 20), [an_item("pending")]),
    ("active", a_grant(0, 20), [an_item("refused", 9)]),
    ("active", a_grant(10, 20), [an_item("approved", 10)]),
    ("scheduled", a_grant(11, 20, at=9), []),
    ("scheduled", a_grant(11, 20, at=9), [an_item("approved", 9)]),
    ("pending", a_grant(11, 20, at=9), [an_item("pending")]),
    ("ended", a_grant(0, 10), [an_item("approved", 0)]),
    ("ended", a_grant(0, 4, close_reason="ended"), []),
    ("trial-ended", a_grant(0, 10, kind="trial"), []),
    ("trial-ended", a_grant(0, 4, kind="trial", close_reason="ended"), []),
    ("revoked", a_grant(0, 20, close_reason="revoked"), [an_item("approved", 0)]),
    ("revoked", a_grant(0, 20, kind="trial", close_reason="revoked"), []),
    ("revoked", a_grant(0, 20, close_reason="account-closed"), []),
    ("relinquished", a_grant(0, 20, close_reason="relinquished"), []),
    ("pending", a_grant(0, 20, close_reason="revoked"), [an_item("pending")]),
    ("lapsed", a_grant(0, 20, close_reason="revoked"), [an_item("pending", lapses=8)]),
    ("refused", a_grant(0, 20, close_reason="revoked"), [an_item("refused", 6)]),
    ("revoked", a_grant(0, 20, close_reason="revoked"), [an_item("refused", 4)]),
    ("never-requested", a_grant(0, 4), [an_item("withdrawn", 6)]),
]


@pytest.mark.parametrize(("state", "grant", "items"), STATES)
def test_every_state_has_its_name_and_only_a_running_grant_allows(
    state: str, grant: Grant | None, items: list[RequestItem]
) -> None:
    access = access_of([grant] if grant else [], items, T0 + 10 * DAY)
    assert (access.state, access.allowed) == (state, state == "active")


@pytest.mark.parametrize(
    ("at", "allowed"),
    [(T0 - MS, False), (T0, True), (T0 + DAY - MS, True), (T0 + DAY, False), (T0 + DAY + MS, False)],
)
def test_a_grant_allows_from_its_start_up_to_its_end(at: datetime, allowed: bool) -> None:
    assert access_of([a_grant(0, 1)], [], at).allowed is allowed


def test_a_refusal_says_from_when_one_may_ask_again_unless_a_rule_refused() -> None:
    by_ops, by_rule = (access_of([], [an_item("refused", 9, by=by)], T0 + 10 * DAY) for by in ("ops", "rule"))
    assert by_ops.reapply_after == T0 + 10 * DAY
    assert by_rule.reapply_after is None


@pytest.mark.parametrize(
    ("state", "outcome", "full", "changed"),
    [
        ("never-requested", "pending", False, True),
        ("never-requested", "pending", True, False),
        ("never-requested", "approved", True, True),
        ("never-requested", "refused", True, True),
        ("revoked", "refused", False, True),
        ("refused", "refused", False, False),
        ("refused", "pending", False, True),
        ("refused", "approved", True, True),
    ],
)
def test_asking_changes_a_state_unless_it_is_refused_again_or_cannot_wait(
    state: State, outcome: Outcome, full: bool, changed: bool
) -> None:
    assert changes(state, outcome, full=full) is changed
