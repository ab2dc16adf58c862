"""Reading as a Quant does it, through the door in either home: without a client, again, long, and no longer.

The full form, five million rows, runs with TICKGATE_PROOF=1.
"""

import re
import time
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import httpx
import pandas as pd
import psycopg
import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from tests.proof import PROOF, figure
from tests.world import World

ROWS = 5_000_000 if PROOF else 500_000
MOST_GROWTH = 50_000  # kB
DAILY = "/v1/datasets/BTC/prices?frequency=1d"
LONG = "/v1/datasets/LONG/prices?frequency=1h"
FILL = """
with series as (
    insert into pricing.series (dataset, frequency, source, version, first_version, updated_at)
    values ('LONG', '1h', 'imported', 1, 1, now()) on conflict do nothing returning version
)
insert into pricing.prices (dataset, frequency, timestamp, price_usd, recorded_at, version)
select 'LONG', '1h', '1901-01-01Z'::timestamptz + n * interval '1 hour', 1 + n / 1000000000.0, now(), 1
from series, generate_series(0, %s - 1) as n
"""


COPY = """
copy (select timestamp, price_usd, recorded_at >= timestamp + interval '1 hour' from pricing.prices
    where dataset = 'LONG' and frequency = '1h' order by timestamp) to '/dev/null' (format csv)
"""
TABLES = {"csv": ("identity", "gzip", "zstd"), "arrow": ("identity", "zstd"), "parquet": ("identity",)}


@pytest.fixture
def long(world: World, ops: httpx.Client) -> str:
    """A dataset with more history than there ever was; where it is read."""
    ops.post("/v1/datasets", json={"symbol": "LONG", "name": '=HYPERLINK("http://x")', "frequencies": ["1h"]})
    with closing(psycopg.connect(world.env["TICKGATE_DATABASE_URL"], autocommit=True)) as connection:
        connection.execute(FILL, [ROWS])
    return LONG


def grant(ops: httpx.Client, quant: httpx.Client, dataset: str, *frequencies: str) -> str:
    """Access for the Quant; the grant's id."""
    account = quant.get("/v1/me").json()["account"]
    body = {"account": account, "dataset": dataset, "frequencies": frequencies, "reason": "A test"}
    made = ops.post("/v1/grants", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["data"][0]["id"])


def denied(answer: httpx.Response) -> tuple[int, str, dict[str, object]]:
    """What a refusal says, which is no price."""
    assert "price_usd" not in answer.text
    assert "Tickgate-Source" not in answer.headers
    return answer.status_code, answer.json()["code"], answer.json()["remedy"]["body"]


@pytest.mark.parametrize("format_", ["json", "csv", "parquet"])
def test_r1_without_a_grant_of_one_s_own_on_the_cell_there_is_a_remedy_and_no_price(
    ops: httpx.Client, admin: httpx.Client, quant: httpx.Client, format_: str
) -> None:
    grant(ops, quant, "BTC", "1d")
    hourly, daily = DAILY.replace("1d", "1h"), DAILY.replace("BTC", "ETH")
    refused = [
        (admin, DAILY, "BTC", "1d"),  # another's grant
        (quant, hourly, "BTC", "1h"),  # another frequency's
        (quant, daily, "ETH", "1d"),  # none on the dataset
    ]
    for reader, path, dataset, frequency in refused:
        told = denied(reader.get(f"{path}&format={format_}"))
        assert told == (403, "never-requested", {"dataset": dataset, "frequencies": [frequency]})
    assert denied(quant.get("/v1/datasets/ETH/market-caps"))[0] == 403
    assert quant.get(f"{DAILY}&format={format_}").status_code == 200


def test_pandas_reads_without_a_client(world: World, ops: httpx.Client, quant: httpx.Client) -> None:
    grant(ops, quant, "BTC", "1d")
    key = {"X-API-Key": quant.headers["X-API-Key"]}
    frame = pd.read_csv(f"{world.platform.url}{DAILY}&format=csv", storage_options=key, dtype=str)
    bars = quant.get(f"{DAILY}&limit=10000").json()["data"]
    assert len(frame) == len(bars) > 1000
    assert list(frame.columns) == ["timestamp", "price_usd", "final"]
    assert list(frame["price_usd"]) == [bar["price_usd"] for bar in bars]
    typed = pd.read_csv(f"{world.platform.url}{DAILY}&format=csv", storage_options=key, parse_dates=["timestamp"])
    assert typed.dtypes.astype(str).to_dict()["final"] == "bool"
    exact = pd.read_parquet(f"{world.platform.url}{DAILY}&format=parquet", storage_options=key)
    assert list(exact["price_usd"]) == [Decimal(bar["price_usd"]) for bar in bars]
    assert str(exact["timestamp"].dt.tz) == "UTC"


def test_an_answer_is_asked_for_again_and_head_says_what_get_would(ops: httpx.Client, quant: httpx.Client) -> None:
    access = grant(ops, quant, "BTC", "1d")
    for coding in ("identity", "gzip", "zstd"):
        quant.headers["Accept-Encoding"] = coding
        answer = quant.get(DAILY)
        assert answer.headers.get("content-encoding", "identity") == coding
        assert answer.headers["cache-control"] == "private, no-cache"
        assert {*answer.headers["vary"].split(", ")} == {"Accept", "Accept-Encoding", "X-API-Key"}
        head = quant.head(DAILY)
        for name in ("etag", "content-length", "content-type", "vary", "tickgate-source", "link"):
            assert head.headers[name] == answer.headers[name]
        assert (head.status_code, head.content) == (200, b"")
        known = {"If-None-Match": answer.headers["etag"]}
        again = quant.get(DAILY, headers=known)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
    assert quant.post(DAILY.partition("?")[0]).headers["allow"] == "GET, HEAD"
    assert ops.post(f"/v1/grants/{access}/revoke", json={"reason": "It ends"}).status_code == 200
    for method in ("GET", "HEAD"):
        assert quant.request(method, DAILY, headers=known).status_code == 403


