"""Which cells a request is about: what is pending already, what is held, and when held access may be asked for anew."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.entitlements.grants.entities import Grant
from services.entitlements.requests.entities import RequestItem

DAY = timedelta(days=1)
LONGEST_WINDOW = 14 * DAY
Outcome = Literal["approved", "refused", "pending"]
Why = Literal["already-pending", "already-granted"]
STATUS: dict[str, Outcome] = {"approve": "approved", "refuse": "refused", "refer": "pending", "error": "pending"}


@dataclass(frozen=True)
class Cell:
    """What stands about one frequency: an undecided item, and the grant that runs or is to begin."""

    frequency: str
    pending: RequestItem | None
    held: Grant | None


def skipped_as(cell: Cell, *, trial: bool, now: datetime) -> Why | None:
    """Why a frequency needs no new item; None where it is to be asked for."""
    if cell.pending is not None:
        return "already-pending"
    if cell.held is None or (not trial and _may_be_renewed(cell.held, now)):
        return None
    return "already-granted"


def _may_be_renewed(grant: Grant, now: datetime) -> bool:
    """A trial may be followed by standard access at any time, a standard grant near its end only."""
    if grant.kind == "trial":
        return True
    return grant.ends_at is not None and now >= max(grant.starts_at, renewable_from(grant.starts_at, grant.ends_at))


def renewable_from(starts_at: datetime, ends_at: datetime) -> datetime:
    """When the renewal window opens: the last fifth of the term, but at least a day of it and at most 14."""
    return ends_at - min(max((ends_at - starts_at) / 5, DAY), LONGEST_WINDOW)
