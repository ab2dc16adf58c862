"""What the entitlements' tables say to Prometheus."""

from sqlalchemy.orm import Session

from services.entitlements.module import module
from tests.services.entitlements.desk import Desk


def figures(session: Session) -> dict[str, float]:
    """All of them."""
    return {name: value for gauges in module.gauges for name, value in gauges(session).items()}


def test_what_waits_for_a_decision_and_what_is_granted_is_counted(session: Session) -> None:
    desk = Desk(session)
    before = figures(session)
    assert (before["requests_pending"], before["requests_oldest_seconds"], before["grants_active"]) == (0, 0, 0)
    first = desk.ask("1h", "1d")
    desk.give("1mo")
    after = figures(session)
    assert (after["requests_pending"], after["grants_active"]) == (2, 1)
    desk.refuse(first.id)
    assert figures(session)["requests_pending"] == 0
