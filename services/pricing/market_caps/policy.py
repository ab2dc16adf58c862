"""Pure rules of market capitalisations: which is the better one."""

from datetime import UTC, date, datetime, time, timedelta

SETTLED = timedelta(minutes=1)  # longer than a value takes to be committed once its time was taken
SAMPLE = "sample"
OBSERVED = "observed"
VENDOR_HISTORY = "vendor-history"
DERIVED = "derived"
RANKS = {SAMPLE: 0, DERIVED: 1, VENDOR_HISTORY: 2, OBSERVED: 3}


def is_better(offered: str, stored: str | None) -> bool:
    """Whether a value of one provenance may take the place of another; the same one never does."""
    return stored is None or RANKS[offered] > RANKS[stored]


def worse_than(provenance: str) -> list[str]:
    """The provenances whose values give way to one of this provenance."""
    return [other for other in RANKS if is_better(provenance, other)]


def first_day(at: datetime) -> date:
    """The first day that starts at or after an instant."""
    day = at.date()
    return day if at == datetime.combine(day, time(), UTC) else date.fromordinal(day.toordinal() + 1)
