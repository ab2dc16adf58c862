"""Jobs on the wire, and what feeds are told to bring."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from services.pricing.feeds.entities import Sample
from services.pricing.feeds.errors import FailedAlready, SourceError
from services.pricing.prices.errors import SeriesHasOtherSource
from services.pricing.prices.schemas import Counts
from shared.jobs import Outcome
from shared.pagination import Page
from shared.wire import Day, Input, Output

JobName = Literal["sync-prices", "backfill-market-caps"]


@dataclass(frozen=True)
class Feed:
    """A dataset as a source knows it, and the frequencies to be stored of it."""

    dataset: str
    slug: str
    frequencies: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """What a source was asked for, and when: the bars of a series in [start, end).

    `anew`: what is stored is of another asset, and gives way to the first bars of this one.
    """

    feed: Feed
    frequency: str
    start: dt.datetime
    end: dt.datetime
    seen_at: dt.datetime
    anew: bool = False


@dataclass(frozen=True)
class Taken:
    """What became of an answer, by count, and how much of it was distrusted for the first time."""

    counts: Counts
    fresh: int


@dataclass
class Tally:
    """What a run did so far, and what went wrong in it: `unanswered` are the datasets of which it is not known."""

    counts: Counter[str]
    notes: list[str] = field(default_factory=list)
    unanswered: set[str] = field(default_factory=set)
    errors: list[SourceError] = field(default_factory=list)

    @property
    def again(self) -> bool:
        """Whether another attempt may help: not where something lasts, nor where nothing was asked that failed."""
        fresh = [error for error in self.errors if not isinstance(error, FailedAlready)]
        return not any(error.lasts for error in fresh) and (bool(fresh) or not self.errors)

    @property
    def over(self) -> bool:
        """Whether whatever else is asked would fail as something did."""
        return any(error.ends_run for error in self.errors)

    def failed(self, error: SourceError, name: str | None = None) -> None:
        """Count and note a failure, of one series or of all."""
        self.counts["failed"] += 1
        self.note(error, name)

    def skipped(self, why: SeriesHasOtherSource) -> None:
        """Count and note a series that is left alone."""
        self.counts["skipped"] += 1
        self.notes.append(str(why))

    def note(self, error: SourceError, name: str | None = None) -> None:
        """Note why something is left."""
        self.notes.append(f"{name}: {error}" if name else str(error))
        self.errors.append(error)

    def outcome(self, *, partial: bool, rest: dt.timedelta | None = None) -> Outcome:
        """The run's outcome; where another attempt may not help, it rests so long, for good unless said."""
        note = "; ".join(self.notes)[:2000] or None
        return Outcome(dict(self.counts), partial=partial, note=note, again=self.again, rest=rest)


@dataclass(frozen=True)
class Judged:
    """What of a batch is trusted, ascending, and what is suspect, with how often it was looked at."""

    trusted: list[Sample]
    suspects: list[tuple[Sample, int]]


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
            "`sync-prices` takes none: it loads what is new and what history is missing."
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
    error: str | None = Field(description="What failed, or what was left undone, and why.", examples=[None])


class RunList(Output):
    """A page of runs, latest slot first."""

    data: list[RunOut]
    next_cursor: str | None = Field(default=None, examples=[None])
