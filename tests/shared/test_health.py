"""A process is alive while its loop runs, and ready while its stores answer."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from cli.embedded.children import free_port
from shared.health import STALE_SECONDS, Health, serve_health


class Hand:
    """A clock whose hand a test moves."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def asked(port: int, path: str) -> tuple[int, Any]:
    """What a probe is told."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def away() -> None:
    """A store that does not answer."""
    raise ConnectionError("secret-address")


def test_a_loop_that_has_not_run_for_a_minute_is_stale() -> None:
    clock = Hand()
    health = Health({}, clock=clock)
    clock.at = STALE_SECONDS
    assert health.alive
    clock.at = STALE_SECONDS + 0.1
    assert not health.alive
    health.beat()
    assert health.alive


def test_what_is_not_in_order_is_named_without_its_details() -> None:
    assert Health({"database": lambda: None, "redis": away}).failing() == {"redis": "ConnectionError"}


@pytest.mark.parametrize(
    ("silence", "path", "status", "said"),
    [
        (0.0, "/livez", 200, {"status": "alive"}),
        (61.0, "/livez", 503, {"status": "stale"}),
        (0.0, "/readyz", 503, {"status": "not ready", "redis": "ConnectionError"}),
        (0.0, "/nothing", 404, {"status": "not found"}),
    ],
)
def test_a_probe_is_told(silence: float, path: str, status: int, said: dict[str, str]) -> None:
    clock, port = Hand(), free_port()
    health = Health({"redis": away}, clock=clock)
    clock.at = silence
    with serve_health(health, host="127.0.0.1", port=port):
        assert asked(port, path) == (status, said)


def test_without_a_port_nothing_is_served() -> None:
    with serve_health(Health({}), host="256.256.256.256", port=0):
        pass
