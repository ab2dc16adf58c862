"""Jobs on the wire, and what feeds are told to bring."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from shared.pagination import Page
from shared.wire import Day, Input, Output

JobName = Literal["sync-prices", "backfill-market-caps"]


@dataclass(frozen=True)
class Feed:
    """A dataset as a source knows it, and the frequencies to be stored of it."""

    dataset: str
    slug: str
    frequencies: tuple[str, ...]


class JobQuery(Page):
    """The query of the list of runs."""

    job: JobName | None = Field(default=None, description="Only this job's runs.")


class RunRequest(Input):
    """Which day's run is wanted."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})

    date: Day | None = Field(
        default=None,
        description=(
            "`backfill-market-caps`: the day; the newest whose 20:00 UTC has come, unless said. "
            "`sync-prices` takes none: it loads all that is missing."
        ),
    )


class RunOut(Output):
    """One run of a job: one for every slot, however often it is attempted."""

    id: UUID
    job: str = Field(examples=["sync-prices"])
    slot: dt.datetime = Field(description="What it is the run for.", examples=["2026-01-31T20:00:00Z"])
    state: str = Field(description="due, running, done, partial or failed.", examples=["done"])
    attempts: int = Field(examples=[1])
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    counts: dict[str, int] = Field(examples=[{"series": 3, "inserted": 2, "revised": 1, "unchanged": 0}])
    error: str | None = Field(description="What failed, or what a partial run left undone.", examples=[None])


class RunList(Output):
    """A page of runs, latest slot first."""

    data: list[RunOut]
    next_cursor: str | None = Field(default=None, examples=[None])
