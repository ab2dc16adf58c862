"""A running platform for tests: real processes on stores of their own, and one HTTP client per person."""

import json
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cli.embedded.children import free_port
from cli.platform import Platform, apart, composed, running_platform
from cli.seed import seed_datasets, seed_keys
from gateway.settings import KeysSettings
from services.catalog.settings import CatalogSettings
from shared.identity import new_key_pair
from shared.settings import Settings
from tests.conftest import Stores
from tests.kept import everything, holding

PATIENCE = 30.0


@dataclass(frozen=True)
class World:
    """The platform, its settings and the people in it."""

    platform: Platform
    env: dict[str, str]
    keys: dict[str, str]
    logs: Path

    def person(self, role: str) -> httpx.Client:
        """A client with the key of a role; `anyone` has none."""
        headers = {"X-API-Key": self.keys[role]} if role in self.keys else {}
        return httpx.Client(base_url=self.platform.url, headers=headers, timeout=20)

    def settings(self, kind: type[Settings]) -> Any:
        """The settings of one of the processes."""
        return settings_of(kind, self.env)


def until(ask: Callable[[], Any], what: str, *, seconds: float = PATIENCE) -> Any:
    """Ask until the answer is true; fails after half a minute, unless said."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := ask():
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come within {seconds:.0f} s")


def settings_of(kind: type[Settings], env: dict[str, str]) -> Any:
    """Settings out of a mapping instead of the environment."""
    values: dict[str, Any] = {name.removeprefix("TICKGATE_").lower(): value for name, value in env.items()}
    values["identity_public_keys"] = json.loads(values["identity_public_keys"])
    return kind(**{name: value for name, value in values.items() if name in kind.model_fields})


def secrets() -> dict[str, str]:
    """Fresh secrets for one platform."""
    private, public = new_key_pair()
    return {
        "TICKGATE_KEY_PEPPER": "a pepper only for tests",
        "TICKGATE_CURSOR_SECRET": "a secret only for tests",
        "TICKGATE_WEBHOOK_KEY": "a key only for tests",
        "TICKGATE_IDENTITY_PRIVATE_KEY": private,
        "TICKGATE_IDENTITY_PUBLIC_KEYS": json.dumps({i: [public] for i in ("gateway", "entitlements", "pricing")}),
    }


@contextmanager
def running_world(
    stores: Stores, folder: Path, *, home: str = "composed", without: Collection[str] = (), **settings: str
) -> Iterator[World]:
    """Seed the stores and run every process on them, `without` those, composed or apart, until the block ends.

    Whatever was done meanwhile, no key is kept anywhere then (K6).
    """
    env = {**stores.environment(), **secrets(), "TICKGATE_HOST": "127.0.0.1", "TICKGATE_PORT": str(free_port())}
    env |= settings
    seed_datasets(settings_of(CatalogSettings, env))
    seed_keys(settings_of(KeysSettings, env), folder / "keys.json")
    keys = json.loads((folder / "keys.json").read_text())
    processes = apart(env) if home == "apart" else composed(env)
    processes = {name: process for name, process in processes.items() if name not in without}
    with running_platform(processes, folder / "logs") as platform:
        yield World(platform=platform, env=env, keys=keys, logs=folder / "logs")
    assert holding(everything(env, folder / "logs"), keys.values()) == []
