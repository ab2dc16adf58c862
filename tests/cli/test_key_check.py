"""`tickgate keys check`: finds our keys in a text, for leak scanners, without printing one."""

import json
import re
import subprocess
import sys

import pytest

from gateway.keys.policy import PATTERN
from gateway.keys.secrets import KeySecrets
from tests.cli.conftest import ROOT, clean

MINTED = KeySecrets("a pepper only for tests").mint()
KEY = MINTED.text
WRONG = KEY[:-1] + ("0" if KEY[-1] != "0" else "1")


def check(*arguments: str, lines: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run it where there is no database and no other setting."""
    command = [sys.executable, "-m", "cli", "keys", "check", *arguments]
    nowhere = clean(DATABASE_URL="postgresql://nobody@127.0.0.1:9/nothing", HOME="/nonexistent")
    return subprocess.run(command, cwd=ROOT, env=nowhere, input=lines, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("text", "checksums", "status"),
    [(KEY, ["right"], 1), (f"{WRONG}, {KEY}", ["wrong", "right"], 1), (WRONG, ["wrong"], 0), ("hello", [], 0)],
    ids=["right", "both", "wrong", "none"],
)
def test_an_argument_is_checked(text: str, checksums: list[str], status: int) -> None:
    done = check(text, "--json")
    assert (done.returncode, done.stderr) == (status, b"")
    assert [(one["id"], one["checksum"]) for one in json.loads(done.stdout)] == [(MINTED.id, c) for c in checksums]


def test_lines_of_any_bytes_are_checked() -> None:
    lines = b"\xff\xfe nothing\n\n  key: '" + KEY.encode() + b"'\xff\r\n" + WRONG.encode()
    done = check("--json", lines=lines)
    assert done.returncode == 1
    assert json.loads(done.stdout) == [
        {"line": 3, "column": 9, "id": MINTED.id, "checksum": "right"},
        {"line": 4, "column": 1, "id": MINTED.id, "checksum": "wrong"},
    ]


def test_a_person_is_told_where_but_never_shown_the_key() -> None:
    done = check(lines=KEY.encode())
    assert done.returncode == 1
    assert MINTED.id.encode() in done.stdout
    assert KEY.split("_")[3].encode() not in done.stdout + done.stderr
    nothing = check(lines=b"hello\n")
    assert (nothing.returncode, nothing.stdout) == (0, b"Nothing here has the shape of a key.\n")


def test_the_help_and_the_readme_tell_the_pattern() -> None:
    assert PATTERN in re.sub(r"[\s│]", "", check("--help").stdout.decode())
    assert PATTERN in (ROOT / "README.md").read_text()
