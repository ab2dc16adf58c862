"""docker-compose.yml, .env.example and the settings say the same."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.settings import BootstrapSettings, OperatorSettings
from gateway.settings import GatewaySettings, KeysSettings
from services.catalog.settings import CatalogSettings
from services.entitlements.settings import EntitlementsSettings
from services.pricing.settings import PricingSettings
from shared.settings import PREFIX, Settings
from tests.compose.engine import ONE_SHOT, ROOT

CLASSES: tuple[type[Settings], ...] = (
    OperatorSettings,
    BootstrapSettings,
    GatewaySettings,
    KeysSettings,
    CatalogSettings,
    EntitlementsSettings,
    PricingSettings,
)
LINE = re.compile(r"^#?\s?(TICKGATE_[A-Z_]+)=(.*)$")
EXPECTED = {"secrets", "postgres", "redis", "migrate", "bootstrap", "gateway", "catalog", "entitlements", "pricing"} | {
    "worker",
    "relay",
    "announcer",
    "scheduler",
}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of docker-compose.yml."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return dict(content["services"])


def _fields() -> Iterator[tuple[str, Any]]:
    for kind in CLASSES:
        for name, info in kind.model_fields.items():
            yield f"{PREFIX}{name.upper()}", info


def _settings_of(service: dict[str, Any]) -> set[str]:
    return {name.removesuffix("_FILE") for name in service.get("environment", {}) if name.startswith(PREFIX)}


def test_the_compose_specification_accepts_it() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    file = str(ROOT / "docker-compose.yml")
    done = subprocess.run([*command, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_docker_compose_accepts_it() -> None:
    if shutil.which("docker-compose") is None:
        pytest.skip("docker-compose is not installed")
    done = subprocess.run(["docker-compose", "config", "-q"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_service_is_there_closed_and_checked(services: dict[str, Any]) -> None:
    assert set(services) == EXPECTED
    for name, service in services.items():
        assert service["user"] not in ("root", "0"), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["restart"] == ("on-failure" if name in ONE_SHOT else "unless-stopped"), name
        assert service["healthcheck"].get("disable", False) == (name in ONE_SHOT), name
        assert ("ports" in service) == (name == "gateway"), name


def test_every_setting_it_gives_exists(services: dict[str, Any]) -> None:
    known = {name for name, _ in _fields()}
    for name, service in services.items():
        assert _settings_of(service) <= known, name


@pytest.mark.parametrize(
    ("service", "secret"),
    [
        (service, secret)
        for service in ("catalog", "entitlements", "pricing", "worker", "relay", "announcer", "scheduler")
        for secret in ("KEY_PEPPER", "KEY_PEPPERS_OLD", "DATABASE_URL", "GATEWAY_DATABASE_URL")
    ],
)
def test_no_process_is_given_a_secret_it_does_not_need(service: str, secret: str, services: dict[str, Any]) -> None:
    assert f"{PREFIX}{secret}" not in _settings_of(services[service])


@pytest.mark.parametrize("service", ["gateway", "bootstrap"])
def test_who_digests_keys_is_given_every_pepper_as_a_file(service: str, services: dict[str, Any]) -> None:
    environment = services[service]["environment"]
    for name in ("key_pepper", "key_pepper_version", "key_peppers_old"):
        assert environment[f"{PREFIX}{name.upper()}_FILE"] == f"/secrets/{service}/{name}"
        assert f"{PREFIX}{name.upper()}" in services["secrets"]["environment"]


def test_each_process_mounts_its_own_secrets_only(services: dict[str, Any]) -> None:
    own = {"worker": "notifier", "relay": "notifier"}
    for name, service in services.items():
        mounted = {m.split(":")[0] for m in service.get("volumes", []) if m.startswith("secrets-")}
        if name != "secrets":
            assert mounted == {f"secrets-{own.get(name, name)}"}, name


def test_the_image_has_a_folder_for_each_process_s_secrets(services: dict[str, Any]) -> None:
    mounted = {volume.partition(":")[0].removeprefix("secrets-") for volume in services["secrets"]["volumes"]}
    made = re.search(r"for name in ([a-z ]+); do", (ROOT / "Dockerfile").read_text())
    assert made is not None
    assert set(made[1].split()) == mounted


def test_the_example_lists_every_setting_with_its_default_and_meaning() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    found = {match[1]: (match[2], lines[n - 1]) for n, line in enumerate(lines) if (match := LINE.match(line))}
    assert set(found) == {name for name, _ in _fields()}
    for name, info in _fields():
        value, meaning = found[name]
        default = info.get_default(call_default_factory=True)
        assert value == ("" if info.is_required() or default in ("", {}) else str(default)), name
        assert meaning.startswith("# "), name


def test_the_example_is_a_file_that_compose_reads() -> None:
    assert all(not line or line.startswith("#") for line in Path(ROOT / ".env.example").read_text().splitlines())
