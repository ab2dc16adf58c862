"""What the state of requests and their items means at an instant."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.entitlements.requests.entities import UNDECIDED, RequestItem

LAPSES_AFTER = timedelta(days=14)
REAPPLY_AFTER = timedelta(hours=24)
MAX_OPEN = 50


def item_status(item: RequestItem, now: datetime) -> str:
    """The item's status; an undecided one lapses by itself at `lapse_at`, whether or not that was written yet."""
    return "lapsed" if item.status in UNDECIDED and now >= item.lapse_at else item.status


def is_undecided(item: RequestItem, now: datetime) -> bool:
    """Whether Ops can still decide it."""
    return item_status(item, now) in UNDECIDED


def request_status(items: Sequence[RequestItem], now: datetime) -> str:
    """The request's status, derived from all of its items."""
    states = {item_status(item, now) for item in items}
    if states & set(UNDECIDED):
        return "pending"
    if len(states) == 1:
        return states.pop()
    return "partially-approved" if "approved" in states else "closed"


def awaiting(items: Sequence[RequestItem], now: datetime) -> str | None:
    """Whose turn it is: Ops' while anything is pending, the Quant's while only answers are missing."""
    states = {item_status(item, now) for item in items}
    if "pending" in states:
        return "ops"
    return "quant" if "needs-info" in states else None


def reapply_after(item: RequestItem, granted_at: datetime | None = None) -> datetime | None:
    """From when a refused cell may be asked for again; None where nothing stands in the way.

    A grant that was given after the refusal, at `granted_at`, took its place.
    """
    if item.status != "refused" or item.outcome_by == "rule" or item.decided_at is None:
        return None
    if granted_at is not None and granted_at >= item.decided_at:
        return None
    return item.decided_at + REAPPLY_AFTER
