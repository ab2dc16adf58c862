"""`tickgate doctor` says what is in order, and in plain words what is not."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cli.embedded.children import free_port
from tests.cli.conftest import clean, tickgate
from tests.conftest import Stores
from tests.world import World, running_world

NOWHERE = "127.0.0.1:9"
DEAD = 2**22 + 1  # no process has this id


@pytest.fixture(scope="module")
def world(module_stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A platform in good health."""
    with running_world(module_stores, tmp_path_factory.mktemp("world")) as world:
        yield world


def _examine(env: dict[str, str]) -> tuple[int, list[str], list[str]]:
    """The exit status, what is in order and what is not."""
    result = tickgate("doctor", env={**clean(), **env})
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    fine = [line.removeprefix("ok    ") for line in lines if line.startswith("ok    ")]
    wrong = [line.removeprefix("wrong ") for line in lines if line.startswith("wrong ")]
    assert len(fine) + len(wrong) == len(lines)
    return result.returncode, fine, wrong


def test_a_healthy_platform_has_a_line_for_each_part(world: World) -> None:
    status, fine, wrong = _examine(world.env)
    assert (status, wrong) == (0, [])
    assert fine[0].startswith("Python 3.")
    assert fine[2] == f"the gateway serves at {world.platform.url}"
    assert fine[3].startswith("PostgreSQL ")
    assert fine[4].startswith("the database is what this version needs (gateway at 0004")
    assert fine[5] == "Redis answers"


def test_a_silent_gateway_is_named_with_its_address(world: World) -> None:
    port = str(free_port())
    status, fine, wrong = _examine({**world.env, "TICKGATE_PORT": port})
    assert (status, len(fine), len(wrong)) == (1, 5, 1)
    assert wrong[0].startswith(f"the gateway does not answer at http://127.0.0.1:{port}/readyz")
    assert wrong[0].endswith("is it running, is TICKGATE_PORT right?")


def test_a_redis_that_is_not_there_is_named_with_its_setting(world: World) -> None:
    status, _, wrong = _examine({**world.env, "TICKGATE_REDIS_URL": f"redis://{NOWHERE}/0"})
    assert (status, len(wrong)) == (1, 1)
    assert wrong[0].startswith("Redis does not answer")
    assert wrong[0].endswith("check TICKGATE_REDIS_URL")


def test_a_database_that_is_not_there_is_named_with_its_setting_and_without_its_password(world: World) -> None:
    status, _, wrong = _examine(
        {**world.env, "TICKGATE_DATABASE_URL": f"postgresql://tickgate:hush@{NOWHERE}/tickgate"}
    )
    assert (status, len(wrong)) == (1, 1)
    assert wrong[0].startswith("PostgreSQL does not answer")
    assert wrong[0].endswith("check TICKGATE_DATABASE_URL")
    assert "hush" not in wrong[0]


def test_a_home_in_which_nothing_runs_is_told_how_to_start(tmp_path: Path) -> None:
    env = {"TICKGATE_HOME": str(tmp_path), "TICKGATE_PORT": str(free_port())}
    nothing = f"no platform runs with its home in {tmp_path}: start it with `make run`"
    status, fine, wrong = _examine(env)
    assert (status, len(fine), wrong) == (1, 1, [nothing])
    (tmp_path / "running.json").write_text(json.dumps({"pid": DEAD, "environment": {}, "ready": {}}))
    assert _examine(env)[2] == [nothing]


def test_a_schema_at_another_revision_is_named(world: World) -> None:
    url = world.env["TICKGATE_DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("update pricing.migrations set version_num = '0000'")
        try:
            status, _, wrong = _examine(world.env)
        finally:
            connection.execute("update pricing.migrations set version_num = '0001'")
    assert (status, len(wrong)) == (1, 2)
    assert wrong[0].startswith("the gateway is not ready")
    assert "(pricing is at 0000, not at 0001)" in wrong[1]
    assert wrong[1].endswith("run `tickgate migrate`")


def test_a_platform_of_this_home_is_found_by_its_home(world: World, tmp_path: Path) -> None:
    ready = {name: process.ready_url for name, process in world.platform.processes.items()}
    home, port = {"TICKGATE_HOME": str(tmp_path)}, {"TICKGATE_PORT": str(free_port())}
    (tmp_path / "running.json").write_text(json.dumps({"pid": 1, "environment": world.env, "ready": ready}))
    status, fine, wrong = _examine(home | port)
    assert (status, wrong) == (0, [])
    assert fine[2] == f"the gateway serves at {world.platform.url}"
    assert fine[-4:] == [f"the {name} is ready" for name in ("worker", "relay", "announcer", "scheduler")]
    ready["relay"] = f"http://{NOWHERE}/readyz"
    (tmp_path / "running.json").write_text(json.dumps({"pid": 1, "environment": world.env, "ready": ready}))
    status, _, wrong = _examine(home | port)
    assert (status, len(wrong)) == (1, 1)
    assert wrong[0].startswith(f"the relay does not answer at http://{NOWHERE}/readyz")
    assert wrong[0].endswith(f"its log is {tmp_path}/logs/relay.log")
