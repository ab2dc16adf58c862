"""Puts together what each owner knows of a cell."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from services.pricing.access.schemas import OfferedDataset
from services.pricing.coverage.schemas import CellOut, Standing

STORED_AS = {"1mo": "1d"}
Ends = tuple[datetime, datetime]
UNKNOWN = dict.fromkeys(("grant", "request", "starts_at", "ends_at", "reason", "reapply_after"))


def coverage_of(
    offered: Iterable[OfferedDataset], standings: Iterable[Standing], ends: Mapping[tuple[str, str], Ends]
) -> list[CellOut]:
    """Every cell on offer; one of which entitlements knows nothing was never requested."""
    known = {(standing.dataset, standing.frequency): standing for standing in standings}
    return [
        _cell(dataset.symbol, frequency, known.get((dataset.symbol, frequency)), ends)
        for dataset in offered
        for frequency in dataset.frequencies
    ]


def _cell(dataset: str, frequency: str, known: Standing | None, ends: Mapping[tuple[str, str], Ends]) -> CellOut:
    stands = known.model_dump() if known else {"state": "never-requested", **UNKNOWN}
    first, last = ends.get((dataset, STORED_AS.get(frequency, frequency)), (None, None))
    bars = {"first": _bar(frequency, first), "last": _bar(frequency, last)}
    return CellOut.model_validate({**stands, "dataset": dataset, "frequency": frequency, **bars})


def _bar(frequency: str, at: datetime | None) -> datetime | None:
    """The start of the bar that a stored sample is in: months are computed from days."""
    return at.replace(day=1) if at is not None and frequency == "1mo" else at
