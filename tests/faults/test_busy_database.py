"""B3: a slow query, a held lock, an exhausted pool: 503 in time, and all well again at once."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from itertools import count

import httpx
import psycopg
import pytest

from shared.coherence.stamp import WINDOW
from tests.proof import PROOF
from tests.world import World, until

numbers = count()
IN_TIME = 2.0
RECOVERED = 1.0
CROWD = 24
SLOW = (
    "create policy everything on {table} using (true) with check (true)",
    "create policy slow on {table} as restrictive for select using ((select pg_sleep(10)) is null)",
    "alter table {table} enable row level security",
)
MENDED = (
    "alter table {table} disable row level security",
    "drop policy slow on {table}",
    "drop policy everything on {table}",
)
CASES = (
    ("anyone", "/v1/datasets", "catalog.datasets"),
    ("reader", "/v1/grants", "entitlements.grants"),  # who has one: nobody waits for what is not looked at
    ("admin", "/v1/api-keys", "gateway.api_keys"),
)
PRICES = ("reader", "/v1/datasets/BTC/prices?frequency=1d&limit=5", "pricing.prices")
READS = (
    PRICES,
    ("reader", "/v1/datasets/BTC/prices?frequency=1d&format=csv", "pricing.prices"),
    ("reader", "/v1/datasets/BTC/prices?frequency=1d&limit=5", "pricing.series"),
    ("reader", "/v1/datasets/BTC/market-caps", "pricing.market_caps"),
    ("anyone", "/v1/datasets/BTC/coverage", "pricing.prices"),
)
COVERAGE = ("reader", "/v1/me/coverage", "pricing.series")
pytestmark = pytest.mark.undisturbed
Breakage = Callable[[str, str], AbstractContextManager[None]]


@contextmanager
def slow(url: str, table: str) -> Iterator[None]:
    """Whoever reads the table waits."""
    with psycopg.connect(url, autocommit=True) as owner:
        for statement in SLOW:
            owner.execute(statement.format(table=table).encode())
        try:
            yield
        finally:
            for statement in MENDED:
                owner.execute(statement.format(table=table).encode())


@contextmanager
def locked(url: str, table: str) -> Iterator[None]:
    """Somebody holds the table."""
    with psycopg.connect(url) as owner:
        owner.execute(f"lock table {table} in access exclusive mode".encode())
        yield
        owner.rollback()


def timed(client: httpx.Client, path: str) -> tuple[httpx.Response, float]:
    started = time.monotonic()
    answer = client.get(path)
    return answer, time.monotonic() - started


def recovers(client: httpx.Client, path: str) -> bool:
    deadline = time.monotonic() + RECOVERED
    while time.monotonic() < deadline:
        if client.get(path).status_code == 200:
            return time.monotonic() < deadline
    return False


def stranger(world: World) -> httpx.Client:
    """A client whose key nobody remembers yet."""
    with world.person("admin") as admin:
        made = admin.post("/v1/api-keys", json={"name": f"Stranger {next(numbers)}", "role": "quant"})
    return httpx.Client(base_url=world.platform.url, headers={"X-API-Key": made.json()["key"]}, timeout=20)


@pytest.fixture(scope="module")
def reader(hostile_world: World) -> Iterator[httpx.Client]:
    """A Quant who may read prices that are there, and need not be asked about again."""
    with stranger(hostile_world) as quant, hostile_world.person("ops") as ops:
        account = quant.get("/v1/me").json()["account"]
        gift = {"account": account, "dataset": "BTC", "frequencies": ["1d"], "reason": "Signed"}
        assert ops.post("/v1/grants", json=gift).status_code == 201
        until(lambda: quant.get(PRICES[1]).json().get("data"), "the first prices")
        yield quant


@pytest.fixture
def client(hostile_world: World, role: str, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """Who asks."""
    if role == "reader":
        yield request.getfixturevalue("reader")
    else:
        with hostile_world.person(role) as person:
            yield person


@pytest.mark.parametrize(
    ("breakage", "role", "path", "table"),
    [(slow, *CASES[0]), (slow, *PRICES), *((locked, *case) for case in (*CASES, PRICES, COVERAGE))],
)
def test_b3_a_query_that_does_not_end_is_503_in_time(
    hostile_world: World, client: httpx.Client, breakage: Breakage, path: str, table: str
) -> None:
    assert client.get(path).status_code == 200
    with breakage(hostile_world.env["TICKGATE_DATABASE_URL"], table):
        answer, seconds = timed(client, path)
        assert (answer.status_code, answer.json()["code"]) == (503, "temporarily-unavailable")
        assert answer.headers["retry-after"] == "1"
        assert seconds < IN_TIME
    assert recovers(client, path)


KEYS = "gateway.api_keys"


@pytest.mark.parametrize("breakage", [slow, locked])
def test_b3_a_key_that_cannot_be_looked_up_is_503_in_time_and_a_remembered_one_opens(
    hostile_world: World, breakage: Breakage
) -> None:
    with stranger(hostile_world) as known, stranger(hostile_world) as unknown:
        assert remembers(known)
        with breakage(hostile_world.env["TICKGATE_DATABASE_URL"], KEYS):
            answer, seconds = timed(unknown, "/v1/grants")
            assert (answer.status_code, answer.json()["code"]) == (503, "temporarily-unavailable")
            assert seconds < IN_TIME
            assert known.get("/v1/grants").status_code == 200
        assert recovers(unknown, "/v1/grants")


@pytest.mark.parametrize("breakage", [slow, locked])
def test_b3_keys_that_cannot_be_looked_up_keep_nobody_longer_than_that(
    hostile_world: World, breakage: Breakage
) -> None:
    with stranger(hostile_world) as unknown:
        with breakage(hostile_world.env["TICKGATE_DATABASE_URL"], KEYS):
            assert keeps_a_crowd(unknown, "/v1/grants") < IN_TIME
        assert recovers(unknown, "/v1/grants")


def keeps_a_crowd(client: httpx.Client, path: str) -> float:
    """How long one of many at once is kept until its 503, in the best of some rounds: others use the machine too."""

    def one_round() -> float:
        with ThreadPoolExecutor(CROWD) as crowd:
            answers = list(crowd.map(lambda _: timed(client, path), range(CROWD)))
        assert {answer.status_code for answer, _ in answers} == {503}
        return max(seconds for _, seconds in answers)

    kept = one_round()
    for _ in range(0 if PROOF else 2):
        kept = kept if kept < IN_TIME else one_round()
    return kept


def remembers(client: httpx.Client) -> bool:
    """Use a key until the gateway has certainly kept it: twice while changes are told."""
    time.sleep(2 * WINDOW)
    return [client.get("/v1/grants").status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    ("breakage", "role", "path", "table"),
    [*((slow, *case) for case in (*CASES, PRICES)), *((locked, *case) for case in (*CASES, *READS))],
)
def test_b3_an_exhausted_pool_is_503_in_time_for_everybody(
    hostile_world: World, client: httpx.Client, breakage: Breakage, path: str, table: str
) -> None:
    with breakage(hostile_world.env["TICKGATE_DATABASE_URL"], table):
        assert keeps_a_crowd(client, path) < IN_TIME
    assert recovers(client, path)
