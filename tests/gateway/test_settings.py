"""The peppers that a process is told."""

import json

import pytest

from gateway.keys.secrets import KeySecrets
from gateway.settings import GatewaySettings, KeysSettings
from shared.settings import SettingsMissing

OLD, NEW = "the old pepper of the house", "the new pepper of the house"


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the keys' service needs besides."""
    monkeypatch.setenv("TICKGATE_GATEWAY_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    monkeypatch.setenv("TICKGATE_KEY_PEPPER", NEW)


def test_without_more_words_there_is_one_pepper_of_version_1() -> None:
    settings = KeysSettings.load()
    assert (settings.key_pepper, settings.key_pepper_version, settings.key_peppers_old) == (NEW, 1, {})


def test_old_peppers_are_told_by_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKGATE_KEY_PEPPER_VERSION", "2")
    monkeypatch.setenv("TICKGATE_KEY_PEPPERS_OLD", json.dumps({"1": OLD}))
    settings = KeysSettings.load()
    assert settings.key_peppers_old == {1: OLD}
    minted = KeySecrets(OLD).mint()
    secret = minted.text.split("_")[3]
    renewed = KeySecrets.under(settings).verify(secret, minted.digest).renewed
    assert renewed is not None
    assert KeySecrets(NEW, version=2).verify(secret, renewed).is_right


@pytest.mark.parametrize(
    ("version", "old", "text"),
    [
        ("1", {"1": OLD}, "KEY_PEPPERS_OLD: Value error, holds the version of TICKGATE_KEY_PEPPER; raise"),
        ("2", {"1": "short"}, "KEY_PEPPERS_OLD: String should have at least 16 characters"),
        ("2", {"0": OLD}, "KEY_PEPPERS_OLD: Input should be greater than 0"),
        ("2", {"first": OLD}, "KEY_PEPPERS_OLD: Input should be a valid integer"),
        ("2", [OLD], "KEY_PEPPERS_OLD: Input should be a valid dictionary"),
        ("0", {}, "KEY_PEPPER_VERSION: Input should be greater than or equal to 1"),
    ],
)
def test_what_makes_no_sense_is_one_line_without_the_secret(
    monkeypatch: pytest.MonkeyPatch, version: str, old: object, text: str
) -> None:
    monkeypatch.setenv("TICKGATE_KEY_PEPPER_VERSION", version)
    monkeypatch.setenv("TICKGATE_KEY_PEPPERS_OLD", json.dumps(old))
    with pytest.raises(SettingsMissing) as refused:
        KeysSettings.load()
    assert str(refused.value).startswith(f"TICKGATE_{text}")
    assert "\n" not in str(refused.value)
    assert OLD not in str(refused.value)


def test_the_door_is_told_the_same() -> None:
    mine = {name for name in KeysSettings.model_fields if name.startswith("key_pepper")}
    assert mine == {"key_pepper", "key_pepper_version", "key_peppers_old"}
    assert mine == {name for name in GatewaySettings.model_fields if name.startswith("key_pepper")}
