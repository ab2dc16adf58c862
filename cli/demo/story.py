"""The story: a Quant browses, asks, is answered and reads; Ops decides, lends and takes back."""

import json
import os
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from cli.demo import answers
from cli.demo.chart import axis, chart
from cli.demo.client import Shown, StepFailed, Storyteller
from cli.embedded.account import remove_outside
from cli.embedded.children import free_port
from cli.settings import PREFIX, OperatorSettings
from cli.up import SAMPLE, started

TRIAL_SECONDS = 3
REQUESTS = "/v1/access-requests"
HOURLY = "/v1/datasets/BTC/prices?frequency=1h"
DAILY = "/v1/datasets/BTC/prices?frequency=1d"


def demo() -> bool:
    """Tell the story on a platform of its own that leaves nothing behind; whether every step went as promised.

    Whatever settings the environment holds are left aside: the story is never told on somebody's database.
    """
    console = Console(highlight=False)
    console.print(f"{SAMPLE}.")
    given = [name for name in os.environ if name.startswith(PREFIX)]
    if given:
        console.print(f"Left aside here: {', '.join(given)}.", soft_wrap=True)
    for name in given:
        del os.environ[name]
    settings = OperatorSettings.load()
    with tempfile.TemporaryDirectory(prefix="tickgate-demo-") as folder:
        own = settings.model_copy(update={"home": Path(folder) / "home", "port": free_port()})
        with started(own) as platform:
            console.print(f"Tickgate runs at {platform.url}; Swagger UI at {platform.url}/docs", soft_wrap=True)
            keys = json.loads((own.home / "keys.json").read_text())
            complete = told(platform.url, keys, console)
        remove_outside(own.home)
    if complete:
        console.print(
            "This platform is gone. `make run` starts one that stays; README.md has its first five minutes.",
            soft_wrap=True,
        )
    return complete


def told(url: str, keys: dict[str, str], console: Console) -> bool:
    """Tell the story against a running platform; a step that goes wrong ends it with one clear line."""
    try:
        with closing(Storyteller(url, keys, console)) as tell:
            _tell(tell)
    except StepFailed as error:
        console.print(f"\n[red]The story broke off:[/] {escape(str(error))}", soft_wrap=True)
        return False
    console.print("\n[green]Every step answered as promised.[/]")
    return True


def _tell(tell: Storyteller) -> None:
    _browse(tell)
    request = _ask(tell)
    _decide(tell, request)
    _read(tell)
    _market_caps(tell)
    _trial(tell)
    _revoke(tell)


def _browse(tell: Storyteller) -> None:
    tell.chapter("Anyone may see what is on offer")
    tell.call("anyone", "GET", "/v1/datasets", expect=200, show=answers.datasets)
    tell.until("anyone", "/v1/datasets/BTC/coverage", _filled, "the first history", show=answers.coverage)
    tell.chapter("Without a grant there is no price, but the way to one")
    tell.call("quant", "GET", HOURLY, expect=403, show=answers.refusal)


def _filled(coverage: Any) -> Any:
    return coverage if all(series["rows"] > 0 for series in coverage["data"]) else None


def _ask(tell: Storyteller) -> str:
    tell.chapter("The Quant asks for two frequencies")
    body = {"dataset": "BTC", "frequencies": ["1h", "1d"], "reason": "Backtest of a carry trade"}
    request: str = tell.call("quant", "POST", REQUESTS, body=body, expect=201, show=answers.request).json()["id"]
    tell.chapter("Ops is told, and sees what is pending")
    _told_of(tell, "ops", "access.requested", request, show=answers.asked)
    tell.call("ops", "GET", f"{REQUESTS}?status=pending", expect=200, show=answers.pending)
    return request


def _decide(tell: Storyteller, request: str) -> None:
    tell.chapter("Ops approves one frequency and refuses the other, in one decision")
    decisions = [
        {"frequency": "1d", "outcome": "approve", "duration_days": 90},
        {"frequency": "1h", "outcome": "refuse", "reason": "Needs a signed licence."},
    ]
    path, body = f"{REQUESTS}/{request}/decisions", {"decisions": decisions}
    items = tell.call("ops", "POST", path, body=body, expect=200, show=answers.request).json()["items"]
    (grant,) = (item["grant"] for item in items if item["grant"])
    tell.call("ops", "GET", f"/v1/grants/{grant}", expect=200, show=answers.grant)
    tell.chapter("The Quant is told")
    _told_of(tell, "quant", "access.decided", request, show=answers.decided)


