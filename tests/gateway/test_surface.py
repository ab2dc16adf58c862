"""Closed by default: the gateway does not start unless rows and services agree."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack

import httpx
import pytest

from gateway.errors import MissingOperation, ServiceSilent, UndeclaredOperation
from gateway.main import check, create_gateway
from gateway.routes import ADMIN, OPEN, Route
from gateway.settings import GatewaySettings
from services.catalog.module import module as catalog
from shared.application import create_app
from shared.identity import new_key_pair
from tests.conftest import Stores
from tests.gateway.conftest import NEAR_ROUTES, Running
from tests.serving import listening


def start(settings: GatewaySettings, routes: tuple[Route, ...]) -> None:
    asyncio.run(check(settings, routes))


def test_the_rows_agree_with_the_services(told: GatewaySettings) -> None:
    start(told, NEAR_ROUTES)


@pytest.mark.parametrize("gone", NEAR_ROUTES, ids=lambda r: f"{r.method} {r.path}")
def test_a_row_too_few_keeps_it_closed(told: GatewaySettings, gone: Route) -> None:
    with pytest.raises(UndeclaredOperation, match=f"{gone.service} offers {gone.method} ") as refusal:
        start(told, tuple(route for route in NEAR_ROUTES if route != gone))
    assert gone.path in str(refusal.value)


@pytest.mark.parametrize(
    "extra",
    [
        Route("GET", "/v1/nothing", "catalog", OPEN),
        Route("PUT", "/v1/datasets/{symbol}", "catalog", ADMIN),
        Route("GET", "/v1/me", "catalog", OPEN),
    ],
    ids=lambda r: f"{r.method} {r.path}",
)
def test_a_row_too_many_keeps_it_closed(told: GatewaySettings, extra: Route) -> None:
    with pytest.raises(MissingOperation, match=extra.path):
        start(told, (*NEAR_ROUTES, extra))


def test_a_service_that_does_not_know_us_keeps_it_closed(told: GatewaySettings) -> None:
    strange = told.model_copy(update={"identity_private_key": new_key_pair()[0]})
    with pytest.raises(ServiceSilent, match="401"):
        start(strange, NEAR_ROUTES)


def test_the_process_says_so_in_one_line(
    told: GatewaySettings, module_stores: Stores, environment: Callable[[Stores], dict[str, str]]
) -> None:
    url = {"TICKGATE_PRICING_URL": "asgi://services.catalog.main"}
    url["TICKGATE_ENTITLEMENTS_URL"] = "asgi://services.catalog.main"
    ended = subprocess.run(
        [sys.executable, "-m", "gateway"],
        env={**environment(module_stores), **url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert len(ended.stderr.splitlines()) == 1
    assert "401" in ended.stderr


def test_a_missing_setting_is_named() -> None:
    ended = subprocess.run([sys.executable, "-m", "gateway"], env={}, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "TICKGATE_KEY_PEPPER" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_service_in_another_process_is_waited_for_and_answers_the_same(
    told: GatewaySettings, gateway: Running
) -> None:
    with listening(create_app(catalog)) as catalog_url:
        apart = told.model_copy(update={"catalog_url": catalog_url})
        with listening(create_gateway(apart, NEAR_ROUTES)) as url:
            there = Running(url, "", gateway.keys, gateway.stores)
            for call in (("GET", "/v1/datasets"), ("GET", "/v1/datasets/NONE"), ("HEAD", "/v1/datasets")):
                near, far = gateway.call(*call), there.call(*call)
                assert near.status_code == far.status_code
                assert sorted(near.headers) == sorted(far.headers)
                assert {**(near.json() if near.content else {}), "request_id": ""} == {
                    **(far.json() if far.content else {}),
                    "request_id": "",
                }


def test_a_service_that_is_gone_answers_503(told: GatewaySettings) -> None:
    with ExitStack() as there, ExitStack() as here:
        catalog_url = there.enter_context(listening(create_app(catalog)))
        apart = told.model_copy(update={"catalog_url": catalog_url})
        url = here.enter_context(listening(create_gateway(apart, NEAR_ROUTES)))
        assert httpx.get(url + "/readyz").status_code == 200
        there.close()
        answer = httpx.get(url + "/v1/datasets")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["code"] == "temporarily-unavailable"
        ready = httpx.get(url + "/readyz")
        assert (ready.status_code, ready.json()["missing"]) == (503, ["catalog"])
        assert httpx.get(url + "/livez").status_code == 200
