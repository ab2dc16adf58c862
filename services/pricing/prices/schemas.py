"""Prices and coverage on the wire, and the values they are made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol

from pydantic import Field, ValidationInfo, field_validator

from shared.wire import Instant, Output, Query

Frequency = Literal["1h", "1d", "1mo"]
Format = Literal["json", "csv", "arrow", "parquet"]
Text = Literal["json", "csv"]
Counts = Mapping[str, int]


class Sample(Protocol):
    """A price at the start of a bar; aware UTC, on the grid of its frequency."""

    @property
    def timestamp(self) -> datetime:
        """The start of the bar."""
        ...

    @property
    def price(self) -> Decimal:
        """USD, with the digits that the source gave."""
        ...


@dataclass(frozen=True)
class Edition:
    """A version of a series, and since when it is that."""

    version: int
    since: datetime | None


@dataclass(frozen=True)
class Window:
    """Which bars: those of one series that start in [start, end).

    With an edition, as they stood in that; with `as_of`, as they were known at that instant.
    """

    dataset: str
    frequency: str
    start: datetime
    end: datetime
    as_of: datetime | None = None
    edition: Edition | None = None


@dataclass(frozen=True)
class Known:
    """What is stored of a source around a window: the prices held in it, the last before it and the first after it."""

    held: Mapping[datetime, Decimal]
    before: Decimal | None
    after: Decimal | None


@dataclass(frozen=True)
class Extent:
    """What is stored of a series: its first bar, and its last one that is final."""

    first: datetime
    last_final: datetime


@dataclass(frozen=True)
class Chunk:
    """Bars of a window, rendered: the first ones, up to `last`; whether more follow; whose, of which edition."""

    body: str
    rows: int
    last: datetime | None
    more: bool
    source: str | None
    edition: Edition


class Range(Query):
    """A half-open range of time."""

    start: Instant | None = Field(default=None, description="From this instant on; a date, or a datetime with zone.")
    end: Instant | None = Field(default=None, description="Before this instant.")

    @field_validator("end")
    @classmethod
    def _follows(cls, end: datetime | None, info: ValidationInfo) -> datetime | None:
        start = info.data.get("start")
        if end is not None and start is not None and end <= start:
            raise ValueError("an instant after `start`")
        return end


class PriceQuery(Range):
    """The query of a price read."""

    frequency: Frequency = Field(description="1h, 1d, or 1mo: calendar months in UTC, computed from 1d.")
    limit: int = Field(
        default_factory=lambda: 1000,  # not in OpenAPI: a form would send it, and so cut a csv that is meant whole
        ge=1,
        le=10_000,
        description="At most this many rows. json: 1000 unless given; other formats: the whole range unless given.",
    )
    as_of: Instant | None = Field(
        default=None,
        description=(
            "As it was known at this instant: bars that came later and later revisions left out. It is 15 minutes ago "
            "at the latest: until then, more may come of what the source was asked for by then. 410 `version-gone` for "
            "an instant before the series was replaced."
        ),
    )
    cursor: str | None = Field(
        default=None, description="`next_cursor` of the page before.", min_length=1, max_length=1000
    )
    format: Format | None = Field(
        default=None, description="What `Accept` prefers, unless given; json if it does not care."
    )


class PriceOut(Output):
    """A bar, by its start; the five last fields stand in 1mo only and are over the month's daily samples."""

    timestamp: datetime = Field(examples=["2026-01-31T20:00:00Z"])
    price_usd: str = Field(description="As the source gave it; 1mo: the last daily sample.", examples=["78621.1203"])
    final: bool = Field(description="Recorded when the period was over; 1mo: with its last day.")
    open_usd: str = Field(default="", description="1mo: the first daily sample.", examples=["78810.5"])
    high_usd: str = Field(default="", description="1mo: the highest.", examples=["97860.6"])
    low_usd: str = Field(default="", description="1mo: the lowest.", examples=["75719.9"])
    mean_usd: str = Field(
        default="",
        description="1mo: the exact mean, rounded half to even, always with 18 decimals.",
        examples=["88640.123456789012345678"],
    )
    samples: int = Field(default=0, description="1mo: how many days are stored.", examples=[31])


class PriceList(Output):
    """A page of bars, oldest first."""

    dataset: str = Field(examples=["BTC"])
    frequency: str = Field(examples=["1h"])
    currency: str = Field(examples=["USD"])
    source: str | None = Field(description="coincap, sample or imported; null while nothing is stored.")
    data: list[PriceOut]
    next_cursor: str | None = Field(default=None, examples=[None])


class Gap(Output):
    """Bars that are not stored, in [start, end)."""

    start: datetime
    end: datetime
    missing: int = Field(description="How many bars.", examples=[12])


class Coverage(Output):
    """What is stored of one frequency."""

    frequency: str = Field(examples=["1d"])
    first: datetime | None = Field(description="The first bar.")
    last: datetime | None = Field(description="The last bar.")
    rows: int
    gaps: list[Gap] = Field(description="What is missing between them; nothing is ever filled in.")
    updated_at: datetime | None = Field(description="When a price was last added, revised or became final.")
    source: str | None = Field(description="coincap, sample or imported; null while nothing is stored.")


class CoverageList(Output):
    """What is stored of a dataset, for each frequency on offer."""

    dataset: str = Field(examples=["BTC"])
    data: list[Coverage]
