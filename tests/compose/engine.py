"""A project of our own on the Docker engine that the environment names."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from cli.embedded.children import free_port

ROOT = Path(__file__).parent.parent.parent
KEY = re.compile(r"(admin|ops|quant) +(tg_live_\w+)")
PATIENCE = 300.0
ONE_SHOT = ("secrets", "migrate", "bootstrap")


def compose_command() -> list[str] | None:
    """`docker-compose` or `docker compose`, whichever there is; None where no engine answers."""
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode != 0:
        return None
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    plugin = subprocess.run([docker, "compose", "version"], capture_output=True, check=False)
    return [docker, "compose"] if plugin.returncode == 0 else None


@dataclass(frozen=True)
class Project:
    """The containers of one `docker-compose up`."""

    command: list[str]
    name: str
    port: int

    @property
    def url(self) -> str:
        """The gateway."""
        return f"http://127.0.0.1:{self.port}"

    def compose(self, *arguments: str) -> str:
        """Run docker-compose on the project; raises CalledProcessError with what it said."""
        environment = {**os.environ, "TICKGATE_PORT": str(self.port), "COMPOSE_PROJECT_NAME": self.name}
        done = subprocess.run(
            [*self.command, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout

    def up(self) -> dict[str, str]:
        """Bring everything up and wait for the box; the keys it prints."""
        self.compose("up", "-d")
        self.await_healthy()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            keys = dict(KEY.findall(self.compose("logs", "--no-color", "bootstrap")))
            if len(keys) == 3:
                return keys
            time.sleep(1)
        raise AssertionError("the box with the keys was not printed")

    def services(self) -> list[str]:
        """The names of all services."""
        return self.compose("config", "--services").split()

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's container."""
        container = self.compose("ps", "-q", service).split()[0]
        told = subprocess.run(["docker", "inspect", container], capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(told.stdout)[0]
        return found

    def await_healthy(self) -> None:
        """Wait until every lasting service is healthy."""
        waiting = [service for service in self.services() if service not in ONE_SHOT]
        deadline = time.monotonic() + PATIENCE
        while waiting and time.monotonic() < deadline:
            waiting = [s for s in waiting if self.inspect(s)["State"].get("Health", {}).get("Status") != "healthy"]
            time.sleep(0.5)
        assert not waiting, f"not healthy: {waiting}"


@contextmanager
def project(command: list[str]) -> Iterator[Project]:
    """A project that is built, and taken down with its volumes at the end of the block."""
    made = Project(command=command, name=f"tickgate{uuid4().hex[:8]}", port=free_port())
    try:
        made.compose("build")
        yield made
    finally:
        made.compose("down", "--volumes", "--timeout", "20")
