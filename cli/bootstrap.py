"""The containers' first start: datasets and keys, made once; then, when the gateway serves, a box that says how."""

import json
import time
from pathlib import Path

import httpx
from rich.console import Console

from cli.seed import seed_datasets, seed_keys
from cli.settings import BootstrapSettings
from gateway.settings import KeysSettings
from services.catalog.settings import CatalogSettings

PATIENCE = 120.0


class GatewaySilent(Exception):
    """The gateway did not become ready within two minutes; look at its log."""


def bootstrap(settings: BootstrapSettings) -> None:
    """Seed, wait for the gateway and print the box; running it again makes nothing and prints the same box."""
    file = settings.home / "keys.json"
    seed_datasets(CatalogSettings.load())
    seed_keys(KeysSettings.load(), file, roles=("admin",) if settings.bootstrap == "admin" else None)
    _await_gateway(settings.gateway_url)
    for line in box(settings.public_url, _keys(file)):
        Console(highlight=False).print(line, soft_wrap=True, markup=False)


def box(url: str, keys: dict[str, str]) -> list[str]:
    """The URL, a line for each key, and four calls that work."""
    quant, ops, admin = (keys.get(role, keys.get("admin", "YOUR-KEY")) for role in ("quant", "ops", "admin"))
    body = """'{"dataset": "BTC", "frequencies": ["1d"]}'"""
    lines = [
        f"Tickgate serves at {url}   Swagger UI: {url}/docs",
        "",
        *(f"{role:<6} {key}" for role, key in keys.items()),
        "",
        f"curl {url}/v1/datasets",
        f"curl -H 'X-API-Key: {quant}' -H 'Content-Type: application/json' {url}/v1/access-requests -d {body}",
        f"curl -H 'X-API-Key: {ops}' '{url}/v1/access-requests?status=pending'",
        f"curl -H 'X-API-Key: {admin}' {url}/v1/api-keys",
    ]
    width = max(len(line) for line in lines)
    return ["┌" + "─" * (width + 2) + "┐", *(f"│ {line:<{width}} │" for line in lines), "└" + "─" * (width + 2) + "┘"]


def _keys(file: Path) -> dict[str, str]:
    """The keys that the first start made, as long as their file is kept."""
    return dict(json.loads(file.read_text())) if file.exists() else {}


def _await_gateway(url: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise GatewaySilent(GatewaySilent.__doc__)
