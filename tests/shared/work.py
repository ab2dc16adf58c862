"""A job whose work is remembered, and a clock that a test moves."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from shared.jobs import Job, Outcome

DAILY = "0 20 * * *"
MOMENT = datetime(2026, 3, 29, 20, tzinfo=UTC)  # a night on which Europe's clocks change
DUE_AGAIN = "update ground.job_runs set due_at = clock_timestamp()"


class Hand:
    """A clock whose hand a test moves."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self, _session: Session) -> datetime:
        """Where the hand is."""
        return self.at


class Work:
    """A job's work, remembered."""

    def __init__(self, outcome: Outcome | Exception | None = None) -> None:
        self.slots: list[datetime] = []
        self.outcome = outcome or Outcome(counts={"rows": 24})

    def __call__(self, slot: datetime) -> Outcome:
        self.slots.append(slot)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def nothing(_slot: datetime) -> Outcome:
    """A job that does nothing."""
    return Outcome()


def job(run: Callable[[datetime], Outcome] = nothing, *, cron: str = DAILY, from_start: bool = True) -> Job:
    """A daily job, unless said otherwise."""
    return Job(name="sync", cron=cron, run=run, from_start=from_start)


def days(first: int, last: int) -> list[datetime]:
    """Eight in the evening of these days, counted from MOMENT."""
    return [MOMENT + timedelta(days=day) for day in range(first, last + 1)]
