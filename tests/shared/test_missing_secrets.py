"""O5: a process that lacks a secret, or was told a wrong one, ends with one clear line that names it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shared.identity import new_key_pair
from tests.conftest import ROOT, Stores
from tests.shared.test_process import environment

PRIVATE, PUBLIC = new_key_pair()
SECRETS = {
    "KEY_PEPPER": "a pepper only for tests",
    "CURSOR_SECRET": "a secret only for tests",
    "IDENTITY_PRIVATE_KEY": PRIVATE,
    "IDENTITY_PUBLIC_KEYS": json.dumps({issuer: [PUBLIC] for issuer in ("gateway", "entitlements", "pricing")}),
}
NEEDED = [
    ("gateway", "KEY_PEPPER"),
    ("gateway", "IDENTITY_PRIVATE_KEY"),
    ("gateway", "IDENTITY_PUBLIC_KEYS"),
    ("gateway", "CURSOR_SECRET"),
    *((f"services.{name} api", "IDENTITY_PUBLIC_KEYS") for name in ("catalog", "entitlements", "pricing")),
    *((f"services.{name} api", "CURSOR_SECRET") for name in ("catalog", "entitlements", "pricing")),
    *((f"services.{name} api", "IDENTITY_PRIVATE_KEY") for name in ("entitlements", "pricing")),
    ("services.pricing scheduler", "IDENTITY_PRIVATE_KEY"),
]


def start(process: str, stores: Stores, **secrets: str) -> str:
    """What the process says when it ends by itself."""
    told = {f"TICKGATE_{name}": value for name, value in secrets.items()}
    done = subprocess.run(
        [sys.executable, "-m", *process.split()],
        cwd=ROOT,
        env=environment(**stores.environment(), **told),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


@pytest.mark.parametrize(("process", "secret"), NEEDED)
def test_o5_a_missing_secret_is_named_in_one_line(process: str, secret: str, scratch: Stores) -> None:
    said = start(process, scratch, **{name: value for name, value in SECRETS.items() if name != secret})
    assert said.startswith(f"TICKGATE_{secret}: ")


@pytest.mark.parametrize(
    ("process", "secret", "wrong"),
    [
        ("gateway", "KEY_PEPPER", "too short"),
        ("gateway", "IDENTITY_PRIVATE_KEY", "rubbish"),
        ("gateway", "IDENTITY_PRIVATE_KEY", PUBLIC),
        ("services.catalog api", "CURSOR_SECRET", "too short"),
        ("services.catalog api", "IDENTITY_PUBLIC_KEYS", "rubbish"),
        ("services.catalog api", "IDENTITY_PUBLIC_KEYS", '{"gateway": ["rubbish"]}'),
        ("services.pricing api", "IDENTITY_PRIVATE_KEY", "rubbish"),
    ],
    ids=range(7),
)
def test_o5_a_wrong_secret_is_named_in_one_line_and_not_shown(
    process: str, secret: str, wrong: str, scratch: Stores
) -> None:
    said = start(process, scratch, **{**SECRETS, secret: wrong})
    assert said.startswith(f"TICKGATE_{secret}: ")
    assert wrong not in said


def test_o5_a_secrets_file_that_is_not_there_is_named_in_one_line(scratch: Stores, tmp_path: Path) -> None:
    told = {name: value for name, value in SECRETS.items() if name != "KEY_PEPPER"}
    said = start("gateway", scratch, **told, KEY_PEPPER_FILE=str(tmp_path / "nothing"))
    assert said.startswith("TICKGATE_KEY_PEPPER_FILE: the file cannot be read")
