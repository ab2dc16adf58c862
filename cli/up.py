"""`tickgate up`: the whole platform in the foreground."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event as Flag

from rich.console import Console

from cli.environment import announced, environment
from cli.platform import Platform, composed, require_free, running_platform
from cli.seed import seed_datasets, seed_keys
from cli.settings import OperatorSettings
from gateway.settings import KeysSettings
from services.catalog.settings import CatalogSettings
from shared.process import stop_signal

console = Console(highlight=False)
SAMPLE = "Prices: sample, generated, not real"


@contextmanager
def started(settings: OperatorSettings) -> Iterator[Platform]:
    """Stores, schema, first datasets and keys, and all processes; everything stops at the end of the block."""
    with environment(settings) as env:
        os.environ.update(env)
        seed_datasets(CatalogSettings.load())
        seed_keys(KeysSettings.load(), settings.home / "keys.json")
        everything = {**os.environ, "TICKGATE_HOST": settings.host, "TICKGATE_PORT": str(settings.port)}
        processes = composed(everything)
        ready = {name: process.ready_url for name, process in processes.items()}
        with announced(settings.home, env, ready), running_platform(processes, settings.home / "logs") as platform:
            yield platform


def up(settings: OperatorSettings) -> None:
    """Serve until told to stop; raises PlatformFailed when a process ends by itself."""
    stop = stop_signal()
    console.print(source_line(), soft_wrap=True)
    require_free(settings.host, settings.port)
    with started(settings) as platform:
        for name, where in (
            ("Gateway", platform.url),
            ("Swagger UI", f"{platform.url}/docs"),
            ("Keys", settings.home / "keys.json"),
            ("Logs", settings.home / "logs"),
        ):
            console.print(f"{name:<11} {where}", soft_wrap=True, markup=False)
        console.print("Ctrl-C stops everything; the data stays.")
        _watch(platform, stop)
        console.print("Stopping ...")


def source_line() -> str:
    """Where prices come from."""
    if os.environ.get("TICKGATE_COINCAP_API_KEY") or os.environ.get("TICKGATE_COINCAP_API_KEY_FILE"):
        return "Prices: CoinCap."
    return f"{SAMPLE} (set TICKGATE_COINCAP_API_KEY for CoinCap's)."


def _watch(platform: Platform, stop: Flag) -> None:
    while not stop.wait(0.5):
        platform.check()
