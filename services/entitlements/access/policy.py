"""Decides access from what stands about a cell at an instant."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from services.entitlements.accounts.entities import Account
from services.entitlements.accounts.policy import standing_of
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.policy import OPEN, closed_at, in_grace, status_of, until
from services.entitlements.intake.policy import Outcome
from services.entitlements.requests.entities import UNDECIDED, RequestItem
from services.entitlements.requests.policy import cooldowns, item_status

State = Literal[
    "active",
    "scheduled",
    "never-requested",
    "pending",
    "needs-info",
    "refused",
    "lapsed",
    "ended",
    "trial-ended",
    "revoked",
    "relinquished",
    "blocked",
]


@dataclass(frozen=True)
class Access:
    """Whether a cell may be read, and why: the state with the facts behind it, and the frequency they are of."""

    state: State
    frequency: str | None = None
    grant: UUID | None = None
    until: datetime | None = None
    grace_until: datetime | None = None
    request: UUID | None = None
    reason: str | None = None
    starts_at: datetime | None = None
    ended_at: datetime | None = None
    reapply_after: datetime | None = None

    @property
    def allowed(self) -> bool:
        """Only a running grant allows."""
        return self.state == "active"


def access_of(grants: Sequence[Grant], items: Sequence[RequestItem], now: datetime) -> Access:
    """Access from the newest grants and items of the cells in question: a running grant allows; else an undecided item
    explains the denial, else the latest fact.

    Whichever fact that is, it tells from when its cell may be asked for again, if that was refused.
    """
    access = _access_of(grants, items, now)
    cooling = cooldowns(items, {grant.frequency: grant.created_at for grant in grants})
    return replace(access, reapply_after=cooling.get(access.frequency or ""))


def _access_of(grants: Sequence[Grant], items: Sequence[RequestItem], now: datetime) -> Access:
    granted = [_from_grant(grant, now) for grant in grants]
    for _, access in granted:
        if access.allowed:
            return access
    facts = granted + [_from_item(item, now) for item in items if item.status != "approved"]  # its grant tells
    undecided = [access for _, access in facts if access.state in UNDECIDED]
    if undecided:
        return undecided[0]
    return max(facts, key=lambda fact: fact[0])[1] if facts else Access("never-requested")


def changes(state: State, outcome: Outcome, *, full: bool) -> bool:
    """Whether asking for a cell in this state, answered so, changes it; if `full`, no more may wait for Ops."""
    if outcome == "pending":
        return not full
    return outcome == "approved" or state != "refused"


def blocked_of(account: Account | None, now: datetime) -> Access | None:
    """What a blocked or closed account is told of every cell; None in good standing."""
    if account is None or standing_of(account, now) == "good":
        return None
    return Access("blocked", reason=account.standing_reason, reapply_after=account.blocked_until)


def running(grant: Grant, now: datetime) -> Access:
    """What a grant that has begun, or will, and is not over means."""
    kept = grant.grace_until if in_grace(grant, now) else None
    return Access(
        "active" if now >= grant.starts_at else "scheduled",
        frequency=grant.frequency,
        grant=grant.id,
        until=until(grant, now),
        grace_until=kept,
        request=grant.request_id,
        starts_at=grant.starts_at,
    )


def _from_grant(grant: Grant, now: datetime) -> tuple[datetime, Access]:
    """The instant of the fact and what it means."""
    status = status_of(grant, now)
    if status in OPEN:
        return grant.created_at, running(grant, now)
    ended_at = closed_at(grant, now) or now
    state: State = "trial-ended" if status == "ended" and grant.kind == "trial" else _ended(status)
    reason = grant.close_note if state == "revoked" else None
    facts: dict[str, Any] = {"grant": grant.id, "request": grant.request_id, "reason": reason, "ended_at": ended_at}
    return ended_at, Access(state, frequency=grant.frequency, **facts)


def _ended(status: str) -> State:
    return status if status in ("revoked", "relinquished") else "ended"  # type: ignore[return-value]


def _from_item(item: RequestItem, now: datetime) -> tuple[datetime, Access]:
    status = item_status(item, now)
    at = item.decided_at or min(item.lapse_at, now)
    state: State = "never-requested" if status == "withdrawn" else status  # type: ignore[assignment]
    return at, Access(state, frequency=item.frequency, request=item.request_id, reason=item.reason)
