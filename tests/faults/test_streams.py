"""R4, O1: a stream brings each notification once, ends with its key, and does not hold up a stop; in both homes."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from services.entitlements.notifications.tasks import notify
from services.entitlements.settings import EntitlementsSettings
from shared.database import Database
from shared.ids import new_id
from shared.outbox import Event
from shared.streams import MOST
from tests.conftest import cloned
from tests.faults.deciding import REFUSAL, all_told, asked, told_once_each, undecided
from tests.proof import HOMES, figure
from tests.services.entitlements.fakes import T0
from tests.world import World, running_world, until

PATH = "/v1/notifications/stream"
WITHOUT = ("announcer", "scheduler")
STOPPED = ("gateway", "entitlements", "relay", "worker")
ENOUGH, PLENTY = 5, 500  # decisions that nobody comes to the end of in time
SOON = 5.0


@pytest.fixture(scope="module", params=HOMES)
def world(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """A platform of this module's own, without what no stream needs: the last test stops it."""
    home, folder = request.param, tmp_path_factory.mktemp("world")
    with cloned() as stores, running_world(stores, folder, home=home, without=WITHOUT) as world:
        yield world


@dataclass
class Heard:
    """What a reader of a stream has heard so far: (id, type, data) of each event, comments, and whether it ended."""

    status: int = 0
    events: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    comments: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def ids(self) -> list[str]:
        """The ids of the events."""
        return [id_ for id_, _, _ in self.events]


def _listen(client: httpx.Client, heard: Heard, after: str | None) -> None:
    headers = {"Last-Event-ID": after} if after else {}
    event: dict[str, str] = {}
    try:
        with client.stream("GET", PATH, headers=headers, timeout=10) as answer:
            heard.status = answer.status_code
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                heard.comments += line == ":"
                if line:
                    event[name] = value
                elif "id" in event:
                    heard.events.append((event.pop("id"), event.pop("event"), json.loads(event.pop("data"))))
    except httpx.HTTPError:
        pass
    finally:
        heard.ended.set()


@contextmanager
def listening(world: World, key: str, *, after: str | None = None) -> Iterator[Heard]:
    """A reader in a thread, who has been let in."""
    heard = Heard()
    with httpx.Client(base_url=world.platform.url, headers={"X-API-Key": key}) as client:
        thread = threading.Thread(target=_listen, args=(client, heard, after), daemon=True)
        thread.start()
        until(lambda: heard.status, "the stream's beginning")
        yield heard
    # the client is closed: the reader's next look at its line ends it


@contextmanager
def inboxes(world: World) -> Iterator[Database]:
    """Where the worker writes."""
    settings = world.settings(EntitlementsSettings)
    with closing(Database(settings.database, pool_size=2)) as database:
        yield database


def tell(database: Database, recipient: str, times: int = 1) -> None:
    """Put notifications into an inbox, as the worker does."""
    for _ in range(times):
        payload = {"recipient": recipient, "data": {"dataset": "BTC"}}
        with database.transaction() as session:
            notify(session, Event(id=new_id(), type="access.decided", payload=payload, created_at=T0, request_id=None))


def quant(world: World) -> dict[str, Any]:
    """A new account with a key."""
    with world.person("admin") as admin:
        made = admin.post("/v1/api-keys", json={"name": f"Listener {uuid4()}", "role": "quant"})
    return dict(made.json())


def test_1_a_stream_brings_what_comes_and_after_a_break_what_came_meanwhile(world: World) -> None:
    ada = quant(world)
    with inboxes(world) as database:
        tell(database, ada["account"])
        with listening(world, ada["key"]) as heard:
            tell(database, ada["account"], 2)
            tell(database, str(uuid4()))
            until(lambda: len(heard.events) == 2, "both events")
        tell(database, ada["account"], 2)
        with listening(world, ada["key"], after=heard.ids[-1]) as later:
            until(lambda: len(later.events) == 2, "what came meanwhile")
            tell(database, ada["account"])
            until(lambda: len(later.events) == 3, "what came after that")
    with httpx.Client(base_url=world.platform.url, headers={"X-API-Key": ada["key"]}) as client:
        listed = client.get("/v1/notifications").json()["data"]
    assert [event["id"] for event in listed][1:] == heard.ids + later.ids
    assert [data for _, _, data in heard.events + later.events] == listed[1:]
    assert {type_ for _, type_, _ in heard.events} == {"access.decided"}


def test_2_ops_hears_both_its_inboxes_in_one_order(world: World) -> None:
    with world.person("ops") as ops:
        account = ops.get("/v1/me").json()["account"]
    with inboxes(world) as database, listening(world, world.keys["ops"]) as heard:
        for recipient in ("ops", account, "ops"):
            tell(database, recipient)
        until(lambda: len(heard.events) == 3, "all three")
    assert heard.ids == sorted(heard.ids)


