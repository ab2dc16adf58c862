"""B2: Schemathesis against the running gateway, by its merged OpenAPI: all phases, all checks, every role."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from schemathesis.core.warnings import SchemathesisWarning

from gateway.routes import ROUTES
from services.entitlements.bulk_decisions.schemas import ONE
from tests.conftest import ROOT, cloned
from tests.contracts.cast import PEERS, READ, Cast, Person, cast_of
from tests.proof import PROOF, figure

EXAMPLES = 200 if PROOF else 5
SECONDS = 3600
PHASES = ("examples", "fuzzing", "stateful", "coverage")  # every day the last, which is long, for a Quant only
# refusals of what fits the schema are not weighed, but looked at one by one: hooks.py
WARNINGS = [str(kind) for kind in SchemathesisWarning if kind not in ("validation_mismatch", "low_valid_rate")]
ROLES = {"quant A": "quant", "ops": "ops", "admin": "admin"}


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    """The people and what there is, shared by all roles."""
    with cloned() as stores, cast_of(stores, tmp_path_factory.mktemp("world")) as cast:
        yield cast


def _document(cast: Cast, person: Person) -> dict[str, Any]:
    """What the gateway publishes, with examples that name what is there."""
    document: dict[str, Any] = httpx.get(f"{cast.url}/openapi.json").json()
    for path, item in document["paths"].items():
        pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)
        found = next((match for thing in person.things if (match := re.fullmatch(pattern, thing))), None)
        named = found.groupdict() if found else {}
        for parameter in (parameter for operation in item.values() for parameter in operation.get("parameters", ())):
            if parameter["name"] in named:
                parameter["example"] = named[parameter["name"]]
    for name, value in person.bodies.items():
        schema = document["components"]["schemas"][name]
        schema["examples"] = json.loads(json.dumps(schema["examples"]).replace(ONE, value))
    return document


def _settings(cast: Cast, who: str, folder: Path) -> str:
    """Who knocks, that every warning is a failure, and whose prices there are."""
    entries = [
        {"name": name, "fixedHeaders": [{"name": "X-API-Key", "value": person.key}]}
        for name, person in cast.people.items()
    ]
    (folder / "people.json").write_text(json.dumps({"auth": entries}))
    return f"""
        continue-on-failure = true
        [auth.wfc]
        path = "{folder / "people.json"}"
        user = "{who}"
        peers = {json.dumps(PEERS)}
        [checks.negative_data_rejection]
        expected-statuses = ["4xx"]  # of what is too large: 413
        [warnings]
        display = {json.dumps(WARNINGS)}
        fail-on = true
        [phases.examples.extra-data-sources]
        responses = false  # there, each operation has its own
        [dictionaries.symbols]
        values = ["{READ}"]
        [[operations]]
        include-path-regex = "/(prices|market-caps)$"
        parameters = {{ "path.symbol" = {{ dictionary = "symbols", probability = 0.9 }} }}
    """


def _admits(who: str) -> str:
    """A pattern of the operations that are open, or open to this role."""
    admitted = [route for route in ROUTES if route.is_open or ROLES[who] in route.roles]
    ours = [route for route in admitted if not route.streams]  # one that has no end is never answered whole
    return "^(" + "|".join(re.escape(f"{route.method} {route.path}") for route in ours) + ")$"


def _knock(cast: Cast, who: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    (folder / "schemathesis.toml").write_text(_settings(cast, who, folder))
    (folder / "openapi.json").write_text(json.dumps(_document(cast, cast.make_things(who))))
    command = [sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", cast.url, "--no-color"]
    command += ["--max-examples", str(EXAMPLES), "--include-name-regex", _admits(who), "--checks", "all"]
    command += ["--phases", ",".join(PHASES if PROOF or ROLES[who] == "quant" else PHASES[:-1])]
    command += ["--suppress-health-check", "all"]
    command += ["--generation-database", "none"] if PROOF else ["--generation-deterministic"]
    kept = ",".join(value for person in cast.people.values() for value in person.kept)
    env = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.contracts.hooks",
        "PYTHONPATH": str(ROOT),
        "TICKGATE_CONTRACT_KEPT": kept,
    }
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.mark.parametrize("who", ROLES)
def test_b2_every_operation_keeps_to_what_is_published_for_each_role(cast: Cast, who: str, tmp_path: Path) -> None:
    done = _knock(cast, who, tmp_path)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert "Warnings:" not in done.stdout, done.stdout[-20_000:]
    figure(f"Schemathesis as {who}", test_cases=re.findall(r"(\d+) generated", done.stdout)[-1])
