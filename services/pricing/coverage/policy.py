"""Puts together what each owner knows of a cell."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from services.pricing.coverage.schemas import CellOut, Standing

STORED_AS = {"1mo": "1d"}
Ends = tuple[datetime, datetime]


def coverage_of(standings: Iterable[Standing], ends: Mapping[tuple[str, str], Ends]) -> list[CellOut]:
    """Every cell as it stands, with what is stored of it."""
    return [_cell(standing, ends) for standing in standings]


def _cell(standing: Standing, ends: Mapping[tuple[str, str], Ends]) -> CellOut:
    frequency = standing.frequency
    first, last = ends.get((standing.dataset, STORED_AS.get(frequency, frequency)), (None, None))
    bars = {"first": _bar(frequency, first), "last": _bar(frequency, last)}
    return CellOut.model_validate({**standing.model_dump(), **bars})


def _bar(frequency: str, at: datetime | None) -> datetime | None:
    """The start of the bar that a stored sample is in: months are computed from days."""
    return at.replace(day=1) if at is not None and frequency == "1mo" else at
