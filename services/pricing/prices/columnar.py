"""Arrow streams and Parquet files: exact decimals, times in UTC, and in the schema's metadata what they are of."""

import io
from collections.abc import Mapping
from decimal import Decimal

import pyarrow as pa
from pyarrow import compute, csv, ipc, parquet

from services.pricing.prices.errors import DigitsDoNotFit
from services.pricing.prices.schemas import Format

DECIMAL = pa.decimal128(38, 18)
TYPES = {"timestamp": pa.timestamp("us", tz="UTC"), "final": pa.bool_(), "samples": pa.int32()}
BOUND = Decimal(10) ** 20  # Arrow's reader takes any number that 128 bits hold, also one of 39 digits


class Columnar:
    """One Arrow stream or Parquet file, written as its rows come; a chunk is a row group."""

    def __init__(self, format_: Format, columns: tuple[str, ...], about: Mapping[str, str]) -> None:
        self._schema = pa.schema([(name, TYPES.get(name, DECIMAL)) for name in columns], metadata=dict(about))
        self._drain = Drain()
        if format_ == "arrow":
            self._writer = ipc.new_stream(self._drain, self._schema)
        else:
            self._writer = parquet.ParquetWriter(self._drain, self._schema, compression="zstd")

    def encode(self, body: str) -> bytes:
        """The rows of a CSV text; raises DigitsDoNotFit."""
        if body:
            self._writer.write_table(self._parse(body.encode()))
        return self._drain.take()

    def end(self) -> bytes:
        """The end of the stream, or the file's index."""
        self._writer.close()
        return self._drain.take()

    def _parse(self, body: bytes) -> pa.Table:
        names = self._schema.names
        reading = csv.ReadOptions(column_names=names, use_threads=False, block_size=len(body) + 1)
        types = dict(zip(names, self._schema.types, strict=True))
        try:
            table = csv.read_csv(
                io.BytesIO(body), read_options=reading, convert_options=csv.ConvertOptions(column_types=types)
            )
        except pa.ArrowInvalid:  # nothing else can be wrong with our own text
            raise DigitsDoNotFit from None
        if any(_largest(table, name) >= BOUND for name, type_ in types.items() if type_ == DECIMAL):
            raise DigitsDoNotFit
        return table.replace_schema_metadata(self._schema.metadata)


def _largest(table: pa.Table, name: str) -> Decimal:
    largest: Decimal = compute.max(table.column(name)).as_py()
    return largest


class Drain(io.RawIOBase):
    """A file that is emptied while it is being written."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        """It is there to be written."""
        return True

    def write(self, data: object) -> int:
        """Keep a copy: what is lent here is used again."""
        part = bytes(memoryview(data))  # type: ignore[arg-type]
        self._parts.append(part)
        self._written += len(part)
        return len(part)

    def tell(self) -> int:
        """How much was written in all."""
        return self._written

    def take(self) -> bytes:
        """What was written since it was last taken."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken
