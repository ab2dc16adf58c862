"""Datasets on the wire."""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from shared.wire import Input, Instant, Line, Output

Frequency = Literal["1h", "1d", "1mo"]
ORDER: tuple[str, ...] = ("1m", "1h", "1d", "1mo")
Symbol = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{1,12}$")]
SourceName = Literal["coincap"]  # of the real sources that pricing's feeds may be told to ask
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]


def distinct(frequencies: list[Frequency]) -> list[Frequency]:
    """Each frequency at most once; raises ValueError."""
    if len(set(frequencies)) < len(frequencies):
        raise ValueError("each frequency once")
    return frequencies


Frequencies = Annotated[
    list[Frequency],
    AfterValidator(distinct),
    Field(
        min_length=1,
        description="1h, 1d or 1mo.",
        examples=[["1h", "1d"]],
        json_schema_extra={"uniqueItems": True},
    ),
]


class DatasetOut(Output):
    """A dataset on offer."""

    symbol: str = Field(examples=["BTC"])
    name: str = Field(examples=["Bitcoin"])
    frequencies: list[str] = Field(description="Shortest first.", examples=[["1h", "1d", "1mo"]])


class DatasetList(Output):
    """A page of datasets, by symbol."""

    data: list[DatasetOut]
    next_cursor: str | None = Field(default=None, examples=[None])


class NewDataset(Input):
    """A dataset to offer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "symbol": "SOL",
                    "name": "Solana",
                    "frequencies": ["1h", "1d", "1mo"],
                    "sources": {"coincap": "solana"},
                }
            ]
        }
    )

    symbol: Symbol = Field(examples=["SOL"])
    name: Line = Field(examples=["Solana"])
    frequencies: Frequencies
    kind: Literal["price"] = "price"
    sources: dict[SourceName, Slug] = Field(
        default_factory=dict, description="What each feed calls it.", examples=[{"coincap": "solana"}]
    )


class DatasetChange(Input):
    """What to change; what is left out stays as it is, and `frequencies` are added to those on offer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Bitcoin"}, {"frequencies": ["1h"]}]})

    name: Line | None = Field(default=None, examples=["Solana"])
    frequencies: Frequencies | None = None
    sources: dict[SourceName, Slug] | None = Field(default=None, examples=[{"coincap": "solana"}])


class Retirement(Input):
    """When to retire a frequency."""

    effective_at: Instant | None = Field(default=None, description="Now, unless said otherwise.")


class OfferedDataset(DatasetOut):
    """A dataset as our own services see it: with its feeds and what was retired, or will be, and when."""

    sources: dict[str, str]
    retired: dict[str, Instant]
