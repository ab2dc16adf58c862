"""Which decisions make sense."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.entitlements.decisions.schemas import Decision

YES, NO = {"frequency": "1d", "outcome": "approve"}, {"frequency": "1h", "outcome": "refuse", "reason": "No."}


@pytest.mark.parametrize(
    "body",
    [
        {"outcome": "approve"},
        {"outcome": "approve", "duration_days": 30, "note": "Fine.", "reason": "Welcome."},
        {"outcome": "approve", "no_end": True},
        {"outcome": "refuse", "reason": "No.", "reason_code": "licence-missing"},
        {"decisions": [YES, NO], "note": "Both."},
        {"decisions": [YES], "outcome": None, "reason": None, "trial": None},
        {"decisions": [{**YES, "trial": True, "ends_at": "2026-06-01"}]},
    ],
)
def test_a_decision_is_one_outcome_for_all_or_one_for_each(body: dict[str, Any]) -> None:
    assert Decision.model_validate(body)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"note": "Hm."},
        {"decisions": []},
        {"outcome": "maybe"},
        {"outcome": "approve", "decisions": [YES]},
        {"outcome": "refuse"},
        {"outcome": "refuse", "reason": "  "},
        {"outcome": "refuse", "reason": "No.", "duration_days": 3},
        {"outcome": "refuse", "reason": "No.", "trial": False},
        {"decisions": [{"frequency": "1h", "outcome": "refuse"}]},
        {"decisions": [{"frequency": "1h"}]},
        {"decisions": [YES, {**NO, "frequency": "1d"}]},
        {"decisions": [YES], "reason": "Outside."},
        {"decisions": [YES], "duration_days": 3},
        {"decisions": [{**YES, "note": "Inside."}]},
        {"outcome": "approve", "no_end": False},
        {"outcome": "approve", "no_end": True, "duration_days": 3},
        {"outcome": "approve", "ends_at": "2026-06-01", "duration_days": 3},
        {"outcome": "approve", "ends_at": "2026-06-01T00:00:00"},
        {"outcome": "approve", "duration_days": 0},
        {"outcome": "approve", "duration_days": 731},
        {"outcome": "approve", "reason": "\0"},
        {"outcome": "approve", "frequency": "1d"},
    ],
)
def test_a_decision_that_says_too_little_too_much_or_both_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Decision.model_validate(body)


def test_one_outcome_is_for_every_open_item() -> None:
    verdicts = Decision.model_validate({"outcome": "approve", "duration_days": 3}).for_items(["1h", "1d"])
    assert [(v.frequency, v.outcome, v.duration_days) for v in verdicts] == [("1h", "approve", 3), ("1d", "approve", 3)]
