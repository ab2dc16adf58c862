"""`tickgate up` as a process: what it says, what it keeps, and that nothing of it outlives it."""

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cli.embedded.account import outside_folder, remove_outside
from tests.cli.conftest import Up, clean, left_of, tickgate, within
from tests.kept import in_files

BODY = {"dataset": "BTC", "frequencies": ["1h"]}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root hands its servers to another account")


@pytest.fixture(scope="module")
def up(folder: Path) -> Iterator[Up]:
    """One that runs."""
    up = Up.start(folder / "home")
    yield up
    up.end()
    assert in_files(up.home, without="keys.json") == []  # K6


def _keys(home: Path) -> dict[str, str]:
    return dict(json.loads((home / "keys.json").read_text()))


def _requests(up: Up) -> list[str]:
    answer = httpx.get(f"{up.url}/v1/access-requests", headers={"X-API-Key": _keys(up.home)["quant"]})
    return [request["id"] for request in answer.json()["data"]]


def _is_one_line(refused: subprocess.CompletedProcess[str], text: str) -> bool:
    """Whether it ended with status 1 and one line on standard error that matches."""
    assert "Traceback" not in refused.stderr
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1), refused.stderr
    return re.search(text, refused.stderr) is not None


def test_it_says_where_prices_come_from_where_it_serves_and_where_the_keys_lie(up: Up) -> None:
    assert up.lines[0] == "Prices: sample, generated, not real (set TICKGATE_COINCAP_API_KEY for CoinCap's)."
    said = dict(line.split(maxsplit=1) for line in up.lines[1:] if line.startswith(("Gateway", "Keys", "Logs")))
    assert said == {"Gateway": up.url, "Keys": str(up.home / "keys.json"), "Logs": str(up.home / "logs")}
    assert f"Swagger UI  {up.url}/docs" in up.lines


def test_the_keys_are_for_three_roles_and_for_nobody_elses_eyes(up: Up) -> None:
    assert (up.home / "keys.json").stat().st_mode & 0o777 == 0o600
    keys = _keys(up.home)
    assert set(keys) == {"admin", "ops", "quant"}
    for role, key in keys.items():
        assert httpx.get(f"{up.url}/v1/me", headers={"X-API-Key": key}).json()["role"] == role


def test_it_serves_what_it_names(up: Up) -> None:
    assert httpx.get(f"{up.url}/readyz").status_code == 200
    assert "swagger" in httpx.get(f"{up.url}/docs").text.lower()
    assert httpx.get(f"{up.url}/v1/datasets").json()["data"][0]["symbol"] == "BTC"


def test_a_taken_port_is_one_clear_line_and_nothing_is_started(up: Up, tmp_path: Path) -> None:
    home = tmp_path / "home"
    refused = tickgate("up", env=clean(HOME=str(home), PORT=str(up.port)))
    assert _is_one_line(refused, f"127.0.0.1:{up.port} .*in use.*TICKGATE_PORT")
    assert not home.exists()


def test_a_second_one_on_the_same_home_is_one_clear_line_and_the_first_serves_on(up: Up) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    refused = tickgate("up", env=clean(HOME=str(up.home), PORT=str(port)))
    assert _is_one_line(refused, rf"already running \(pid {up.process.pid}\)")
    assert httpx.get(f"{up.url}/readyz").status_code == 200


def test_only_one_store_given_is_one_clear_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    port = str(_free())
    refused = tickgate("up", env=clean(HOME=str(home), PORT=port, REDIS_URL="redis://127.0.0.1:1/0"))
    assert _is_one_line(refused, "TICKGATE_DATABASE_URL and TICKGATE_REDIS_URL")
    assert not home.exists()


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_either_signal_stops_every_child_and_a_second_start_keeps_data_and_keys(folder: Path) -> None:
    home = folder / "kept" / "home"
    home.parent.mkdir()
    first = Up.start(home, COINCAP_API_KEY="none", COINCAP_URL="http://127.0.0.1:9")
    try:
        assert first.lines[0] == "Prices: CoinCap."
        keys = _keys(home)
        header = {"X-API-Key": keys["quant"]}
        request = httpx.post(f"{first.url}/v1/access-requests", json=BODY, headers=header).json()["id"]
        assert len(left_of(home)) > 5
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(30) == 0
        assert left_of(home) == []
        assert not (home / "running.json").exists()
    finally:
        first.end()
    second = Up.start(home)
    try:
        assert (_keys(home), _requests(second)) == (keys, [request])
        second.process.send_signal(signal.SIGINT)
        assert second.process.wait(30) == 0
        assert left_of(home) == []
    finally:
        second.end()


@as_root
def test_killed_below_a_closed_folder_it_leaves_no_process_behind(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    home = tmp_path / "home"
    up = Up.start(home)
    try:
        assert outside_folder(home).is_dir()
        assert len(left_of(home)) > 5
        up.process.kill()
        up.process.wait()
        assert within(15, lambda: not left_of(home)), left_of(home)
    finally:
        up.end()
        remove_outside(home)
