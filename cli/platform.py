"""All of Tickgate as child processes: composed, with the services inside the gateway's process, or each apart."""

import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from cli.embedded.children import Child, free_port, stop_together
from cli.settings import PREFIX
from gateway.settings import GatewaySettings, KeysSettings
from services.catalog.settings import CatalogSettings
from services.entitlements.settings import EntitlementsSettings
from services.pricing.settings import PricingSettings
from shared.settings import Settings

READY_SECONDS = 60.0
STOP_SECONDS = 20.0
SERVICES = ("catalog", "entitlements", "pricing")
BACKGROUND = {
    "worker": ("services.entitlements", "worker"),
    "relay": ("services.entitlements", "relay"),
    "announcer": ("services.entitlements", "scheduler"),
    "scheduler": ("services.pricing", "scheduler"),
}
KINDS: dict[str, tuple[type[Settings], ...]] = {
    "gateway": (GatewaySettings, KeysSettings),
    "catalog": (CatalogSettings,),
    "entitlements": (EntitlementsSettings,),
    "pricing": (PricingSettings,),
    "worker": (EntitlementsSettings,),
    "relay": (EntitlementsSettings,),
    "announcer": (EntitlementsSettings,),
    "scheduler": (PricingSettings,),
}


class PlatformFailed(Exception):
    """A process ended that should run; the message names it and shows its last words."""


class PortTaken(Exception):
    """The gateway cannot listen where it is told to; the message says why, and what to do."""


@dataclass(frozen=True)
class Process:
    """A Python module to run, with its arguments and settings, and where it says that it is ready."""

    module: tuple[str, ...]
    env: Mapping[str, str]
    ready_url: str


def require_free(host: str, port: int) -> None:
    """Raises PortTaken when nobody could listen there: found out before anything else is started."""
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]
        raise PortTaken(
            f"The gateway cannot listen on {host}:{port} ({reason}): "
            f"stop what listens there, or choose another TICKGATE_PORT (or TICKGATE_HOST)."
        ) from None


def composed(env: Mapping[str, str]) -> dict[str, Process]:
    """The services inside the gateway's process: what `tickgate up` runs."""
    return {"gateway": _gateway(env), **_background(env)}


def apart(env: Mapping[str, str]) -> dict[str, Process]:
    """Every service in a process of its own, reached over HTTP: what docker-compose runs.

    Each process is given the settings that its own classes declare, and none besides.
    """
    ports = {name: free_port() for name in (*SERVICES, "keys")}
    urls = {f"TICKGATE_{name.upper()}_URL": f"http://127.0.0.1:{port}" for name, port in ports.items()}
    env = {**env, **urls}
    services = {
        name: Process((f"services.{name}", "api"), {**env, "TICKGATE_PORT": str(ports[name])}, _ready(ports[name]))
        for name in SERVICES
    }
    gateway = _gateway({**env, "TICKGATE_INTERNAL_PORT": str(ports["keys"])})
    processes = {**services, "gateway": gateway, **_background(env)}
    return {name: replace(process, env=_declared(process.env, KINDS[name])) for name, process in processes.items()}


def _declared(env: Mapping[str, str], kinds: tuple[type[Settings], ...]) -> dict[str, str]:
    """The environment with only those of our settings that these classes declare."""
    names = {f"{PREFIX}{field.upper()}{end}" for kind in kinds for field in kind.model_fields for end in ("", "_FILE")}
    return {name: value for name, value in env.items() if name in names or not name.startswith(PREFIX)}


def _gateway(env: Mapping[str, str]) -> Process:
    return Process(("gateway",), env, f"http://{env['TICKGATE_HOST']}:{env['TICKGATE_PORT']}/readyz")


def _background(env: Mapping[str, str]) -> dict[str, Process]:
    ports = {name: free_port() for name in BACKGROUND}
    return {
        name: Process(module, {**env, "TICKGATE_METRICS_PORT": str(ports[name])}, _ready(ports[name]))
        for name, module in BACKGROUND.items()
    }


def _ready(port: int) -> str:
    return f"http://127.0.0.1:{port}/readyz"


class Platform:
    """The running processes, by name."""

    def __init__(self, processes: Mapping[str, Process], logs: Path) -> None:
        self.processes = processes
        self._logs = logs
        self.children: dict[str, Child] = {}
        self.url = processes["gateway"].ready_url.removesuffix("/readyz")

    def check(self) -> None:
        """Raises PlatformFailed when a process has ended."""
        for name, child in self.children.items():
            if not child.running:
                raise PlatformFailed(f"{name} ended with status {child.returncode}; its last words:\n{child.tail(5)}")

    def start(self, name: str) -> None:
        """Start one process, or start it again."""
        process = self.processes[name]
        command = [sys.executable, "-m", *process.module]
        self.children[name] = Child.spawn(command, env=process.env, log=self._logs / f"{name}.log")

    def start_all(self) -> None:
        """Start every process and wait until each is ready; raises PlatformFailed."""
        for name in self.processes:
            self.start(name)
        for name in self.processes:
            self.await_ready(name)

    def await_ready(self, name: str) -> None:
        """Wait until a process says that it can work; raises PlatformFailed."""
        url, deadline = self.processes[name].ready_url, time.monotonic() + READY_SECONDS
        while not _is_ready(url):
            self.check()
            if time.monotonic() > deadline:
                raise PlatformFailed(f"{name} is not ready; its last words:\n{self.children[name].tail(5)}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop every process: the door first, so that nothing new comes in, then the others at once."""
        door = {name: child for name, child in self.children.items() if name == "gateway"}
        stop_together(list(door.values()), timeout=STOP_SECONDS)
        stop_together([child for name, child in self.children.items() if name not in door], timeout=STOP_SECONDS)


@contextmanager
def running_platform(processes: Mapping[str, Process], logs: Path) -> Iterator[Platform]:
    """Start all processes, wait until they are ready, and stop them at the end of the block."""
    logs.mkdir(parents=True, exist_ok=True)
    platform = Platform(processes, logs)
    try:
        platform.start_all()
        yield platform
    finally:
        platform.stop()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
