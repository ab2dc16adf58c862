"""The containers' secrets: every file that docker-compose.yml names, made once, and none besides."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cli.containers import write_secrets
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
