"""Logs are JSON lines that name their process and request, from our code and from libraries alike."""

import json
import subprocess
import sys
from typing import Any

from tests.conftest import ROOT

SCRIPT = """
import logging, structlog
from shared.logs import configure_logs
configure_logs("catalog-api")
secret = "a local variable"
with structlog.contextvars.bound_contextvars(request_id="mine"):
    structlog.get_logger("ours").info("ours", number=1, odd={1, 2})
    logging.getLogger("library").warning("theirs %s", 2)
    logging.getLogger("httpx").info("https://host/?apiKey=secret")
    structlog.get_logger("ours").debug("too quiet")
    key = "tg_live_4fK2mZq81x_" + "s" * 43 + "_0aB9zZ"
    structlog.get_logger("ours").info("masked", path=f"/v1/{key}", odd=[key + key[:40]])
    try:
        raise LookupError("two\\nlines")
    except LookupError:
        structlog.get_logger("ours").exception("failed")
"""


def lines() -> list[dict[str, Any]]:
    """What a process wrote."""
    ended = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == ""
    assert "a local variable" not in ended.stderr
    return [json.loads(line) for line in ended.stderr.splitlines()]


def test_every_line_is_json_with_process_request_level_and_time() -> None:
    logged = lines()

    assert [line["event"] for line in logged] == ["ours", "theirs 2", "masked", "failed"]
    assert {line["process"] for line in logged} == {"catalog-api"}
    assert {line["request_id"] for line in logged} == {"mine"}
    assert [line["level"] for line in logged] == ["info", "warning", "info", "error"]
    assert all(line["timestamp"].endswith("Z") for line in logged)
    assert "LookupError" in logged[3]["exception"]


def test_of_a_key_only_the_id_is_left() -> None:
    masked = lines()[2]

    assert masked["path"] == "/v1/tg_live_4fK2mZq81x_***"
    assert "sss" not in str(masked)
