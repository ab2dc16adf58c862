"""What a grant's times mean, and the term that each decision gives."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.entitlements.grants.entities import CLOSE_REASONS, Grant
from services.entitlements.grants.policy import status_of, term_of
from services.entitlements.grants.schemas import Terms
from shared.errors import InvalidInput
from tests.services.entitlements.fakes import DAY, MS, T0

PLAIN, TRIAL = {"asked_days": None, "asked_trial": False}, {"asked_days": None, "asked_trial": True}


def grant(ends_at: datetime | None = T0 + DAY, **closing: Any) -> Grant:
    """A grant of BTC from T0."""
    cell: dict[str, Any] = {
        "account": UUID(int=1),
        "dataset": "BTC",
        "frequency": "1d",
        "kind": "standard",
    }
    return Grant(id=uuid4(), **cell, origin="ops", starts_at=T0, created_at=T0 - DAY, ends_at=ends_at, **closing)


@pytest.mark.parametrize(
    ("at", "ends_at", "status"),
    [
        (T0 - MS, T0 + DAY, "scheduled"),
        (T0, T0 + DAY, "active"),
        (T0 + DAY - MS, T0 + DAY, "active"),
        (T0 + DAY, T0 + DAY, "ended"),
        (T0 + DAY + MS, T0 + DAY, "ended"),
        (T0 + 9999 * DAY, None, "active"),
    ],
)
def test_a_status_is_computed_from_the_times(at: datetime, ends_at: datetime | None, status: str) -> None:
    assert status_of(grant(ends_at), at) == status


@pytest.mark.parametrize("reason", CLOSE_REASONS)
@pytest.mark.parametrize("at", [T0, T0 + 2 * DAY])
def test_a_closed_grant_stays_what_it_was_closed_as(reason: str, at: datetime) -> None:
    closed = grant(close_reason=reason, closed_at=T0)
    assert status_of(closed, at) == ("revoked" if reason == "account-closed" else reason)


@pytest.mark.parametrize(
    ("said", "asked", "kind", "starts", "days"),
    [
        ({}, PLAIN, "standard", 0, 365),
        ({}, TRIAL, "trial", 0, 14),
        ({}, {"asked_days": 30, "asked_trial": False}, "standard", 0, 30),
        ({}, {"asked_days": 7, "asked_trial": True}, "trial", 0, 7),
        ({"trial": True}, {"asked_days": 365, "asked_trial": False}, "trial", 0, 14),
        ({"trial": True}, PLAIN, "trial", 0, 14),
        ({"trial": False}, TRIAL, "standard", 0, 365),
        ({"duration_days": 730}, PLAIN, "standard", 0, 730),
        ({"duration_days": 1}, {"asked_days": 30, "asked_trial": False}, "standard", 0, 1),
        ({"duration_days": 14}, TRIAL, "trial", 0, 14),
        ({"starts_at": T0 + DAY}, PLAIN, "standard", 1, 365),
        ({"starts_at": T0}, PLAIN, "standard", 0, 365),
        ({"starts_at": T0 + DAY, "duration_days": 2}, PLAIN, "standard", 1, 2),
        ({"ends_at": T0 + 3 * DAY}, PLAIN, "standard", 0, 3),
        ({"ends_at": T0 + 14 * DAY}, TRIAL, "trial", 0, 14),
        ({"starts_at": T0 + DAY, "ends_at": T0 + 731 * DAY}, PLAIN, "standard", 1, 730),
    ],
)
def test_a_term_is_what_was_said_else_asked_else_the_default(
    said: dict[str, Any], asked: dict[str, Any], kind: str, starts: int, days: int
) -> None:
    term = term_of(Terms(**said), T0, **asked)
    assert term.ends_at is not None
    assert (term.kind, term.starts_at, term.ends_at - term.starts_at) == (kind, T0 + starts * DAY, days * DAY)


def test_only_a_spoken_no_end_gives_a_grant_without_an_end() -> None:
    assert term_of(Terms(no_end=True), T0).ends_at is None
    assert term_of(Terms(no_end=True, trial=False), T0, asked_trial=True).ends_at is None


@pytest.mark.parametrize(
    ("said", "asked", "field"),
    [
        ({"starts_at": T0 - MS}, PLAIN, "/starts_at"),
        ({"starts_at": T0 - MS, "no_end": True}, PLAIN, "/starts_at"),
        ({"ends_at": T0 - MS}, PLAIN, "/ends_at"),
        ({"ends_at": T0}, PLAIN, "/ends_at"),
        ({"starts_at": T0 + 2 * DAY, "ends_at": T0 + DAY}, PLAIN, "/ends_at"),
        ({"starts_at": T0 + DAY, "ends_at": T0 + DAY}, PLAIN, "/ends_at"),
        ({"ends_at": T0 + 730 * DAY + MS}, PLAIN, "/ends_at"),
        ({"ends_at": T0 + 14 * DAY + MS}, TRIAL, "/ends_at"),
        ({"duration_days": 15, "trial": True}, PLAIN, "/duration_days"),
        ({"duration_days": 15}, TRIAL, "/duration_days"),
        ({"no_end": True}, TRIAL, "/no_end"),
        ({"no_end": True, "trial": True}, PLAIN, "/no_end"),
    ],
)
def test_a_term_that_is_past_reversed_or_too_long_is_refused_at_its_field(
    said: dict[str, Any], asked: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        term_of(Terms(**said), T0, **asked, at="/decisions/2")
    assert refused.value.members["errors"][0]["pointer"] == "/decisions/2" + field


def test_the_clock_starts_at_the_decision() -> None:
    assert term_of(Terms(), T0 + timedelta(days=9)).starts_at == T0 + timedelta(days=9)
