"""How many requests a key and an address may make, alone and with other replicas."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import httpx
import pytest
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import TimeoutError as RedisTimeout

from cli.embedded.children import free_port
from gateway.keys.secrets import KeySecrets
from gateway.limits import REMEMBERED, Limit, Quota, network
from gateway.main import create_gateway
from gateway.settings import GatewaySettings
from gateway.tally import add_up, adding_up
from shared.settings import SettingsMissing
from tests.conftest import Stores
from tests.gateway.conftest import CLI, NEAR_ROUTES, PEPPER, Running, key_service
from tests.serving import listening

MINUTE = Quota(5, 60)


class Clock:
    """A time that only the test moves."""

    def __init__(self, now: float = 600.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("text", "quota"),
    [("6000/minute", Quota(6000, 60)), ("1/second", Quota(1, 1)), ("9/hour", Quota(9, 3600)), ("0", None)],
)
def test_a_quota_is_written_plainly(text: str, quota: Quota | None) -> None:
    assert Quota.parse(text) == quota


@pytest.mark.parametrize("text", ["", "0/minute", "-1/minute", "5", "5 / minute", "5/day", "५/minute", "1e3/hour"])
def test_anything_else_stops_the_start_with_one_line(
    text: str, key_pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="a limit like 6000/minute"):
        Quota.parse(text)
    given = {"GATEWAY_DATABASE_URL": "x", "KEY_PEPPER": "x" * 16, "IDENTITY_PRIVATE_KEY": key_pair[0]}
    for name, value in given.items():
        monkeypatch.setenv(f"TICKGATE_{name}", value)
    monkeypatch.setenv("TICKGATE_RATE_LIMIT_KEY", text)
    with pytest.raises(SettingsMissing, match=r"^TICKGATE_RATE_LIMIT_KEY: .*6000/minute[^\n]*$"):
        GatewaySettings.load()


def test_a_caller_has_the_quota_in_every_window_and_no_more() -> None:
    clock = Clock(610.0)
    limit = Limit("key", MINUTE, clock=clock)
    assert [limit.take("a").left for _ in range(7)] == [4, 3, 2, 1, 0, -1, -1]
    assert limit.take("b").left == 4
    assert limit.take("a").seconds == 50
    assert limit.take("a").headers() == {"RateLimit-Policy": '"key";q=5;w=60', "RateLimit": '"key";r=0;t=50'}
    clock.now = 659.5
    assert (limit.take("a").left, limit.take("a").seconds) == (-1, 1)
    clock.now = 660.0
    assert (limit.take("a").left, limit.take("a").seconds) == (3 + 1, 60)


def test_a_flood_of_callers_does_not_fill_the_memory() -> None:
    limit = Limit("address", MINUTE, clock=Clock())
    for number in range(REMEMBERED + 10):
        limit.take(str(number))
    assert len(limit._counted) <= REMEMBERED
    assert len(limit._untold) <= REMEMBERED


def test_what_others_counted_counts_and_what_nobody_heard_is_told_again() -> None:
    limit = Limit("key", MINUTE, clock=Clock())
    limit.take("a")
    window, counts = limit.untold()
    assert counts == {"a": 1}
    limit.take("a")
    limit.hear(window, {"a": 2})
    assert limit.take("a").left == 0
    window, counts = limit.untold()
    assert counts == {"a": 3}
    assert limit.untold() == (window, {})
    limit.tell_again(window, counts)
    assert limit.untold() == (window, {"a": 3})
    limit.hear(window - 1, {"a": 100})
    limit.hear(window, {"a": 0})
    assert limit.take("a").left == -1


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("somewhere", "somewhere"),
    ],
)
def test_an_ipv6_client_is_its_whole_network(address: str, meant: str) -> None:
    assert network(address) == meant


def test_two_replicas_add_up(stores: Stores) -> None:
    async def story() -> None:
        clock = Clock(time.time())
        here, there = (Limit("test-two", Quota(10, 60), clock=clock) for _ in range(2))
        async with Redis.from_url(stores.redis_url) as redis:
            for _ in range(6):
                here.take("a")
            for _ in range(3):
                there.take("a")
            await add_up(here, redis, "here")
            await add_up(there, redis, "there")
            assert there.take("a").left == 0
            assert there.take("a").left == -1
            assert here.take("a").left == 3
            await add_up(there, redis, "there")
            await add_up(here, redis, "here")
            assert here.take("a").left < 0
            keys = [key async for key in redis.scan_iter("tickgate:limits:test-two:*")]
            assert [0 < await redis.ttl(key) <= 61 for key in keys] == [True]
            await redis.delete(*keys)

    asyncio.run(story())


class Cut(Pipeline):
    """What it asks for is done, and nobody hears of it."""

    async def execute(self, raise_on_error: bool = True) -> list[object]:
        """Do it, and fail."""
        await super().execute(raise_on_error)
        raise RedisTimeout


class Deaf(Redis):
    """Its answers are cut off."""

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Cut:
        """A pipeline whose answers are cut off."""
        return Cut(self.connection_pool, self.response_callbacks, transaction, shard_hint)


def test_what_is_told_again_and_again_counts_once(stores: Stores) -> None:
    async def story() -> None:
        clock = Clock(time.time())
        here, there = (Limit("test-deaf", Quota(100, 60), clock=clock) for _ in range(2))
        async with Redis.from_url(stores.redis_url) as redis, Deaf.from_url(stores.redis_url) as deaf:
            for _ in range(10):
                here.take("a")
                with pytest.raises(RedisTimeout):
                    await add_up(here, deaf, "here")
            await add_up(here, redis, "here")
            there.take("a")
            await add_up(there, redis, "there")
            assert here.take("a").left == 100 - 11
            assert there.take("a").left == 100 - 12
            await redis.delete(*[key async for key in redis.scan_iter("tickgate:limits:test-deaf:*")])

    asyncio.run(story())


@pytest.fixture(params=["refused", "silent"])
def away(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a Redis that is not there, or that takes connections and never says a word."""
    if request.param == "refused":
        yield f"redis://127.0.0.1:{free_port()}/0"
        return
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def new_key(gateway: Running) -> str:
    """The key of somebody new."""
    with key_service(gateway.stores) as service:
        return service.create(name=str(uuid4()), role="quant", by=CLI).key


