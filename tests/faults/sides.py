"""Two sides of one platform: two gateways, pricings and entitlements on one database, and what comes between."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psycopg
from sqlalchemy import make_url
from starlette.types import Message, Receive, Scope, Send

from cli.embedded.children import free_port
from cli.migrate import migrate
from cli.platform import Platform, Process, apart, composed
from cli.seed import seed_datasets, seed_keys
from cli.settings import SCHEMAS, OperatorSettings
from gateway.settings import KeysSettings
from services.catalog.settings import CatalogSettings
from shared.coherence.stamp import WINDOW
from shared.upstream import open_upstream
from tests.conftest import Stores
from tests.faults.trials import patiently
from tests.kept import everything, holding
from tests.serving import listening
from tests.world import secrets, settings_of

SERVING = ("catalog", "entitlements", "pricing", "gateway")
names = count()


class Between:
    """Stands between a service and its neighbour, and keeps answers back: all for a while, or until they are let go."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.delay = 0.0
        self.joining = False
        self.held: set[str] = set()
        self._under_way: dict[bytes, list[Message]] = {}
        self.holding = threading.Semaphore(0)  # one for each answer that is kept back
        self.let_go = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward one request at once; its answer later."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        joined = self._under_way.get(scope["query_string"]) if self.joining and scope["path"] in self.held else None
        answer = joined or await self._asked(scope, receive)
        if scope["path"] in self.held:
            self._under_way[scope["query_string"]] = answer
            self.holding.release()
            while not self.let_go.is_set():  # noqa: ASYNC110 - it is set from another thread
                await asyncio.sleep(0.005)
        elif scope["path"] == "/internal/changes":
            await asyncio.sleep(self.delay)
        for message in answer:
            await send(message)

    async def _asked(self, scope: Scope, receive: Receive) -> list[Message]:
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        async with open_upstream(self._url) as upstream:
            await upstream(scope, receive, keep)
        return answer

    @contextmanager
    def keeping_back(self, path: str, *, joining: bool = False) -> Iterator[None]:
        """Answers for this path arrive when the block ends; `joining`, a question like one under way gets its answer.

        That is what the promise forbids, and a control.
        """
        self.joining = joining
        self._under_way.clear()
        self.holding = threading.Semaphore(0)
        self.let_go.clear()
        self.held.add(path)
        try:
            yield
        finally:
            self.held.clear()
            self.let_go.set()


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


