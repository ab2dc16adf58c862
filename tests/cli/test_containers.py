"""The containers' secrets: every file that docker-compose.yml names, made once, and none besides."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cli.containers import LATER, PEPPER_FILES, PEPPERED, write_secrets
from shared.settings import SettingsMissing
from tests.cli.conftest import ROOT

NAMED = re.compile(r"/secrets/(\w+/[\w.]+)")
URL = "postgresql://{role}:{password}@postgres:5432/tickgate"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty volume for each process, as the image makes them."""
    for process in {name.partition("/")[0] for name in _named()}:
        (tmp_path / process).mkdir()
    return tmp_path


def _named() -> set[str]:
    """What docker-compose.yml reads: the files of all `*_FILE` settings, Redis's configuration and its password."""
    return set(NAMED.findall((ROOT / "docker-compose.yml").read_text()))


def _found(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def test_every_file_that_compose_names_is_written_and_no_other(folder: Path) -> None:
    write_secrets(folder)
    assert set(_found(folder)) == _named()


def test_everybody_in_a_container_may_read_and_nobody_write(folder: Path) -> None:
    write_secrets(folder)
    assert {file.stat().st_mode & 0o777 for file in folder.rglob("*") if file.is_file()} == {0o444}


def test_a_second_run_changes_nothing(folder: Path) -> None:
    write_secrets(folder)
    first = _found(folder)
    write_secrets(folder)
    assert _found(folder) == first


@pytest.mark.parametrize("missing", [*([name] for name in LATER), list(LATER)], ids=str)
def test_what_came_with_a_later_version_is_added_to_volumes_of_an_earlier_one(folder: Path, missing: list[str]) -> None:
    write_secrets(folder)
    before = _found(folder)
    for name in missing:
        (folder / name).unlink()
    write_secrets(folder)
    after = _found(folder)
    assert {name: text for name, text in after.items() if name not in missing} == {
        name: text for name, text in before.items() if name not in missing
    }
    assert {name: after[name] == after[source] for name, source in LATER.items()} == dict.fromkeys(LATER, True)
    assert len(after["notifier/webhook_key"]) == 64
    write_secrets(folder)
    assert _found(folder) == after


def test_an_interrupted_run_is_done_again(folder: Path) -> None:
    (folder / "gateway" / "key_pepper").write_text("half")
    (folder / "gateway" / "key_pepper").chmod(0o444)
    (folder / "gateway" / "key_pepper.new").write_text("hal")
    write_secrets(folder)
    found = _found(folder)
    assert set(found) == _named()
    assert found["gateway/key_pepper"] == found["bootstrap/key_pepper"] != "half"


def test_a_given_pepper_is_used_and_else_all_are_random(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKGATE_KEY_PEPPER", "a pepper of the operator's")
    write_secrets(folder)
    found = _found(folder)
    assert found["gateway/key_pepper"] == found["bootstrap/key_pepper"] == "a pepper of the operator's"
    random = [found["redis/password"], found["postgres/password"], *(found[f"{s}/cursor_secret"] for s in ("gateway",))]
    assert len(set(random)) == len(random)
    assert all(len(value) == 64 for value in random)


def test_peppers_of_before_are_taken_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKGATE_KEY_PEPPER_VERSION", "3")
    monkeypatch.setenv("TICKGATE_KEY_PEPPERS_OLD", json.dumps({"2": "a pepper of before"}))
    write_secrets(folder)
    found = _found(folder)
    for process in ("gateway", "bootstrap"):
        assert found[f"{process}/key_pepper_version"] == "3"
        assert json.loads(found[f"{process}/key_peppers_old"]) == {"2": "a pepper of before"}


def test_a_higher_version_makes_a_new_pepper_and_keeps_the_one_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_secrets(folder)
    before = _found(folder)
    monkeypatch.setenv("TICKGATE_KEY_PEPPER_VERSION", "2")
    write_secrets(folder)
    after = _found(folder)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"{process}/{name}" for process in PEPPERED for name in PEPPER_FILES}
    for process in PEPPERED:
        assert json.loads(after[f"{process}/key_peppers_old"]) == {"1": before["gateway/key_pepper"]}
    assert after["gateway/key_pepper"] == after["bootstrap/key_pepper"] != before["gateway/key_pepper"]
    monkeypatch.delenv("TICKGATE_KEY_PEPPER_VERSION")
    write_secrets(folder)
    assert _found(folder) == after


@pytest.mark.parametrize("written", range(6))
def test_a_pepper_s_change_that_is_interrupted_goes_on_and_loses_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    write_secrets(folder)
    before = _found(folder)
    monkeypatch.setenv("TICKGATE_KEY_PEPPER_VERSION", "2")
    write_secrets(folder)
    for name in [f"{process}/{name}" for process in PEPPERED for name in reversed(PEPPER_FILES)][written:]:
        (folder / name).unlink()
        (folder / name).write_text(before[name])
    write_secrets(folder)
    found = _found(folder)
    for process in PEPPERED:
        assert found[f"{process}/key_pepper_version"] == "2"
        assert json.loads(found[f"{process}/key_peppers_old"]) == {"1": before["gateway/key_pepper"]}
    assert found["gateway/key_pepper"] == found["bootstrap/key_pepper"] != before["gateway/key_pepper"]


@pytest.mark.parametrize(("name", "value"), [("KEY_PEPPER_VERSION", "two"), ("KEY_PEPPERS_OLD", "[1]")])
def test_what_is_no_version_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"TICKGATE_{name}", value)
    with pytest.raises(SettingsMissing, match=name):
        write_secrets(folder)


def test_what_belongs_together_agrees(folder: Path) -> None:
    write_secrets(folder)
    found = _found(folder)
    owner = URL.format(role="tickgate", password=found["postgres/password"])
    assert found["migrate/database_url"] == owner
    assert urlsplit(found["notifier/redis_url"]).password == found["redis/password"]
    assert f"requirepass {found['redis/password']}\n" in found["redis/redis.conf"]
    for schema in ("gateway", "catalog", "entitlements", "pricing"):
        url = urlsplit(found[f"{schema}/{schema}_database_url"])
        assert url.username == f"tickgate_{schema}_app"
        assert found[f"migrate/{schema}_database_url"] == url.geturl()
        assert set(json.loads(found[f"{schema}/identity_public_keys"])) == {"gateway", "entitlements", "pricing"}
    assert found["scheduler/identity_private_key"] == found["pricing/identity_private_key"]
