"""K6: after all that people do with keys, right and wrong, no table, no Redis and no log holds one."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing

import httpx
import psycopg
import pytest
from psycopg import sql
from redis import Redis

from tests.world import World

KEY = re.compile(r"tg_[a-z]+_[0-9A-Za-z]{10}_[0-9A-Za-z_-]{30,}")


def _stored(url: str) -> Iterator[tuple[str, str]]:
    """Every row of every table, as text."""
    tables = (
        "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where c.relkind in ('r', 'm', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')"
    )
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        for schema, table in connection.execute(tables).fetchall():
            query = sql.SQL("select t::text from {} t").format(sql.Identifier(schema, table))
            for (row,) in connection.execute(query):
                yield f"{schema}.{table}", row


def _remembered(url: str) -> Iterator[tuple[str, str]]:
    """Every key of Redis and what it holds, as Redis itself would save it."""
    with closing(Redis.from_url(url)) as redis:
        for name in redis.scan_iter():
            yield f"redis {name!r}", f"{name!r} {_value(redis, name)!r}"


def _value(redis: Redis, name: bytes) -> object:
    kind = redis.type(name)
    readers: dict[bytes | str, Callable[[], object]] = {
        b"string": lambda: redis.get(name),
        b"list": lambda: redis.lrange(name, 0, -1),
        b"set": lambda: redis.smembers(name),
        b"zset": lambda: redis.zrange(name, 0, -1),
        b"hash": lambda: redis.hgetall(name),
        b"stream": lambda: redis.xrange(name),
    }
    return readers[kind]()


def _logged(world: World) -> Iterator[tuple[str, str]]:
    for file in world.logs.rglob("*"):
        if file.is_file():
            yield str(file), file.read_text(errors="replace")


def everything(world: World) -> Iterator[tuple[str, str]]:
    """Wherever the platform keeps something."""
    yield from _stored(world.env["TICKGATE_DATABASE_URL"])
    yield from _remembered(world.env["TICKGATE_REDIS_URL"])
    yield from _logged(world)


@pytest.fixture(scope="module")
def story(hostile_world: World) -> list[str]:
    """Keys made, used, misplaced, mistyped and revoked; the keys."""
    url = hostile_world.platform.url
    with hostile_world.person("admin") as admin, hostile_world.person("ops") as ops:
        made = admin.post("/v1/api-keys", json={"name": "Ada of the leaks", "role": "quant"}).json()
        key = made["key"]
        with httpx.Client(base_url=url, headers={"X-API-Key": key}) as quant:
            request = quant.post("/v1/access-requests", json={"dataset": "BTC", "frequencies": ["1d"]}).json()
            ops.post(f"/v1/access-requests/{request['id']}/decisions", json={"outcome": "approve"})
            quant.get("/v1/datasets/BTC/prices?frequency=1d&limit=2")
            quant.get("/v1/notifications")
        httpx.get(f"{url}/v1/me", headers={"Authorization": f"Bearer {key}"})
        httpx.get(f"{url}/v1/me", headers={"Cookie": f"X-API-Key={key}", "X-Request-Id": key})
        httpx.get(f"{url}/v1/me?X-API-Key={key}")
        httpx.get(f"{url}/v1/me", headers=[("X-API-Key", key), ("X-API-Key", key)])
        httpx.get(f"{url}/v1/me", headers={"X-API-Key": key[:-1] + "x"})
        httpx.request("POST", f"{url}/v1/access-requests", headers={"X-API-Key": key}, json={"key": key})
        for path in (f"/{key}", f"/v1/datasets/{key}", f"/v1/datasets?cursor={key}", f"/v1/grants/{key}?{key}"):
            httpx.get(url + path, headers={"X-API-Key": key, "User-Agent": key, "Referer": f"{url}/{key}"})
        httpx.request(key, url)
        httpx.post(f"{url}/v1/access-requests", headers={"X-API-Key": key, "Content-Type": key}, content=key)
        admin.delete(f"/v1/api-keys/{made['id']}")
        httpx.get(f"{url}/v1/me", headers={"X-API-Key": key})
    return [key, *hostile_world.keys.values()]


def test_k6_no_key_is_kept_anywhere(hostile_world: World, story: list[str]) -> None:
    assert all(KEY.fullmatch(key) for key in story)
    secrets = [key.split("_", 3)[3] for key in story]
    places = list(everything(hostile_world))
    assert {"gateway.api_keys", "entitlements.outbox"} <= {place for place, _ in places}
    assert any(place.endswith("gateway.log") for place, _ in places)
    found = [place for place, text in places if KEY.search(text) or any(secret in text for secret in secrets)]
    assert found == []