@dataclass(frozen=True)
class Sides:
    """The running processes, a URL for each gateway, the keys of the staff, and the database as its owner."""

    platform: Platform
    urls: tuple[str, str]
    keys: dict[str, str]
    env: dict[str, str]
    between: Between | None

    def client(self, side: int, key: str) -> httpx.Client:
        """Somebody at one of the gateways."""
        return httpx.Client(base_url=self.urls[side], headers={"X-API-Key": key}, timeout=20)

    def staff(self, side: int, role: str) -> httpx.Client:
        """Ops or an admin."""
        return self.client(side, self.keys[role])

    def quant(self) -> dict[str, Any]:
        """A new Quant: account, id and key."""
        body = {"name": f"Quant {next(names)}", "role": "quant"}
        with self.staff(0, "admin") as admin:
            made = patiently(lambda: admin.post("/v1/api-keys", json=body))
        assert made.status_code == 201, made.text
        return dict(made.json())

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement as the database's owner."""
        with psycopg.connect(self.env["TICKGATE_DATABASE_URL"], autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def migrate(self) -> None:
        """What an operator does after a restore."""
        migrate(settings_of(OperatorSettings, self.env))

    @contextmanager
    def backup(self) -> Iterator[Callable[[], None]]:
        """A copy of the whole database as it is now; called, it takes the place of the one that is there then."""
        url = self.env["TICKGATE_DATABASE_URL"]
        server, _, name = url.rpartition("/")
        kept = f"{name}_kept"
        with psycopg.connect(f"{server}/postgres", autocommit=True) as owner:

            def copy(source: str, target: str) -> None:
                owner.execute(f'alter database "{source}" allow_connections false'.encode())
                owner.execute(
                    "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s", [source]
                )
                owner.execute(f'create database "{target}" template "{source}"'.encode())
                owner.execute(f'alter database "{source}" allow_connections true'.encode())

            def restore() -> None:
                owner.execute(f'drop database "{name}" with (force)'.encode())
                copy(kept, name)

            copy(name, kept)
            try:
                yield restore
            finally:
                owner.execute(f'drop database "{kept}" with (force)'.encode())

    @contextmanager
    def without(self, schema: str) -> Iterator[None]:
        """A service's database is out of its reach, and of nobody else's."""
        database = self.env["TICKGATE_DATABASE_URL"].rpartition("/")[2]
        roles = {name: str(make_url(self.env[f"TICKGATE_{name.upper()}_DATABASE_URL"]).username) for name in SCHEMAS}
        for name in SCHEMAS:
            self.sql(f'grant connect on database "{database}" to "{roles[name]}"')
        self.sql(f'revoke connect on database "{database}" from public, "{roles[schema]}"')
        away = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s and usename = %s"
        self.sql(away, database, roles[schema])
        try:
            yield
        finally:
            self.sql(f'grant connect on database "{database}" to public')


def give(ops: httpx.Client, account: str, dataset: str = "BTC", frequency: str = "1d") -> str:
    """Give access; the grant's id."""
    body = {"account": account, "dataset": dataset, "frequencies": [frequency], "reason": "Signed"}
    answer = patiently(lambda: ops.post("/v1/grants", json=body))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"][0]["id"])


def revoke(ops: httpx.Client, grant: str) -> httpx.Response:
    """Revoke it."""
    return ops.post(f"/v1/grants/{grant}/revoke", json={"reason": "Unpaid"})


def read(quant: httpx.Client, dataset: str = "BTC", frequency: str = "1d") -> int:
    """Read prices; the status."""
    return quant.get(f"/v1/datasets/{dataset}/prices", params={"frequency": frequency, "limit": 1}).status_code


def read_patiently(quant: httpx.Client) -> int:
    """The same, again and again while the answer is that the service is busy."""
    return patiently(lambda: quant.get("/v1/datasets/BTC/prices", params={"frequency": "1d", "limit": 1})).status_code


def remembered(*readers: httpx.Client) -> None:
    """Read until reads are answered from memory: twice while changes are told."""
    time.sleep(2 * WINDOW)
    assert [read_patiently(reader) for reader in readers * 2] == [200] * 2 * len(readers)


@contextmanager
def people(sides: Sides, key: str) -> Iterator[tuple[list[httpx.Client], list[httpx.Client], list[httpx.Client]]]:
    """Ops, admin and the holder of the key, each at both gateways."""
    with ExitStack() as stack:
        yield (
            [stack.enter_context(sides.staff(side, "ops")) for side in range(2)],
            [stack.enter_context(sides.staff(side, "admin")) for side in range(2)],
            [stack.enter_context(sides.client(side, key)) for side in range(2)],
        )


@contextmanager
def running_sides(stores: Stores, folder: Path, *, home: str) -> Iterator[Sides]:
    """Both sides, composed or apart, until the block ends; apart, `Between` is what the second pricing asks.

    No key is kept anywhere then (K6).
    """
    common = {**stores.environment(), **secrets(), "TICKGATE_HOST": "127.0.0.1"}
    seed_datasets(settings_of(CatalogSettings, common))
    seed_keys(settings_of(KeysSettings, common), folder / "keys.json")
    keys = json.loads((folder / "keys.json").read_text())
    envs = [{**common, "TICKGATE_PORT": str(free_port())} for _ in range(2)]
    sides = [_serving(apart(env) if home == "apart" else composed(env)) for env in envs]
    with ExitStack() as stack:
        between = None
        if home == "apart":
            between = Between(sides[1]["pricing"].env["TICKGATE_ENTITLEMENTS_URL"])
            url = stack.enter_context(listening(between))
            second = sides[1]["pricing"]
            told = {**second.env, "TICKGATE_ENTITLEMENTS_URL": url}
            sides[1]["pricing"] = Process(second.module, told, second.ready_url)
        processes = {**sides[0], **{f"{name}2": process for name, process in sides[1].items()}}
        platform = Platform(processes, folder / "logs")
        (folder / "logs").mkdir()
        stack.callback(platform.stop)
        platform.start_all()
        urls = tuple(f"http://127.0.0.1:{env['TICKGATE_PORT']}" for env in envs)
        yield Sides(platform, (urls[0], urls[1]), keys, common, between)
    assert holding(everything(common, folder / "logs"), keys.values()) == []


def _serving(processes: dict[str, Process]) -> dict[str, Process]:
    return {name: process for name, process in processes.items() if name in SERVING}
