"""What the state of requests and their items means at an instant."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from services.entitlements.requests.entities import UNDECIDED, RequestItem
from services.entitlements.requests.errors import AlreadyDecided, NotAskedFor
from shared.principal import Principal
from shared.wire import instant_text

LAPSES_AFTER = timedelta(days=14)
REAPPLY_AFTER = timedelta(hours=24)
MAX_OPEN = 50


def item_status(item: RequestItem, now: datetime) -> str:
    """The item's status; an undecided one lapses by itself at `lapse_at`, whether or not that was written yet."""
    return "lapsed" if item.status in UNDECIDED and now >= item.lapse_at else item.status


def is_undecided(item: RequestItem, now: datetime) -> bool:
    """Whether Ops can still decide it."""
    return item_status(item, now) in UNDECIDED


def undecided_of(
    items: Sequence[RequestItem], frequencies: Sequence[str] | None, now: datetime, to: Principal
) -> list[RequestItem]:
    """The undecided items that a body names, else all there are, perhaps none.

    Raises NotAskedFor, or AlreadyDecided where one that is named is not open any more.
    """
    if not set(frequencies or ()) <= {item.frequency for item in items}:
        raise NotAskedFor(requested=sorted(item.frequency for item in items))
    meant = [item for item in items if frequencies is None or item.frequency in frequencies]
    open_ = [item for item in meant if is_undecided(item, now)]
    if frequencies is not None and len(open_) < len(meant):
        raise AlreadyDecided(items=fates([item for item in meant if item not in open_], now, to))
    return open_


def fates(items: Sequence[RequestItem], now: datetime, to: Principal) -> list[dict[str, Any]]:
    """What became of items and when; Ops is told by whom, too."""
    return [
        {
            "frequency": item.frequency,
            "status": item_status(item, now),
            "decided_at": instant_text(item.decided_at or (item.lapse_at if now >= item.lapse_at else None)),
            **({"decided_by": str(item.decided_by) if item.decided_by else None} if to.is_ops else {}),
        }
        for item in items
    ]


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


def cooldowns(newest: Iterable[RequestItem], granted_at: Mapping[str, datetime]) -> dict[str, datetime]:
    """Which of these cells, by frequency, may be asked for again from when only, whatever else stands about them."""
    found = {item.frequency: reapply_after(item, granted_at.get(item.frequency)) for item in newest}
    return {frequency: at for frequency, at in found.items() if at is not None}


def reapply_after(item: RequestItem, granted_at: datetime | None = None) -> datetime | None:
    """From when a refused cell may be asked for again; None where nothing stands in the way.

    A grant that was given after the refusal, at `granted_at`, took its place; the end of one given before changes
    nothing.
    """
    if item.status != "refused" or item.outcome_by == "rule" or item.decided_at is None:
        return None
    if granted_at is not None and granted_at >= item.decided_at:
        return None
    return item.decided_at + REAPPLY_AFTER