def call_all(url: str, key: str, times: int) -> list[httpx.Response]:
    with httpx.Client(base_url=url, headers={"X-API-Key": key}) as client:
        return [client.get("/v1/me") for _ in range(times)]


@pytest.mark.undisturbed
def test_without_redis_each_replica_counts_alone_and_nothing_waits(
    told: GatewaySettings, gateway: Running, away: str
) -> None:
    key = new_key(gateway)
    settings = told.model_copy(update={"redis_url": away, "rate_limit_key": "20/hour"})
    with listening(create_gateway(settings, NEAR_ROUTES)) as url:
        started = time.monotonic()
        answers = call_all(url, key, 22)
        assert time.monotonic() - started < 2.0
    assert [answer.status_code for answer in answers] == [200] * 20 + [429] * 2


def test_a_key_over_its_limit_is_told_when_to_come_back(told: GatewaySettings, gateway: Running) -> None:
    ada, bob = new_key(gateway), new_key(gateway)
    with listening(create_gateway(told.model_copy(update={"rate_limit_key": "3/hour"}), NEAR_ROUTES)) as url:
        answers = call_all(url, ada, 4)
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        for left, answer in zip((2, 1, 0, 0), answers, strict=True):
            assert answer.headers["ratelimit-policy"] == '"key";q=3;w=3600'
            assert answer.headers["ratelimit"].startswith(f'"key";r={left};t=')
        refusal = answers[-1]
        assert (refusal.json()["code"], refusal.headers["content-type"]) == (
            "too-many-requests",
            "application/problem+json",
        )
        assert refusal.headers["ratelimit"].endswith(f";t={refusal.headers['retry-after']}")
        assert 1 <= int(refusal.headers["retry-after"]) <= 3600
        assert call_all(url, bob, 1)[0].status_code == 200


def test_an_address_over_its_limit_is_refused_before_its_key_is_looked_at(
    told: GatewaySettings, gateway: Running
) -> None:
    unknown = KeySecrets(PEPPER).mint().text
    with listening(create_gateway(told.model_copy(update={"rate_limit_address": "3/hour"}), NEAR_ROUTES)) as url:
        answers = call_all(url, unknown, 4)
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
        assert answers[0].headers["ratelimit-policy"] == '"address";q=3;w=3600'
        assert httpx.get(url + "/v1/datasets").status_code == 429
        for path in ("/livez", "/readyz", "/docs", "/openapi.json"):
            assert httpx.get(url + path).status_code == 200
            assert "ratelimit" not in httpx.get(url + path).headers


def test_what_the_role_refuses_is_counted_all_the_same(told: GatewaySettings, gateway: Running) -> None:
    key = new_key(gateway)
    with (
        listening(create_gateway(told.model_copy(update={"rate_limit_key": "2/hour"}), NEAR_ROUTES)) as url,
        httpx.Client(base_url=url, headers={"X-API-Key": key}) as client,
    ):
        answers = [client.get("/v1/api-keys") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [403, 403, 429]
    assert answers[0].headers["ratelimit-policy"] == '"key";q=2;w=3600'


def test_nought_is_off(told: GatewaySettings, gateway: Running) -> None:
    settings = told.model_copy(update={"rate_limit_key": "0", "rate_limit_address": "0"})
    with listening(create_gateway(settings, NEAR_ROUTES)) as url:
        answer = call_all(url, gateway.keys["quant"], 1)[0]
    assert answer.status_code == 200
    assert "ratelimit" not in answer.headers


def test_two_gateways_share_a_limit(told: GatewaySettings, gateway: Running) -> None:
    key = new_key(gateway)
    settings = told.model_copy(update={"rate_limit_key": "40/hour"})
    with (
        listening(create_gateway(settings, NEAR_ROUTES)) as one,
        listening(create_gateway(settings, NEAR_ROUTES)) as two,
    ):
        assert {answer.status_code for answer in call_all(one, key, 40)} == {200}
        deadline = time.monotonic() + 5
        while call_all(two, key, 1)[0].status_code == 200:
            assert time.monotonic() < deadline, "the other gateway never heard"


def test_nothing_is_done_where_nothing_is_limited(stores: Stores) -> None:
    async def story() -> None:
        async with adding_up((), stores.redis_url), adding_up((Limit("key", MINUTE),), ""):
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(story())
