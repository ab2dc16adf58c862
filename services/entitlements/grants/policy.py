"""What a grant's times mean, and what term a decision gives."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.entitlements.grants.entities import Grant
from services.entitlements.grants.errors import GrantClosed
from services.entitlements.grants.schemas import Terms
from shared.errors import invalid
from shared.wire import instant_text

Status = Literal["scheduled", "active", "ended", "revoked", "superseded", "relinquished", "retired"]
OPEN: tuple[Status, ...] = ("scheduled", "active")
CloseReason = Literal["revoked", "retired", "ended"]
STANDARD_DAYS = 365
TRIAL_DAYS = 14
MAX_DAYS = 730


def end_of(grant: Grant) -> tuple[datetime, CloseReason] | None:
    """When the grant is over if nobody does anything more, and as what; None where it has no end."""
    ends: list[tuple[datetime | None, CloseReason]] = [
        (grant.revokes_at, "revoked"),
        (grant.retires_at, "retired"),
        (grant.grace_until or grant.ends_at, "ended"),
    ]
    return min(((at, how) for at, how in ends if at is not None), key=lambda end: end[0], default=None)


def closed_at(grant: Grant, now: datetime) -> datetime | None:
    """When the grant was over, whether or not that was written yet; None while it is not."""
    end = longest(grant)
    return grant.closed_at or (end if end is not None and end <= now else None)


def status_of(grant: Grant, now: datetime) -> Status:
    """The grant's status at an instant not before its closing; a term is half-open."""
    if grant.close_reason is not None:
        return "revoked" if grant.close_reason == "account-closed" else grant.close_reason  # type: ignore[return-value]
    end = end_of(grant)
    if end is not None and now >= end[0]:
        return end[1]
    return "scheduled" if now < grant.starts_at else "active"


def require_open(grant: Grant, now: datetime, *, unless: Status | None = None) -> Status:
    """The grant's status, which is open or `unless`; raises GrantClosed."""
    status = status_of(grant, now)
    if status not in (*OPEN, unless):
        raise GrantClosed(grant_status=status, closed_at=instant_text(closed_at(grant, now)))
    return status


def until(grant: Grant, now: datetime) -> datetime | None:
    """Up to when a yes given now may be relied on: in grace, and up to it, each answer says so."""
    return _first(grant.grace_until if in_grace(grant, now) else grant.ends_at, grant.revokes_at, grant.retires_at)


def foreseen(grant: Grant) -> datetime | None:
    """The end that its account is told of beforehand: a grace is no part of it, as it may be over at any time."""
    return _first(grant.ends_at, grant.revokes_at, grant.retires_at)


def _first(*ends: datetime | None) -> datetime | None:
    return min((at for at in ends if at is not None), default=None)


def longest(grant: Grant) -> datetime | None:
    """The latest end that anybody may have been told, or will be: that of a grace to come, whatever the time is.

    Who shortens a grant compares this, as its grace may begin, and be answered with, before that is committed.
    """
    end = end_of(grant)
    return None if end is None else end[0]


def in_grace(grant: Grant, now: datetime) -> bool:
    """Whether only the grace keeps a running grant going."""
    return grant.ends_at is not None and now >= grant.ends_at


def grace_of(grant: Grant, lapse_at: datetime, now: datetime) -> datetime | None:
    """Up to when a renewal asked for now, which lapses at `lapse_at`, keeps the grant going; None where it does not."""
    if grant.ends_at is None or not grant.grace_days or grant.grace_until or grant.ends_at <= now:
        return None
    until = min(grant.ends_at + timedelta(days=grant.grace_days), lapse_at)
    return until if until > grant.ends_at else None


def later(old: datetime | None, new: datetime | None) -> datetime | None:
    """The later of two ends, where None is no end."""
    return None if old is None or new is None else max(old, new)


def shortens(old: datetime | None, new: datetime | None) -> bool:
    """Whether a right that ended at `old` now ends earlier."""
    return new is not None and (old is None or new < old)


@dataclass(frozen=True)
class Term:
    """When a right begins and ends, and of what kind it is; `ends_at` is None only where that was said."""

    kind: Literal["standard", "trial"]
    starts_at: datetime
    ends_at: datetime | None
    grace_days: int = 0


def term_of(
    terms: Terms, now: datetime, *, asked_days: int | None = None, asked_trial: bool = False, at: str = ""
) -> Term:
    """The term that a decision at `now` gives; raises InvalidInput for one that is past or too long.

    What is not said is what was asked, else the default of the kind; what was asked is capped at the kind's maximum.
    `at` is the JSON Pointer of the terms in the body.
    """
    trial = asked_trial if terms.trial is None else terms.trial
    starts_at = terms.starts_at or now
    if starts_at < now:
        raise invalid("body", f"{at}/starts_at", "an instant that is not past")
    if trial and terms.grace_days:
        raise invalid("body", f"{at}/grace_days", "a trial has no grace")
    if terms.no_end:
        if trial:
            raise invalid("body", f"{at}/no_end", "a trial ends")
        return Term(kind="standard", starts_at=starts_at, ends_at=None, grace_days=terms.grace_days or 0)
    longest = timedelta(days=TRIAL_DAYS if trial else MAX_DAYS)
    asked = min(timedelta(days=asked_days or (TRIAL_DAYS if trial else STANDARD_DAYS)), longest)
    ends_at = terms.ends_at or starts_at + (timedelta(days=terms.duration_days) if terms.duration_days else asked)
    if ends_at <= starts_at:
        raise invalid("body", f"{at}/ends_at", "an instant after the start")
    if ends_at - starts_at > longest:
        field = f"{at}/ends_at" if terms.ends_at else f"{at}/duration_days"
        raise invalid("body", field, f"at most {longest.days} days for this kind of grant")
    kind: Literal["standard", "trial"] = "trial" if trial else "standard"
    return Term(kind=kind, starts_at=starts_at, ends_at=ends_at, grace_days=terms.grace_days or 0)
