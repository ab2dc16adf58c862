"""The catalog over HTTP, as the gateway and our own services call it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from services.catalog.module import module
from services.catalog.settings import CatalogSettings
from shared import identity
from shared.application import create_app
from shared.identity import Signer, new_key_pair
from shared.principal import Principal
from tests.conftest import Stores
from tests.shared.ground import calling

pytestmark = pytest.mark.anyio
PRIVATE, PUBLIC = new_key_pair()
PRICINGS_PRIVATE, PRICINGS_PUBLIC = new_key_pair()
OPS = Principal(role="ops", name="Grace", account=uuid4(), key="k123456789")
SOL = {"symbol": "SOL", "name": "Solana", "frequencies": ["1d", "1h"]}


def by_pricing() -> dict[str, str]:
    """What pricing sends along when it calls."""
    pricing = Principal(role="service", name="pricing")
    return {identity.HEADER: Signer(PRICINGS_PRIVATE, issuer="pricing").token(pricing, "catalog")}


def catalog(stores: Stores) -> FastAPI:
    """The catalog's application on a database of the test's own."""
    settings = CatalogSettings(
        catalog_database_url=stores.app_url("catalog"),
        identity_public_keys={"gateway": [PUBLIC], "pricing": [PRICINGS_PUBLIC]},
        cursor_secret="s" * 16,
    )
    return create_app(module, settings)


@pytest.fixture
async def client(stores: Stores) -> AsyncIterator[httpx.AsyncClient]:
    """Ops, as the gateway forwards them."""
    token = Signer(PRIVATE, issuer="gateway").token(OPS, "catalog")
    async with calling(catalog(stores), **{identity.HEADER: token}) as client:
        yield client


async def add(client: httpx.AsyncClient, *symbols: str) -> None:
    """Datasets on offer."""
    for symbol in symbols:
        assert (await client.post("/v1/datasets", json=SOL | {"symbol": symbol})).status_code == 201


async def test_a_dataset_is_added_shown_and_listed(client: httpx.AsyncClient) -> None:
    added = await client.post("/v1/datasets", json=SOL | {"sources": {"coincap": "solana"}})

    shown = {"symbol": "SOL", "name": "Solana", "frequencies": ["1h", "1d"]}
    assert (added.status_code, added.headers["location"], added.json()) == (201, "/v1/datasets/SOL", shown)
    assert (await client.get("/v1/datasets/SOL")).json() == shown
    assert (await client.get("/v1/datasets")).json() == {"data": [shown], "next_cursor": None}


async def test_a_list_is_read_page_by_page(client: httpx.AsyncClient) -> None:
    await add(client, "ZEC", "ADA", "DOT", "BTC", "ETH")
    found: list[str] = []
    url: str | None = "/v1/datasets?limit=2"
    while url:
        answer = await client.get(url)
        found.append(",".join(row["symbol"] for row in answer.json()["data"]))
        url = answer.headers["link"].partition(">")[0].removeprefix("<") if "link" in answer.headers else None
        assert (url is None) == (answer.json()["next_cursor"] is None)

    assert found == ["ADA,BTC", "DOT,ETH", "ZEC"]


@pytest.mark.parametrize("cursor", ["forged", "QUJDREVGR0hJSktMTU5PUCJBREEi"])
async def test_a_cursor_of_ones_own_making_is_refused(cursor: str, client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/datasets", params={"cursor": cursor})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-cursor")


async def test_a_dataset_is_added_once_also_by_two_at_the_same_moment(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    answers = await asyncio.gather(*(client.post("/v1/datasets", json=SOL) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"dataset-exists"}
    with closing(psycopg.connect(stores.database_url)) as connection:
        assert connection.execute("select actor, action from catalog.audit_events").fetchall() == [
            (str(OPS.account), "dataset.added")
        ]


async def test_a_dataset_is_renamed_and_gets_more_frequencies(client: httpx.AsyncClient) -> None:
    await add(client, "SOL")
    answer = await client.patch("/v1/datasets/SOL", json={"name": "Solana II", "frequencies": ["1mo"]})

    assert (answer.status_code, answer.json()["name"]) == (200, "Solana II")
    assert answer.json()["frequencies"] == ["1h", "1d", "1mo"]


async def test_a_frequency_is_retired_now_later_and_not_again(client: httpx.AsyncClient) -> None:
    await add(client, "SOL")
    url = "/v1/datasets/SOL/frequencies"
    later = await client.delete(f"{url}/1h", params={"effective_at": "2999-01-01"})
    now, again = await client.delete(f"{url}/1d"), await client.delete(f"{url}/1d")

    assert (later.status_code, later.content) == (204, b"")
    assert (now.status_code, again.status_code, again.json()["code"]) == (204, 410, "retired")
    assert again.json()["retired_at"].endswith("Z")
    assert (await client.get("/v1/datasets/SOL")).json()["frequencies"] == ["1h"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v1/datasets/NONE", None, 404, "dataset-not-found"),
        ("GET", "/v1/datasets/btc", None, 404, "dataset-not-found"),
        ("GET", "/v1/datasets/%00", None, 404, "dataset-not-found"),
        ("GET", "/v1/datasets?limit=0", None, 422, "invalid-input"),
        ("GET", "/v1/datasets?offset=1", None, 422, "invalid-input"),
        ("POST", "/v1/datasets", SOL | {"symbol": "sol"}, 422, "invalid-input"),
        ("POST", "/v1/datasets", SOL | {"frequencies": []}, 422, "invalid-input"),
        ("POST", "/v1/datasets", SOL | {"frequencies": ["1m"]}, 422, "invalid-input"),
        ("POST", "/v1/datasets", SOL | {"colour": "red"}, 422, "invalid-input"),
        ("POST", "/v1/datasets", [], 422, "invalid-input"),
        ("PATCH", "/v1/datasets/SOL", {"symbol": "ETH"}, 422, "invalid-input"),
        ("PATCH", "/v1/datasets/NONE", {"name": "x"}, 404, "dataset-not-found"),
        ("DELETE", "/v1/datasets/SOL/frequencies/2h", None, 422, "invalid-input"),
        ("DELETE", "/v1/datasets/SOL/frequencies/1mo", None, 404, "frequency-not-found"),
        ("DELETE", "/v1/datasets/SOL/frequencies/1h?effective_at=2001-01-01", None, 422, "invalid-input"),
        ("DELETE", "/v1/datasets/SOL/frequencies/1h?effective_at=2999-01-01T00:00:00", None, 422, "invalid-input"),
        ("DELETE", "/v1/datasets/SOL", None, 405, "method-not-allowed"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_its_reason(
    method: str, path: str, body: Any, status: int, code: str, client: httpx.AsyncClient
) -> None:
    await add(client, "SOL")
    answer = await client.request(method, path, json=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await client.get("/v1/datasets/SOL")).json()["frequencies"] == ["1h", "1d"]


async def test_our_own_services_see_feeds_and_retirements(client: httpx.AsyncClient, stores: Stores) -> None:
    await client.post("/v1/datasets", json=SOL | {"sources": {"coincap": "solana"}})
    await client.delete("/v1/datasets/SOL/frequencies/1h", params={"effective_at": "2999-01-01"})
    async with calling(catalog(stores), **by_pricing()) as pricing:
        offered = (await pricing.get("/internal/datasets/SOL")).json()
        assert offered["sources"] == {"coincap": "solana"}
        assert offered["frequencies"] == ["1h", "1d"]
        assert offered["retired"] == {"1h": "2999-01-01T00:00:00Z"}
        assert (await pricing.get("/internal/datasets")).json() == [offered]
        assert (await pricing.get("/internal/datasets/NONE")).status_code == 404


async def test_the_gateway_cannot_call_inside_nor_a_service_outside(client: httpx.AsyncClient, stores: Stores) -> None:
    for path in ("/internal/datasets", "/internal/datasets/SOL"):
        assert (await client.get(path)).status_code == 401
    async with calling(catalog(stores), **by_pricing()) as pricing:
        assert (await pricing.get("/v1/datasets")).status_code == 401
        assert (await pricing.post("/v1/datasets", json=SOL)).status_code == 401
        assert (await pricing.delete("/v1/datasets/SOL/frequencies/1h")).status_code == 401
