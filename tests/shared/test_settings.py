"""Settings come from the environment or from files, and what is wrong is said in one line each."""

from pathlib import Path

import pytest
from pydantic import Field

from shared.settings import ServiceSettings, Settings, SettingsMissing


class Told(Settings):
    """Settings with a secret and a structure."""

    secret: str = Field(min_length=4)
    keys: dict[str, list[str]] = Field(default_factory=dict)


def test_a_setting_comes_from_its_prefixed_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKGATE_SECRET", "from the environment")
    monkeypatch.setenv("TICKGATE_PORT", "9000")
    monkeypatch.setenv("SECRET", "not ours")

    told = Told.load()

    assert (told.secret, told.port, told.host) == ("from the environment", 9000, "127.0.0.1")


def test_a_setting_comes_from_the_file_that_a_variable_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    (tmp_path / "keys").write_text('{"gateway": ["a", "b"]}\n')
    monkeypatch.setenv("TICKGATE_SECRET_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("TICKGATE_KEYS_FILE", str(tmp_path / "keys"))

    told = Told.load()

    assert (told.secret, told.keys) == ("from a file", {"gateway": ["a", "b"]})


def test_the_environment_wins_over_a_file_and_an_argument_over_both(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("from a file")
    monkeypatch.setenv("TICKGATE_SECRET_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("TICKGATE_SECRET", "from the environment")

    assert Told.load().secret == "from the environment"
    assert Told(secret="from an argument").secret == "from an argument"


@pytest.mark.parametrize("secret", ["{looks like JSON", '["is JSON"]'])
def test_a_secret_in_a_file_is_taken_as_it_stands(secret: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(secret)
    monkeypatch.setenv("TICKGATE_SECRET_FILE", str(tmp_path / "secret"))

    assert Told.load().secret == secret


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "TICKGATE_SECRET: "),
        ({"TICKGATE_SECRET": "abc"}, "TICKGATE_SECRET: "),
        ({"TICKGATE_SECRET": "long enough", "TICKGATE_PORT": "70000"}, "TICKGATE_PORT: "),
        ({"TICKGATE_SECRET": "long enough", "TICKGATE_KEYS": "no-json-abc"}, "TICKGATE_KEYS: "),
        ({"TICKGATE_SECRET_FILE": "/nowhere/at/all"}, "TICKGATE_SECRET_FILE: "),
    ],
)
def test_what_is_missing_or_unusable_is_named_in_one_line(
    environment: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsMissing) as refused:
        Told.load()

    lines = str(refused.value).splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(named)
    assert "abc" not in lines[0]


def test_a_structure_that_does_not_parse_in_its_file_is_named_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "keys").write_text("{")
    monkeypatch.setenv("TICKGATE_SECRET", "long enough")
    monkeypatch.setenv("TICKGATE_KEYS_FILE", str(tmp_path / "keys"))

    with pytest.raises(SettingsMissing, match=r"^TICKGATE_KEYS_FILE: "):
        Told.load()


def test_every_missing_setting_has_a_line_of_its_own() -> None:
    class Needy(ServiceSettings):
        one: str
        two: int

    with pytest.raises(SettingsMissing) as refused:
        Needy.load()

    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == ["TICKGATE_ONE", "TICKGATE_TWO"]


def test_what_answers_http_needs_its_secrets_and_says_which() -> None:
    with pytest.raises(SettingsMissing) as refused:
        ServiceSettings(cursor_secret="short").require_api_secrets()

    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == [
        "TICKGATE_IDENTITY_PUBLIC_KEYS",
        "TICKGATE_CURSOR_SECRET",
    ]


def test_a_service_names_its_database_and_its_neighbours() -> None:
    class Entitlements(ServiceSettings):
        catalog_url: str = "asgi://services.catalog.main"

    assert Entitlements().url_of("catalog") == "asgi://services.catalog.main"
    with pytest.raises(AttributeError, match="Entitlements names no database"):
        _ = Entitlements().database
