"""`tickgate demo` tells the whole story, quickly, and leaves nothing behind; a story that breaks off says where."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from cli.demo.story import told
from cli.embedded.account import outside_folder
from tests.cli.conftest import ROOT, clean, left_of
from tests.conftest import Stores
from tests.world import World, running_world, until

SECONDS = 60
STEPS = (
    "1. Anyone may see what is on offer",
    "2. Without a grant there is no price, but the way to one",
    "3. The Quant asks for two frequencies",
    "4. Ops is told, and sees what is pending",
    "5. Ops approves one frequency and refuses the other, in one decision",
    "6. The Quant is told",
    "7. The Quant reads prices in USD",
    "8. What was refused stays closed, with the reason",
    "9. The market cap is taken every day at 20:00 UTC, and by hand when Ops wants it",
    "10. Ops lends ETH for 3 seconds: a trial that ends by itself",
    "11. Ops takes the daily prices back: the next read gets nothing",
)


@pytest.fixture(scope="module")
def world(module_stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A running platform, for a story with a fault."""
    with running_world(module_stores, tmp_path_factory.mktemp("world")) as world:
        yield world


def test_the_story_is_told_within_a_minute_and_leaves_nothing_behind(folder: Path) -> None:
    folder.chmod(0o700)  # root's servers then live in /var/lib, which has to be cleared too
    started = time.monotonic()
    env = {**clean(DATABASE_URL="postgresql://nobody@127.0.0.1:9/no", PORT="none", HOME="/no"), "TMPDIR": str(folder)}
    with subprocess.Popen([sys.executable, "-m", "cli", "demo"], env=env, cwd=ROOT, stdout=subprocess.PIPE) as demo:
        own = until(lambda: list(folder.glob("tickgate-demo-*")), "the demo's own folder")[0]
        output, _ = demo.communicate(timeout=SECONDS)
    assert (demo.returncode, time.monotonic() - started < SECONDS) == (0, True), output.decode()
    lines = output.decode().splitlines()
    assert lines[0] == "Prices: sample, generated, not real."
    assert lines[1] == "Left aside here: TICKGATE_DATABASE_URL, TICKGATE_PORT, TICKGATE_HOME."
    assert [line for line in lines if line in STEPS] == list(STEPS)
    assert lines[-2] == "Every step answered as promised."
    assert "`make run`" in lines[-1]
    _is_told_in_fields(lines)
    assert left_of(own) == []
    assert list(folder.iterdir()) == []
    assert not outside_folder(own / "home").exists()


def _is_told_in_fields(lines: list[str]) -> None:
    """Bodies and chosen fields instead of raw answers, the chart with its dates, and the file as it is."""
    said = [line.strip() for line in lines]
    assert all(len(line) < 190 for line in lines)
    assert [line for line in said if line.startswith("{")] == []
    for expected in (
        'body: {"dataset": "BTC", "frequencies": ["1h", "1d"], "reason": "Backtest of a carry trade"}',
        "code: never-requested",
        'remedy: POST /v1/access-requests {"dataset": "BTC", "frequencies": ["1h"]}',
        "access.requested: Quant asks for BTC 1h, 1d",
        "1h: refused, Needs a signed licence.",
        "BTC 1d: standard, active",
        "remedy: none now",
        "Waiting until the trial has ended ...",
        "code: trial-ended",
        "code: revoked",
    ):
        assert expected in said
    lowest = next(n for n, line in enumerate(lines) if line.count("█") > 50 and "┤" in line)
    assert re.fullmatch(r" +\d{4}-\d\d-\d\d +\d{4}-\d\d-\d\d", lines[lowest + 1])
    assert len(lines[lowest + 1]) == len(lines[lowest])
    header = said.index("timestamp,price_usd,final")
    assert [len(said[header + n].split(",")) for n in (1, 3)] == [3, 3]


def test_a_story_with_a_wrong_key_breaks_off_with_one_clear_line(world: World) -> None:
    text = StringIO()
    keys = {**world.keys, "quant": world.keys["quant"][:-1] + "?"}
    assert told(world.platform.url, keys, Console(file=text)) is False
    last = text.getvalue().splitlines()[-1]
    assert last.startswith(
        "The story broke off: GET /v1/datasets/BTC/prices?frequency=1h as quant: 403 was promised, 401"
    )


def test_a_platform_that_is_not_there_is_no_story(world: World) -> None:
    with pytest.raises(httpx.ConnectError):
        told("http://127.0.0.1:9", world.keys, Console(file=StringIO()))
