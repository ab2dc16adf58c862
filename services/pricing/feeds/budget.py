"""Pure rules of a source's account: what a call costs, what each purpose must leave, and when to stop calling."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum

from services.pricing.feeds.entities import Upstream
from services.pricing.feeds.schemas import Feed

CALLS_A_MINUTE = 600
BYTES_A_CREDIT = 2_500
POINT_BYTES = 137  # of a history, with its supply
ASSET_BYTES = 600
FAILURES = 5
OPEN = timedelta(seconds=60)
DAILY = {"1h": 24, "1d": 1}


class Purpose(Enum):
    """What a call is for; each leaves to the ones before it what they need until the month is over."""

    SNAPSHOT = "snapshot"
    SYNC = "sync"
    BACKFILL = "backfill"


@dataclass(frozen=True)
class Allowance:
    """How many credits a month has, and what a day of snapshots and of syncs costs."""

    credits: int
    snapshots: int
    syncs: int


def allowance(credits_: int, feeds: Collection[Feed]) -> Allowance:
    """What a day of these feeds costs: a call for every hour of 1h, one for 1d, and a snapshot of them all."""
    syncs = sum(DAILY[frequency] for feed in feeds for frequency in feed.frequencies)
    return Allowance(credits_, snapshots=cost(ASSET_BYTES * len(feeds)), syncs=syncs)


def cost(size: int) -> int:
    """The credits of an answer of so many bytes: one, and one for each 2,500 bytes begun after the first 2,500."""
    return max(1, -(-size // BYTES_A_CREDIT))


def reserve(allowance: Allowance, purpose: Purpose, today: date) -> int:
    """What a purpose may not touch: the daily jobs' need until the month ends, and half as much for asking again."""
    days = (first_of_next_month(today) - today).days
    needs = {
        Purpose.SNAPSHOT: 0,
        Purpose.SYNC: allowance.snapshots,
        Purpose.BACKFILL: allowance.snapshots + allowance.syncs,
    }
    return -(-needs[purpose] * days * 3 // 2)


def current(account: Upstream, now: datetime) -> Upstream:
    """The account with last month's credits and the last minute's calls behind it; changed in place."""
    month, minute = now.date().replace(day=1), now.replace(second=0, microsecond=0)
    if account.month != month:
        account.month, account.credits = month, 0
    if account.minute != minute:
        account.minute, account.calls = minute, 0
    return account


def first_of_next_month(day: date) -> date:
    """The first day of the month after a day's."""
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)


def settle(account: Upstream, *, failed: bool, now: datetime) -> None:
    """Count a call's end: five failures in a row open the breaker for a minute, any success closes it."""
    account.failures = account.failures + 1 if failed else 0
    account.open_until = now + OPEN if account.failures >= FAILURES else None