def test_r3_a_table_that_is_being_read_is_cut_off_when_access_is_revoked(
    ops: httpx.Client, quant: httpx.Client, long: str
) -> None:
    access = grant(ops, quant, "LONG", "1h")
    whole, begun = 0, time.monotonic()
    with quant.stream("GET", f"{long}&format=csv", headers={"Accept-Encoding": "identity"}) as answer:
        assert answer.headers["content-disposition"] == 'attachment; filename="LONG_USD_1h.csv"'
        pieces = answer.iter_raw()
        whole += next(pieces).count(b"\n")
        assert ops.post(f"/v1/grants/{access}/revoke", json={"reason": "It ends"}).status_code == 200
        time.sleep(max(0.0, begun + 5.5 - time.monotonic()))
        with pytest.raises(httpx.RemoteProtocolError):
            whole += sum(piece.count(b"\n") for piece in pieces)
    assert whole < ROWS


def test_r3_a_table_that_is_being_read_is_cut_off_when_its_key_is_revoked_and_another_s_is_not(
    world: World, ops: httpx.Client, quant: httpx.Client, long: str
) -> None:
    grant(ops, quant, "LONG", "1h")
    account = quant.get("/v1/me").json()["account"]
    with world.person("admin") as admin:
        second = admin.post("/v1/api-keys", json={"account": account}).json()
        revoked = {"Accept-Encoding": "identity", "X-API-Key": second["key"]}
        kept = {"Accept-Encoding": "identity"}
        whole, cut = 0, 0
        with (
            quant.stream("GET", f"{long}&format=csv", headers=revoked) as theirs,
            quant.stream("GET", f"{long}&format=csv", headers=kept) as ours,
        ):
            pieces = theirs.iter_raw()
            cut += next(pieces).count(b"\n")
            assert admin.delete(f"/v1/api-keys/{second['id']}").status_code == 204
            time.sleep(1.1)
            with pytest.raises(httpx.RemoteProtocolError):
                cut += sum(piece.count(b"\n") for piece in pieces)
            whole += sum(piece.count(b"\n") for piece in ours.iter_raw())
    assert cut < ROWS
    assert whole == ROWS + 1


def test_coverage_of_a_long_series_is_told_at_once(quant: httpx.Client, long: str) -> None:
    began = time.monotonic()
    (hours,) = quant.get("/v1/datasets/LONG/coverage").json()["data"]
    figure(f"coverage of {ROWS} rows", seconds=round(time.monotonic() - began, 3))
    assert (hours["rows"], hours["gaps"], hours["first"]) == (ROWS, [], "1901-01-01T00:00:00Z")


def peaks(world: World) -> dict[str, int]:
    """The most memory that each serving process has held, in kB."""
    found = {}
    for name in {"gateway", "pricing"} & set(world.platform.children):
        status = Path(f"/proc/{world.platform.children[name].pid}/status").read_text()
        found[name] = int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])
    return found


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured by /proc")
def test_memory_is_flat_however_long_a_table_is(
    world: World, ops: httpx.Client, quant: httpx.Client, long: str, tmp_path: Path
) -> None:
    if not (PROOF or "pricing" in world.platform.children):
        pytest.skip("the short form is for the processes apart: there each is seen by itself")
    grant(ops, quant, "LONG", "1h")
    if PROOF:
        figure(f"bare COPY of {ROWS} rows", rows_a_second=copied(world))
    for format_, codings in TABLES.items():
        for coding in codings:
            stream(quant, f"{long}&format={format_}&end=1914-01-01", coding, tmp_path / "short")
        before = peaks(world)
        for coding in codings:
            begun = time.monotonic()
            stream(quant, f"{long}&format={format_}", coding, tmp_path / "long")
            figure(f"{ROWS} rows, {format_}, {coding}", rows_a_second=round(ROWS / (time.monotonic() - begun)))
            assert counted(tmp_path / "long", format_) == ROWS
        held = peaks(world)
        figure(f"{ROWS} rows, {format_}: kB held at most", **held)
        assert all(held[name] - before[name] < MOST_GROWTH for name in held), (before, held)


def stream(quant: httpx.Client, path: str, coding: str, file: Path) -> None:
    """Keep a table piece by piece, as it comes."""
    with quant.stream("GET", path, headers={"Accept-Encoding": coding}) as answer, file.open("wb") as kept:
        assert answer.headers["transfer-encoding"] == "chunked"
        for piece in answer.iter_bytes():
            kept.write(piece)


def copied(world: World) -> int:
    """How many rows a second PostgreSQL gives away when nobody takes them: COPY of the same columns, thrown away."""
    begun = time.monotonic()
    with closing(psycopg.connect(world.env["TICKGATE_DATABASE_URL"])) as connection:
        connection.execute(COPY)
    return round(ROWS / (time.monotonic() - begun))


def counted(file: Path, format_: str) -> int:
    """How many rows a table has."""
    if format_ == "parquet":
        return int(parquet.ParquetFile(file).metadata.num_rows)
    if format_ == "arrow":
        with pa.OSFile(str(file)) as opened:
            return sum(batch.num_rows for batch in ipc.open_stream(opened))
    with file.open("rb") as lines:
        return sum(1 for _ in lines) - 1
