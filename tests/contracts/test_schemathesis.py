"""B2: Schemathesis against the running gateway, by its merged OpenAPI: all phases, all checks, every role.

It takes minutes, so it is a part of `make proof` only: 200 examples for each operation.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.routes import ROUTES
from tests.conftest import ROOT, cloned
from tests.proof import PROOF, figure
from tests.world import World, running_world, until

EXAMPLES = 200
SECONDS = 3600
PEERS = ("quant A", "quant B")
ROLES = {"quant A": "quant", "ops": "ops", "admin": "admin"}
RULES = (  # between values, or between a value and the time
    "an instant after `start`",
    "an instant that is not past",
    "an instant after the start",
    "a year between 1901 and 2999",
    "a day from ",
    "a day that is not in the future",
    "no date: sync-prices loads all that is missing",
    "days for this kind of grant",
    "a trial ends",
    "at most one of duration_days, ends_at and no_end",
    "refusing needs a reason",
    "a refusal has no term",
    "a trial lasts at most 14 days",
    "either `outcome` for everything undecided, or `decisions`",
    "either name and role, or account",
    "terms and reasons stand inside `decisions`",
    "Input should be a valid integer",  # 30.0 is one to JSON Schema
)
WARNINGS = ("missing_auth", "missing_test_data", "method_not_allowed", "unused_openapi_auth", "missing_deserializer")
WANTED = {
    "/v1/access-requests/{id}": "requests",
    "/v1/access-requests/{id}/decisions": "requests",
    "/v1/grants/{id}": "grants",
    "/v1/access-requests/{id}/answer": "requests",
    "/v1/access-requests/{id}/question": "requests",
    "/v1/access-requests/{id}/withdraw": "requests",
    "/v1/grants/{id}/revoke": "grants",
    "/v1/grants/{id}/extend": "grants",
    "/v1/grants/{id}/keep": "grants",
    "/v1/grants/{id}/relinquish": "grants",
    "/v1/accounts/{id}/block": "accounts",
    "/v1/accounts/{id}/unblock": "accounts",
    "/v1/accounts/{id}/close": "accounts",
    "/v1/notifications/{id}/read": "notifications",
    "/v1/accounts/{id}": "accounts",
    "/v1/api-keys/{id}": "keys",
    "/v1/api-keys/{id}/rotate": "keys",
}


@dataclass(frozen=True)
class Cast:
    """Who knocks, with which key, and the ids of what there is to be found, for each of them."""

    world: World
    keys: dict[str, str]
    kept: list[str]
    found: dict[str, dict[str, list[str]]]


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    """Two Quants, who hold grants and have asked for more, Ops and the admin, who hold grants as well."""
    with cloned() as stores, running_world(stores, tmp_path_factory.mktemp("world")) as world, ExitStack() as stack:
        admin, ops = (stack.enter_context(world.person(role)) for role in ("admin", "ops"))
        made = {name: admin.post("/v1/api-keys", json={"name": name, "role": "quant"}).json() for name in PEERS}
        keys = {name: made[name]["key"] for name in PEERS} | {role: world.keys[role] for role in ("ops", "admin")}
        clients = {name: stack.enter_context(_client(world, key)) for name, key in keys.items()}
        spare = [admin.post("/v1/api-keys", json={"name": f"Spare {n}", "role": "quant"}).json() for n in range(3)]
        for name, client in clients.items():
            account = client.get("/v1/me").json()["account"]
            gift = {"account": account, "dataset": "BTC", "frequencies": ["1h", "1d"], "reason": "Signed"}
            giver = admin if name == "ops" else ops  # nobody gives to themselves
            assert giver.post("/v1/grants", json=gift).status_code == 201
            assert client.post("/v1/access-requests", json={"dataset": "ETH", "frequencies": ["1d"]}).status_code == 201
            until(lambda client=client: client.get("/v1/notifications").json()["data"], "a notification")  # type: ignore[misc]
        gift = {"account": spare[0]["account"], "dataset": "BTC", "frequencies": ["1h", "1d", "1mo"], "reason": "Spare"}
        grants = [grant["id"] for grant in ops.post("/v1/grants", json=gift).json()["data"]]
        found = {name: _found(client) for name, client in clients.items()}
        for name in ("ops", "admin"):  # who sees everything takes away what nobody needs
            found[name] |= {"grants": grants, "keys": [key["id"] for key in spare]}
            found[name] |= {"accounts": [key["account"] for key in spare]}
        yield Cast(world, keys, [client.get("/v1/me").json()["key"]["id"] for client in clients.values()], found)


def _client(world: World, key: str) -> httpx.Client:
    return httpx.Client(base_url=world.platform.url, headers={"X-API-Key": key}, timeout=20)


def _found(client: httpx.Client) -> dict[str, list[str]]:
    """The ids that this one finds."""

    def ids(path: str) -> list[str]:
        return [row["id"] for row in client.get(path).json().get("data", [])]

    lists = {name: ids(f"/v1/{name}") for name in ("grants", "notifications", "accounts")}
    return lists | {"requests": ids("/v1/access-requests"), "keys": []}


def _configuration(cast: Cast, who: str, folder: Path) -> Path:
    """What Schemathesis is told: who knocks, which operations admit that role, and ids that exist."""
    entries = [{"name": name, "fixedHeaders": [{"name": "X-API-Key", "value": key}]} for name, key in cast.keys.items()]
    (folder / "people.json").write_text(json.dumps({"auth": entries}))
    lines = [
        "continue-on-failure = true",
        "[auth.wfc]",
        f'path = "{folder / "people.json"}"',
        f'user = "{who}"',
        f"peers = {json.dumps(PEERS)}",
        "[warnings]",
        # "validation_mismatch" counts refusals of what fits the schema; here each single one that has no reason fails
        f"fail-on = {json.dumps(WARNINGS)}",
        f"display = {json.dumps(WARNINGS)}",
    ]
    for name, values in cast.found[who].items():
        if not values:
            continue
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(values)}"]
    lines += ["[dictionaries.symbols]", 'values = ["BTC"]']
    for path in ("/v1/datasets/{symbol}/prices", "/v1/datasets/{symbol}/market-caps"):
        value = '{ dictionary = "symbols", probability = 0.9 }'
        lines += ["[[operations]]", f'include-path = "{path}"', f'parameters = {{ "path.symbol" = {value} }}']
    for path, name in WANTED.items():
        if cast.found[who][name]:
            value = f'{{ dictionary = "{name}", probability = 0.9 }}'
            lines += ["[[operations]]", f'include-path = "{path}"', f'parameters = {{ "path.id" = {value} }}']
            if path.endswith("/decisions"):  # each request takes one that fits it: made up ones are all refused
                lines += ["warnings = false"]
    file = folder / "schemathesis.toml"
    file.write_text("\n".join(lines))
    return file


def _admits(who: str) -> str:
    """A pattern of the operations that are open, or open to this role."""
    admitted = [route for route in ROUTES if route.is_open or ROLES[who] in route.roles]
    ours = [route for route in admitted if not route.streams]  # one that has no end is never answered whole
    return "^(" + "|".join(re.escape(f"{route.method} {route.path}") for route in ours) + ")$"


def _knock(cast: Cast, who: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    told = ["--config-file", str(_configuration(cast, who, folder)), "run", f"{cast.world.platform.url}/openapi.json"]
    told += ["--max-examples", str(EXAMPLES), "--include-name-regex", _admits(who), "--checks", "all", "--no-color"]
    told += ["--suppress-health-check", "all"]

    told += ["--generation-database", "none"]
    env: dict[str, Any] = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.contracts.hooks",
        "PYTHONPATH": str(ROOT),
        "TICKGATE_CONTRACT_KEPT": ",".join(cast.kept),
        "TICKGATE_CONTRACT_RULES": json.dumps(RULES),
    }
    command = [sys.executable, "-m", "schemathesis.cli", *told]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.mark.skipif(not PROOF, reason="takes minutes: a part of `make proof`")
@pytest.mark.parametrize("who", ROLES)
def test_b2_every_operation_keeps_to_what_is_published_for_each_role(cast: Cast, who: str, tmp_path: Path) -> None:
    done = _knock(cast, who, tmp_path)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert "Warnings:" not in done.stdout, done.stdout[-20_000:]
    figure(f"Schemathesis as {who}", test_cases=re.findall(r"(\d+) generated", done.stdout)[-1])
