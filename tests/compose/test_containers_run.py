"""`make compose-test`: the containers built, brought up, told the story, restarted under load, and taken down."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Thread
from typing import Any

import httpx
import pytest
from rich.console import Console

from cli.demo.story import told
from tests.compose.engine import ONE_SHOT, Project, compose_command, project
from tests.world import until

pytestmark = pytest.mark.compose


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Project, dict[str, str]]]:
    """A project that is up, and its keys."""
    command = compose_command()
    if command is None:
        pytest.skip("no Docker engine answers, so the containers are not run")
    with project(command) as made:
        yield made, made.up()


@dataclass
class Trickle:
    """A person who makes accounts and asks for access, again and again, and remembers what was acknowledged."""

    url: str
    keys: dict[str, str]
    accounts: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    stopped: Event = field(default_factory=Event)

    def run(self) -> None:
        """Go on until told to stop; what fails is not counted."""
        number = 0
        with httpx.Client(base_url=self.url, timeout=5) as http:
            while not self.stopped.wait(0.1):
                number += 1
                with suppress(httpx.HTTPError):
                    self._ask(http, f"trickle {number}")

    def _ask(self, http: httpx.Client, name: str) -> None:
        made = http.post("/v1/api-keys", json={"name": name, "role": "quant"}, headers=self._as("admin"))
        if made.status_code != 201:
            return
        self.accounts.append(made.json()["account"])
        body = {"dataset": "BTC", "frequencies": ["1d"]}
        asked = http.post("/v1/access-requests", json=body, headers={"X-API-Key": made.json()["key"]})
        if asked.status_code == 201:
            self.requests.append(asked.json()["id"])

    def _as(self, role: str) -> dict[str, str]:
        return {"X-API-Key": self.keys[role]}

    def more_than(self, count: int) -> bool:
        """Whether more requests than that were acknowledged."""
        return len(self.requests) > count

    def lost(self) -> tuple[set[str], set[str], set[str]]:
        """Acknowledged accounts, requests and notifications that are not there."""
        with httpx.Client(base_url=self.url, timeout=10) as http:
            keys = self._all(http, "/v1/api-keys", "admin")
            asked = self._all(http, "/v1/access-requests?status=pending", "ops")
            inbox = self._all(http, "/v1/notifications", "ops")
        told_of = [message["data"]["request"] for message in inbox]
        assert len(told_of) == len(set(told_of)), "a notification came twice"
        return (
            set(self.accounts) - {key["account"] for key in keys},
            set(self.requests) - {request["id"] for request in asked},
            set(self.requests) - set(told_of),
        )

    def _all(self, http: httpx.Client, path: str, role: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        url: str | None = path
        while url:
            answer = http.get(url, headers=self._as(role))
            rows += answer.json()["data"]
            url = answer.links.get("next", {}).get("url")
        return rows


def test_1_the_story_is_told_as_in_the_demo(running: tuple[Project, dict[str, str]]) -> None:
    containers, keys = running
    assert told(containers.url, keys, Console(highlight=False))


def test_2_every_container_is_as_closed_as_promised(running: tuple[Project, dict[str, str]]) -> None:
    containers, _ = running
    for service in containers.services():
        found = containers.inspect(service)
        assert found["Config"]["User"] not in ("", "0", "root"), service
        assert found["HostConfig"]["ReadonlyRootfs"], service
        assert found["HostConfig"]["CapDrop"] == ["ALL"], service
        published = found["HostConfig"]["PortBindings"] or {}
        expected = [{"HostIp": "127.0.0.1", "HostPort": str(containers.port)}] if service == "gateway" else []
        assert [binding for bindings in published.values() for binding in bindings] == expected, service
        if service in ONE_SHOT:
            assert found["State"]["ExitCode"] == 0, service
        else:
            assert found["State"]["Health"]["Status"] == "healthy", service
            assert found["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped", service


def test_3_no_acknowledged_write_is_lost_when_each_container_restarts_under_a_trickle_of_requests(
    running: tuple[Project, dict[str, str]],
) -> None:
    containers, keys = running
    trickle = Trickle(containers.url, keys)
    thread = Thread(target=trickle.run)
    thread.start()
    try:
        for service in containers.services():
            if service not in ONE_SHOT:
                before = len(trickle.requests)
                containers.compose("restart", "--timeout", "20", service)
                containers.await_healthy()
                until(partial(trickle.more_than, before), f"a request after {service} restarted")
    finally:
        trickle.stopped.set()
        thread.join()
    until(lambda: trickle.lost() == (set(), set(), set()), "every acknowledged write, told of once")


def test_4_data_and_keys_survive_down_and_up(running: tuple[Project, dict[str, str]]) -> None:
    containers, keys = running
    headers = {"X-API-Key": keys["admin"]}
    before = httpx.get(f"{containers.url}/v1/api-keys?limit=500", headers=headers).json()
    containers.compose("down", "--timeout", "20")
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{containers.url}/livez")
    assert containers.up() == keys
    after = httpx.get(f"{containers.url}/v1/api-keys?limit=500", headers=headers).json()
    assert {key["id"] for key in after["data"]} == {key["id"] for key in before["data"]}


def test_5_two_replicas_of_a_service_share_the_work(running: tuple[Project, dict[str, str]]) -> None:
    containers, keys = running
    containers.compose("up", "-d", "--scale", "pricing=2", "pricing")
    assert len(containers.compose("ps", "-q", "pricing").split()) == 2
    headers = {"X-API-Key": keys["quant"]}

    def ask(_: int) -> int:
        return httpx.get(f"{containers.url}/v1/datasets/BTC/coverage", headers=headers).status_code

    def both_served() -> bool:
        time.sleep(5)  # the gateway keeps a connection for four: who asks sooner, or alone, stays with its replica
        with ThreadPoolExecutor(8) as at_once:
            assert set(at_once.map(ask, range(8))) == {200}
        logs = containers.compose("logs", "--no-color", "--tail=20", "pricing").splitlines()
        return len({line.split("|")[0] for line in logs if "/v1/datasets/BTC/coverage" in line}) == 2

    until(both_served, "an answer of either replica")


def test_6_the_processes_stop_within_the_grace_and_say_0(running: tuple[Project, dict[str, str]]) -> None:
    containers, _ = running
    ours = ("gateway", "catalog", "entitlements", "pricing", "worker", "relay", "announcer", "scheduler")
    containers.compose("stop", "--timeout", "15", *ours)
    for service in ours:
        assert containers.inspect(service)["State"]["ExitCode"] == 0, service