def _told_of(tell: Storyteller, who: str, kind: str, request: str, *, show: Shown) -> None:
    def found(inbox: Any) -> Any:
        data = [n["data"] for n in inbox["data"] if n["type"] == kind and n["data"]["request"] == request]
        return data[0] if data else None

    tell.until(who, "/v1/notifications", found, f"a notification {kind}", show=show)


def _read(tell: Storyteller) -> None:
    tell.chapter("The Quant reads prices in USD")
    start = (datetime.now(UTC) - timedelta(days=90)).date()
    answer = tell.call("quant", "GET", f"{DAILY}&start={start}", expect=200).json()
    bars = answer["data"]
    for line in chart([Decimal(bar["price_usd"]) for bar in bars]):
        tell.say(line)
    tell.say(axis(bars[0]["timestamp"][:10], bars[-1]["timestamp"][:10], width=len(bars)))
    tell.say(f"{len(bars)} days, source: {answer['source']}")
    csv = tell.call("quant", "GET", f"{DAILY}&format=csv", expect=200).text.splitlines()
    for line in (csv[0], csv[1], f"... {len(csv) - 3:,} rows more ...", csv[-1]):
        tell.say(line)
    tell.chapter("What was refused stays closed, with the reason")
    tell.call("quant", "GET", HOURLY, expect=403, show=answers.refusal)


def _market_caps(tell: Storyteller) -> None:
    tell.chapter("The market cap is taken every day at 20:00 UTC, and by hand when Ops wants it")
    path = "/v1/jobs/backfill-market-caps/run"
    run = tell.call("ops", "POST", path, body={}, expect=202, show=answers.run).json()["id"]
    tell.say("Without a date it is for the last day whose 20:00 UTC has passed.")

    def done(jobs: Any) -> Any:
        return next((job for job in jobs["data"] if job["id"] == run and job["state"] == "done"), None)

    tell.until("ops", "/v1/jobs", done, "the end of the run", show=answers.run)
    path = "/v1/datasets/BTC/market-caps"
    answer = tell.call("quant", "GET", path, expect=200, show=answers.market_caps).json()
    if not answer["data"]:
        raise StepFailed("the market cap of the run is not served")


def _trial(tell: Storyteller) -> None:
    tell.chapter(f"Ops lends ETH for {TRIAL_SECONDS} seconds: a trial that ends by itself")
    account = tell.call("quant", "GET", "/v1/me", expect=200).json()["account"]
    ends_at = datetime.now(UTC) + timedelta(seconds=TRIAL_SECONDS)
    body = {
        "account": account,
        "dataset": "ETH",
        "frequencies": ["1d"],
        "trial": True,
        "ends_at": ends_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "reason": "A first look",
    }
    tell.call("ops", "POST", "/v1/grants", body=body, expect=201, show=lambda given: answers.grant(given["data"][0]))
    path = "/v1/datasets/ETH/prices?frequency=1d&limit=1"
    tell.call("quant", "GET", path, expect=200, show=answers.prices)
    tell.say("Waiting until the trial has ended ...")
    time.sleep(max(0.0, (ends_at - datetime.now(UTC)).total_seconds()) + 0.05)
    tell.call("quant", "GET", path, expect=403, show=answers.refusal)


def _revoke(tell: Storyteller) -> None:
    tell.chapter("Ops takes the daily prices back: the next read gets nothing")
    active = tell.call("quant", "GET", "/v1/grants?status=active", expect=200).json()["data"]
    body = {"reason": "The licence ended."}
    path = f"/v1/grants/{active[0]['id']}/revoke"
    tell.call("ops", "POST", path, body=body, expect=200, show=answers.revoked)
    refusal = tell.call("quant", "GET", DAILY, expect=403, show=answers.refusal).json()
    if refusal["code"] != "revoked":
        raise StepFailed(f"the refusal should say revoked, it says {refusal['code']}")
