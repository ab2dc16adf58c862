"""Market capitalisations on the wire."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from pydantic import Field, field_serializer

from services.pricing.prices.schemas import Edition, Range, Text
from shared.wire import Instant, Output


@dataclass(frozen=True)
class DayCap:
    """A day's market capitalisation in USD, and the moment it is of."""

    market_cap: Decimal
    observed_at: dt.datetime


DayCaps = Mapping[dt.date, DayCap]


@dataclass(frozen=True)
class Days:
    """Which days: those of a dataset in [start, end).

    With an edition, as they stood in that; with `as_of`, as they were known at that instant.
    """

    dataset: str
    start: dt.date
    end: dt.date
    as_of: dt.datetime | None = None
    edition: Edition | None = None


class MarketCapQuery(Range):
    """The query of market capitalisations: a day belongs to the range if its first instant does."""

    limit: int = Field(
        default_factory=lambda: 100,  # not in OpenAPI, as with prices: a form would cut a csv that is meant whole
        ge=1,
        le=500,
        description="At most this many rows. json: 100 unless given; csv: the whole range unless given.",
    )
    as_of: Instant | None = Field(
        default=None,
        description=(
            "As it was known at this instant: days that came later and later revisions left out. It is a minute ago at "
            "the latest: until then, more may come of what is being stored. 410 `version-gone` for an instant before "
            "the series was replaced."
        ),
    )
    cursor: str | None = Field(
        default=None, description="`next_cursor` of the page before.", min_length=1, max_length=1000
    )
    format: Text | None = Field(
        default=None, description="What `Accept` prefers, unless given; json if it does not care."
    )


class MarketCapOut(Output):
    """One day's market capitalisation."""

    date: dt.date = Field(examples=["2026-01-31"])
    market_cap_usd: Decimal = Field(description="As the source gave it.", examples=["1394938121675.859863281250000000"])
    observed_at: dt.datetime = Field(description="The moment it is of.", examples=["2026-01-31T20:00:01Z"])
    provenance: str = Field(
        description=(
            "`observed` live; `vendor-history`: of a day that was missed, by the source's own history; `derived`: an "
            "hour's price times its supply; `sample`: generated."
        ),
        examples=["observed"],
    )

    @field_serializer("market_cap_usd")
    def _plain(self, value: Decimal) -> str:
        return format(value, "f")


@dataclass(frozen=True)
class Told:
    """The first days of those wanted; whether more follow; whose, of which edition."""

    rows: list[MarketCapOut]
    more: bool
    source: str | None
    edition: Edition


class MarketCapList(Output):
    """A page of market capitalisations, oldest first."""

    dataset: str = Field(examples=["BTC"])
    currency: str = Field(default="USD", examples=["USD"])
    source: str | None = Field(description="coincap or sample; null while nothing is stored.", examples=["coincap"])
    data: list[MarketCapOut]
    next_cursor: str | None = Field(default=None, examples=[None])