def test_3_a_key_has_five_streams_and_each_says_that_it_lives(world: World) -> None:
    ada = quant(world)
    with ExitStack() as stack:
        open_ = [stack.enter_context(listening(world, ada["key"])) for _ in range(MOST)]
        with listening(world, ada["key"]) as sixth:
            assert sixth.status == 429
        until(lambda: all(heard.comments for heard in open_), "a comment on each")
        assert not any(heard.ended.is_set() for heard in open_)
    until(lambda: _is_let_in(world, ada["key"]), "a place")


def _is_let_in(world: World, key: str) -> bool:
    with listening(world, key) as heard:
        return heard.status == 200


def test_4_what_is_no_id_is_refused_and_a_head_ends(world: World) -> None:
    with world.person("quant") as client:
        answer = client.get(PATH, headers={"Last-Event-ID": "yesterday"})
        assert (client.head(PATH).status_code, client.head(PATH).headers["content-type"][:17]) == (
            200,
            "text/event-stream",
        )
    assert (answer.status_code, answer.json()["errors"][0]["in"]) == (422, "header")


def test_r4_a_stream_ends_within_five_seconds_of_its_key(world: World) -> None:
    ada, other = quant(world), quant(world)
    with listening(world, ada["key"]) as heard, listening(world, other["key"]) as kept, inboxes(world) as database:
        with world.person("admin") as admin:
            assert admin.delete(f"/v1/api-keys/{ada['id']}").status_code == 204
        revoked = time.monotonic()
        assert heard.ended.wait(SOON)
        figure("R4", closed_seconds_after_the_revoke_answered=round(time.monotonic() - revoked, 2))
        tell(database, ada["account"])
        tell(database, other["account"])
        until(lambda: len(kept.events) == 1, "the other's event")
        assert heard.events == []
        assert not kept.ended.is_set()


class Load:
    """Somebody who decides on and on, until nobody listens any more; what was begun must be finished."""

    def __init__(self, world: World, requests: list[UUID]) -> None:
        self._url, self._key, self._requests = world.platform.url, world.keys["ops"], requests
        self.acknowledged: list[UUID] = []
        self.unanswered: list[UUID] = []
        self.broken: list[str] = []
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Wait until it has ended."""
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _go_on(self) -> None:
        each_anew = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(base_url=self._url, headers={"X-API-Key": self._key}, limits=each_anew) as client:
            for request in self._requests:
                try:
                    self._decide(client, request)
                except httpx.HTTPError:  # nobody listens, or nobody took the connection that stood in line
                    self.unanswered.append(request)
                    return

    def _decide(self, client: httpx.Client, request: UUID) -> None:
        answer = client.post(f"/v1/access-requests/{request}/decisions", json=REFUSAL, timeout=15)
        if answer.status_code == 200:
            self.acknowledged.append(request)
        elif answer.status_code != 503:
            self.broken.append(answer.text)


@contextmanager
def twenty_streams(world: World) -> Iterator[tuple[list[dict[str, Any]], list[Heard]]]:
    """Four people with five streams each."""
    people = [quant(world) for _ in range(4)]
    with ExitStack() as stack:
        open_ = [stack.enter_context(listening(world, one["key"])) for one in people for _ in range(MOST)]
        assert [heard.status for heard in open_] == [200] * 20
        yield people, open_


def stopped(world: World, name: str) -> None:
    """Stop a process as an operator does: in time, and in order."""
    child, started = world.platform.children[name], time.monotonic()
    os.kill(child.pid, signal.SIGTERM)
    assert child.wait(15) == 0
    figure("O1", stopped=name, seconds=round(time.monotonic() - started, 1))


def test_o1_a_service_of_its_own_stops_in_time_while_the_gateway_holds_streams_of_it(world: World) -> None:
    if "entitlements" not in world.platform.children:
        pytest.skip("composed, it stops with the gateway")
    with twenty_streams(world) as (_, open_):
        stopped(world, "entitlements")
        assert all(heard.ended.wait(5) for heard in open_)
    world.platform.start("entitlements")
    for name in ("entitlements", "gateway"):
        world.platform.await_ready(name)


def test_o1_each_process_stops_in_time_with_twenty_streams_open_and_finishes_what_it_began(world: World) -> None:
    requests = asked(world, 4 * PLENTY)
    with twenty_streams(world) as (_, open_):
        load = [Load(world, requests[turn::4]) for turn in range(4)]
        until(lambda: all(len(one.acknowledged) >= ENOUGH for one in load), "answers")
        for name in STOPPED:
            if name in world.platform.children:
                stopped(world, name)
        for one in load:
            one.end()
        assert all(heard.ended.wait(1) for heard in open_)
    assert [one.broken for one in load] == [[]] * 4
    assert undecided(world, [request for one in load for request in one.unanswered])
    acknowledged = [request for one in load for request in one.acknowledged]
    assert len(acknowledged) < len(requests)
    for name in ("relay", "worker"):
        world.platform.start(name)
    until(lambda: all_told(world, acknowledged), "all that is to be told")
    assert told_once_each(world, acknowledged)
    figure("O1", acknowledged_meanwhile=acknowledged, told_once_each=len(acknowledged))
