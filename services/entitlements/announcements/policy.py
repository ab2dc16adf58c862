"""Which announcements a term calls for."""

from collections.abc import Sequence
from datetime import datetime, timedelta

STARTED, ENDING, ENDED = "grant.started", "grant.ending", "grant.ended"
DAY = timedelta(days=1)
DAYS = [("14d", 14 * DAY), ("3d", 3 * DAY), ("1d", DAY)]
HOURS = [("6h", timedelta(hours=6))]
THRESHOLDS = ((30 * DAY, DAYS), (3 * DAY, DAYS[1:]), (DAY, HOURS))
Due = tuple[str, str, datetime]


def announcements_of(starts_at: datetime, ends_at: datetime | None, now: datetime) -> list[Due]:
    """What is to be said of a term that is given now: type, threshold and when.

    What begins at once is told of in the decision itself. The longer a term, the more often its end is told of.
    """
    due: list[Due] = [(STARTED, "", starts_at)] if starts_at > now else []
    if ends_at is None:
        return due
    return [*due, *endings(starts_at, ends_at), (ENDED, "", ends_at)]


def endings(starts_at: datetime, ends_at: datetime | None) -> list[Due]:
    """When an end is told of before it comes."""
    if ends_at is None:
        return []
    return [(ENDING, name, ends_at - before) for name, before in thresholds(ends_at - starts_at)]


def thresholds(term: timedelta) -> Sequence[tuple[str, timedelta]]:
    """How long before its end a term of this length is told of."""
    return next((found for at_least, found in THRESHOLDS if term >= at_least), ())
