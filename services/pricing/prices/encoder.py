"""Turns rendered bars into the bytes of a table, chunk after chunk: CSV as it stands, the others out of it."""

from collections.abc import Mapping
from typing import Protocol

from services.pricing.prices.schemas import Chunk, Format

COLUMNS = ("timestamp", "price_usd", "final")
MONTH_COLUMNS = (*COLUMNS, "open_usd", "high_usd", "low_usd", "mean_usd", "samples")


class Encoder(Protocol):
    """One table, of the same columns whatever number of rows it has."""

    def encode(self, body: str) -> bytes:
        """The next rows, with what stands before them."""
        ...

    def end(self) -> bytes:
        """What stands after all rows: without it, a reader sees that the table is not whole."""
        ...


class Csv:
    """The text itself below a header; it holds times, numbers and booleans, nothing that anybody named."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        self._head = ",".join(columns) + "\n"

    def encode(self, body: str) -> bytes:
        """The rows; the first ones below the header."""
        head, self._head = self._head, ""
        return (head + body).encode()

    def end(self) -> bytes:
        """A CSV has no end of its own."""
        return b""


def columns_of(frequency: str) -> tuple[str, ...]:
    """The columns of every table at this frequency."""
    return MONTH_COLUMNS if frequency == "1mo" else COLUMNS


def open_encoder(format_: Format, frequency: str, about: Mapping[str, str]) -> Encoder:
    """The encoder of a format; `about` goes into the table's metadata where it has one."""
    columns = columns_of(frequency)
    if format_ == "csv":
        return Csv(columns)
    from services.pricing.prices.columnar import Columnar  # noqa: PLC0415  # who reads only text is spared its 50 MB

    return Columnar(format_, columns, about)


def about(dataset: str, frequency: str, chunk: Chunk) -> dict[str, str]:
    """What a table says of itself."""
    return {
        "dataset": dataset,
        "frequency": frequency,
        "currency": "USD",
        "source": chunk.source or "",
        "series_version": str(chunk.edition.version),
    }
