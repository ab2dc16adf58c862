"""Apart, each process knows its own settings only; composed, one environment is everybody's."""

import pytest

from cli.platform import apart, composed

OWN = {
    "gateway": {"GATEWAY_DATABASE_URL", "KEY_PEPPER"},
    "catalog": {"CATALOG_DATABASE_URL"},
    "entitlements": {"ENTITLEMENTS_DATABASE_URL"},
    "pricing": {"PRICING_DATABASE_URL", "COINCAP_API_KEY"},
    "worker": {"ENTITLEMENTS_DATABASE_URL"},
    "relay": {"ENTITLEMENTS_DATABASE_URL"},
    "announcer": {"ENTITLEMENTS_DATABASE_URL"},
    "scheduler": {"PRICING_DATABASE_URL", "COINCAP_API_KEY"},
}
SECRETS = {"DATABASE_URL"}.union(*OWN.values())
ENV = {
    "PATH": "/bin",
    "TICKGATE_HOST": "127.0.0.1",
    "TICKGATE_PORT": "8080",
    **{f"TICKGATE_{name}": "hush" for name in SECRETS},
}


@pytest.mark.parametrize("name", OWN)
def test_a_process_apart_is_given_what_its_classes_declare_and_nothing_besides(name: str) -> None:
    env = apart(ENV)[name].env
    assert {secret for secret in SECRETS if f"TICKGATE_{secret}" in env} == OWN[name]
    assert env["PATH"] == "/bin"


def test_a_setting_in_a_file_goes_where_the_setting_goes() -> None:
    processes = apart({**ENV, "TICKGATE_KEY_PEPPER_FILE": "/pepper"})
    assert [name for name, process in processes.items() if "TICKGATE_KEY_PEPPER_FILE" in process.env] == ["gateway"]


def test_composed_every_process_is_given_everything() -> None:
    for process in composed(ENV).values():
        assert set(ENV) <= set(process.env)
