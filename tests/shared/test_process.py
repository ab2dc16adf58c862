"""A process of a service starts with its settings and its role, or ends with one clear line."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from urllib.error import URLError

import pytest

from cli.embedded.children import free_port
from shared.identity import new_key_pair
from tests.conftest import ROOT, Stores
from tests.shared.ground import until

PYTHON = [sys.executable, "-m", "services.catalog"]


def environment(**told: str) -> dict[str, str]:
    """Nothing of ours but what is told."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("TICKGATE_")}
    return {**bare, **told}


@pytest.mark.parametrize("arguments", [[], ["cook"], ["api", "twice"]])
def test_an_unknown_role_is_told_the_known_ones(arguments: list[str]) -> None:
    ended = subprocess.run(PYTHON + arguments, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert ended.stderr == "usage: python -m services.catalog api|worker|relay|scheduler\n"


def test_a_missing_setting_is_named_in_one_line() -> None:
    ended = subprocess.run([*PYTHON, "api"], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert ended.stderr == "TICKGATE_CATALOG_DATABASE_URL: Field required\n"


def test_a_process_serves_logs_json_and_ends_when_told(scratch: Stores) -> None:
    port = free_port()
    told = {"TICKGATE_PORT": str(port), "TICKGATE_CURSOR_SECRET": "s" * 16}
    told["TICKGATE_IDENTITY_PUBLIC_KEYS"] = json.dumps({"gateway": [new_key_pair()[1]]})
    told["TICKGATE_CATALOG_DATABASE_URL"] = scratch.app_url("catalog")
    process = subprocess.Popen([*PYTHON, "api"], cwd=ROOT, env=environment(**told), stderr=subprocess.PIPE, text=True)

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except URLError:
            return False

    try:
        assert until(ready, seconds=30)
        process.send_signal(signal.SIGTERM)
        logged = process.communicate(timeout=20)[1].splitlines()
    finally:
        process.kill()

    assert process.returncode == 0
    assert {json.loads(line)["process"] for line in logged} <= {"catalog-api"}
