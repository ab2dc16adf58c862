"""What `python -m services.<name> api|worker|relay|scheduler` does: one service, one role, until it is told to stop."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from threading import Event as Flag
from types import FrameType
from typing import TypeVar

import uvicorn
from starlette.types import ASGIApp

from shared.bounds import BoundedProtocol
from shared.drain import begin_drain
from shared.health import Health, serve_health
from shared.logs import configure_logs
from shared.module import Module
from shared.relay import run_relay
from shared.scheduler import run_scheduler
from shared.settings import ServiceSettings, Settings, SettingsMissing
from shared.worker import run_worker

Kind = TypeVar("Kind", bound=Settings)
GRACE = 12
ROLES: dict[str, Callable[[Module, ServiceSettings, Flag], None]] = {
    "worker": run_worker,
    "relay": run_relay,
    "scheduler": run_scheduler,
}


def main(module: Module, app: ASGIApp) -> None:
    """Run one role of a service; a missing setting or an unknown role stops it with one clear line."""
    role = sys.argv[1] if len(sys.argv) == 2 else ""
    if role != "api" and role not in ROLES:
        sys.exit(f"usage: python -m services.{module.name} api|{'|'.join(ROLES)}")
    settings = settings_or_exit(module.settings)
    _require_secrets(module, settings, role)
    configure_logs(f"{module.name}-{role}", level=settings.log_level)
    if role == "api":
        serve(app, host=settings.host, port=settings.port, metrics_port=settings.metrics_port)
        return
    ROLES[role](module, settings, stop_signal())
    logging.shutdown()
    os._exit(0)  # a thread that waits for an upstream must not hold the exit: its work is taken up elsewhere


def settings_or_exit(kind: type[Kind]) -> Kind:
    """The settings from the environment; the process ends with the lines that say what is missing."""
    try:
        return kind.load()
    except SettingsMissing as error:
        sys.exit(str(error))


def _require_secrets(module: Module, settings: ServiceSettings, role: str) -> None:
    """End the process with the line that says which secret this role lacks."""
    try:
        if role == "api":
            settings.require_api_secrets()
        if module.neighbours and role in ("api", "scheduler"):
            settings.require_signing_key()
    except SettingsMissing as error:
        sys.exit(str(error))


def stop_signal() -> Flag:
    """A flag that SIGTERM and SIGINT set."""
    stop = Flag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def serve(app: ASGIApp, *, host: str, port: int, metrics_port: int = 0) -> None:
    """Serve HTTP until told to stop; requests under way are finished, for at most 12 seconds.

    Figures are shown on a port of their own, which is not for the public.
    """
    stop_signal()  # uvicorn raises the signal again when it has stopped; by then it is no news
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=BoundedProtocol,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE,
        server_header=False,
        forwarded_allow_ips=os.environ.get("FORWARDED_ALLOW_IPS", ""),  # uvicorn would believe any local client
    )
    server = _Server(config)
    with serve_health(Health({}, clock=lambda: 0.0), host=host, port=metrics_port):
        server.run()
    if not server.started:
        sys.exit(3)


class _Server(uvicorn.Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Streams end at once: they would outlast any patience."""
        begin_drain()
        super().handle_exit(sig, frame)
