"""K3: a key counts once and in its header only; wherever else it is sent, it is refused and never logged."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import Stores
from tests.world import World, running_world


@pytest.fixture(scope="module")
def world(module_stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A running platform that logs all it can."""
    with running_world(module_stores, tmp_path_factory.mktemp("world"), TICKGATE_LOG_LEVEL="debug") as world:
        yield world


PLACES: dict[str, dict[str, Any]] = {
    "two headers": {"headers": [("X-API-Key", "{key}"), ("X-API-Key", "{key}")]},
    "two spellings": {"headers": [("X-API-Key", "{key}"), ("x-api-key", "{key}")]},
    "good and bad": {"headers": [("X-API-Key", "{key}"), ("X-API-Key", "hello")]},
    "joined": {"headers": [("X-API-Key", "{key}, {key}")]},
    "query": {"url": "/v1/me?X-API-Key={key}"},
    "query, our name": {"url": "/v1/me?api_key={key}&key={key}"},
    "cookie": {"headers": [("Cookie", "X-API-Key={key}")]},
    "body": {"method": "POST", "url": "/v1/access-requests", "json": {"X-API-Key": "{key}", "dataset": "BTC"}},
    "form": {"method": "POST", "url": "/v1/access-requests", "data": {"X-API-Key": "{key}"}},
    "bearer": {"headers": [("Authorization", "Bearer {key}")]},
    "underscores": {"headers": [("X_API_Key", "{key}")]},
    "request id": {"headers": [("X-Request-Id", "{key}")]},
}


def filled(part: Any, key: str) -> Any:
    """The same with the key in its place."""
    if isinstance(part, str):
        return part.replace("{key}", key)
    if isinstance(part, dict):
        return {name: filled(value, key) for name, value in part.items()}
    return [tuple(filled(one, key) for one in pair) for pair in part]


def send(world: World, place: str, key: str) -> httpx.Response:
    """One call with the key in that place."""
    with httpx.Client(base_url=world.platform.url, timeout=20) as client:
        return client.request(**{"method": "GET", "url": "/v1/me", **filled(PLACES[place], key)})


@pytest.mark.parametrize("place", PLACES)
def test_k3_a_key_in_the_wrong_place_is_refused(world: World, place: str) -> None:
    answer = send(world, place, world.keys["admin"])
    assert answer.status_code == 401
    assert answer.json()["code"] in ("missing-key", "invalid-key")
    assert answer.headers["www-authenticate"] == "ApiKey"
    assert world.keys["admin"] not in answer.text


def test_k3_no_key_is_ever_logged(world: World) -> None:
    """Neither from the wrong places, nor beside a good key, nor as a path, which the log does name."""
    for role, key in world.keys.items():
        for place in PLACES:
            send(world, place, key)
        with world.person(role) as person:
            assert person.get("/v1/me").status_code == 200
            assert person.get(f"/v1/me?key={key}").status_code == 422
            assert person.post("/v1/access-requests", json={"dataset": key, "frequencies": [key]}).status_code == 422
            assert person.get(f"/v1/{key}").status_code == 404
            assert person.get(f"/v1/grants/{key}").status_code in (404, 422)
    logs = {path: path.read_text() for path in world.logs.iterdir()}
    assert any('"path": "/v1/me"' in text for text in logs.values())
    assert any(f'"path": "/v1/tg_live_{key.split("_")[2]}_***"' in text for text in logs.values())
    for path, text in logs.items():
        for role, key in world.keys.items():
            assert key.split("_")[3] not in text, f"the {role} key is in {path.name}"
