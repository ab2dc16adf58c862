"""K6: after all that people do with keys, right and wrong, no table, no Redis and no log holds one.

Every platform of a test run is searched when it ends (`running_world`, `running_sides`, `tickgate up`), and all files
of the servers that the tests ran on when they have stopped (`tests/conftest.py`); here is one with a story about keys.
"""

import shutil
from functools import partial

import httpx
import psycopg
import pytest

from cli.embedded.servers import embedded_servers
from gateway.keys.policy import SECRET_LENGTH
from tests.conftest import new_folder
from tests.kept import KEY, everything, holding, in_files
from tests.world import World


@pytest.fixture(scope="module")
def story(hostile_world: World) -> list[str]:
    """Keys made, used, misplaced, mistyped and revoked; the keys."""
    url = hostile_world.platform.url
    with hostile_world.person("admin") as admin, hostile_world.person("ops") as ops:
        new, once = {"name": "Ada of the leaks", "role": "quant"}, {"Idempotency-Key": "leaks"}
        made = admin.post("/v1/api-keys", json=new, headers=once).json()
        assert admin.post("/v1/api-keys", json=new, headers=once).json()["key"] is None
        rotate = partial(admin.post, f"/v1/api-keys/{made['id']}/rotate", json={"overlap_seconds": 3600})
        rotated = rotate(headers={"Idempotency-Key": "leaks too"}).json()
        assert rotate(headers={"Idempotency-Key": "leaks too"}).json()["key"] is None
        key = made["key"]
        as_name = admin.post("/v1/api-keys", json={"name": f"Ada, {key}", "role": "quant"})
        as_repeat = admin.post(
            "/v1/api-keys", json={"name": "Ada B", "role": "quant"}, headers={"Idempotency-Key": key}
        )
        escaped = '{"name": "Ada, KEY", "role": "quant"}'.replace("KEY", key.replace("_", "\\u005f", 1))
        as_escapes = admin.post("/v1/api-keys", content=escaped, headers={"Content-Type": "application/json"})
        assert {answer.status_code for answer in (as_name, as_repeat, as_escapes)} == {422}
        assert key not in as_name.text + as_repeat.text + as_escapes.text
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
    return [key, rotated["key"], *hostile_world.keys.values()]


def test_k6_no_key_is_kept_anywhere(hostile_world: World, story: list[str]) -> None:
    kept = list(everything(hostile_world.env, hostile_world.logs))
    places = {place for place, _ in kept}
    assert {"gateway.api_keys", "gateway.idempotency", "entitlements.outbox"} <= places
    assert any(place.endswith("gateway.log") for place in places)
    assert holding(kept, story) == []


def test_k6_a_key_would_be_found_and_so_would_its_secret_alone(story: list[str]) -> None:
    assert all(KEY.fullmatch(key) for key in story)
    secret = story[0].split("_")[3]
    assert len(secret) == SECRET_LENGTH
    kept = [("whole", f"({story[0]})"), ("bare", f"(7,{secret})"), ("another", secret[::-1])]
    assert holding(kept, story) == ["whole", "bare"]


def test_k6_a_key_would_be_found_in_the_files_of_a_server(story: list[str]) -> None:
    """Also when its row was taken back. The folder is made as that of the tests' own servers."""
    home = new_folder()
    with embedded_servers(home, fast=True) as servers, psycopg.connect(servers.database_url) as connection:
        connection.execute("create table told (key text)")
        connection.commit()
        connection.execute("insert into told values (%s)", [story[0]])
        connection.rollback()
    assert in_files(home) != []
    shutil.rmtree(home)
