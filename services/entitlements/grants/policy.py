"""What a grant's times mean, and what term a decision gives."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.entitlements.grants.entities import Grant
from services.entitlements.grants.schemas import Terms
from shared.errors import invalid

Status = Literal["scheduled", "active", "ended", "revoked", "superseded", "relinquished", "retired"]
STANDARD_DAYS = 365
TRIAL_DAYS = 14
MAX_DAYS = 730


def status_of(grant: Grant, now: datetime) -> Status:
    """The grant's status at an instant not before its closing; a term is half-open."""
    if grant.close_reason is not None:
        return "revoked" if grant.close_reason == "account-closed" else grant.close_reason  # type: ignore[return-value]
    if now < grant.starts_at:
        return "scheduled"
    return "ended" if grant.ends_at is not None and now >= grant.ends_at else "active"


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
    if terms.no_end:
        if trial:
            raise invalid("body", f"{at}/no_end", "a trial ends")
        return Term(kind="standard", starts_at=starts_at, ends_at=None)
    longest = timedelta(days=TRIAL_DAYS if trial else MAX_DAYS)
    asked = min(timedelta(days=asked_days or (TRIAL_DAYS if trial else STANDARD_DAYS)), longest)
    ends_at = terms.ends_at or starts_at + (timedelta(days=terms.duration_days) if terms.duration_days else asked)
    if ends_at <= starts_at:
        raise invalid("body", f"{at}/ends_at", "an instant after the start")
    if ends_at - starts_at > longest:
        field = f"{at}/ends_at" if terms.ends_at else f"{at}/duration_days"
        raise invalid("body", field, f"at most {longest.days} days for this kind of grant")
    return Term(kind="trial" if trial else "standard", starts_at=starts_at, ends_at=ends_at)
