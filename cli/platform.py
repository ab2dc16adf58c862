"""All of Tickgate as child processes: the gateway with the services inside it, worker, relay and scheduler."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from cli.embedded.children import Child

READY_SECONDS = 60.0
PROCESSES = {
    "gateway": ("gateway",),
    "worker": ("services.entitlements", "worker"),
    "relay": ("services.entitlements", "relay"),
    "scheduler": ("services.pricing", "scheduler"),
}


class PlatformFailed(Exception):
    """A process ended that should run; the message names it and shows its last words."""


class Platform:
    """The running processes, by name."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.children: dict[str, Child] = {}

    def check(self) -> None:
        """Raises PlatformFailed when a process has ended."""
        for name, child in self.children.items():
            if not child.running:
                raise PlatformFailed(f"{name} ended with status {child.returncode}; its last words:\n{child.tail(5)}")

    def start(self, name: str, env: Mapping[str, str], logs: Path) -> None:
        """Start one process, or start it again."""
        command = [sys.executable, "-m", *PROCESSES[name]]
        self.children[name] = Child.spawn(command, env=env, log=logs / f"{name}.log")

    def await_ready(self) -> None:
        """Wait until the gateway says it can serve; raises PlatformFailed."""
        deadline = time.monotonic() + READY_SECONDS
        while not _is_ready(self.url):
            self.check()
            if time.monotonic() > deadline:
                raise PlatformFailed(f"{self.url}/readyz does not answer; see the logs")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop every process, the gateway first, so that nothing new comes in."""
        for child in self.children.values():
            child.stop(timeout=20)


@contextmanager
def running_platform(env: Mapping[str, str], logs: Path) -> Iterator[Platform]:
    """Start all processes, wait until they serve, and stop them at the end of the block."""
    logs.mkdir(parents=True, exist_ok=True)
    platform = Platform(f"http://{env['TICKGATE_HOST']}:{env['TICKGATE_PORT']}")
    try:
        for name in PROCESSES:
            platform.start(name, env, logs)
        platform.await_ready()
        yield platform
    finally:
        platform.stop()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
