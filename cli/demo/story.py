"""The story: a Quant browses, asks, is answered and reads; Ops decides, lends and takes back."""

import json
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from cli.demo.chart import chart
from cli.demo.client import StepFailed, Storyteller
from cli.embedded.account import remove_outside
from cli.embedded.children import free_port
from cli.settings import OperatorSettings
from cli.up import source_line, started

TRIAL_SECONDS = 3
REQUESTS = "/v1/access-requests"
HOURLY = "/v1/datasets/BTC/prices?frequency=1h"
DAILY = "/v1/datasets/BTC/prices?frequency=1d"


def demo(settings: OperatorSettings) -> bool:
    """Tell the story on a platform of its own that leaves nothing behind; whether every step went as promised."""
    console = Console(highlight=False)
    console.print(source_line(), soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="tickgate-demo-") as folder:
        own = settings.model_copy(update={"home": Path(folder) / "home", "port": free_port()})
        with started(own) as platform:
            console.print(f"Tickgate runs at {platform.url}; Swagger UI at {platform.url}/docs", soft_wrap=True)
            keys = json.loads((own.home / "keys.json").read_text())
            complete = told(platform.url, keys, console)
        remove_outside(own.home)
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
    tell.call("anyone", "GET", "/v1/datasets", expect=200)
    tell.until("anyone", "/v1/datasets/BTC/coverage", _filled, "the first history")
    tell.chapter("Without a grant there is no price, but the way to one")
    tell.call("quant", "GET", HOURLY, expect=403)


def _filled(coverage: Any) -> bool:
    return all(series["rows"] > 0 for series in coverage["data"])


def _ask(tell: Storyteller) -> str:
    tell.chapter("The Quant asks for two frequencies")
    body = {"dataset": "BTC", "frequencies": ["1h", "1d"], "reason": "Backtest of a carry trade"}
    request: str = tell.call("quant", "POST", REQUESTS, body=body, expect=201).json()["id"]
    tell.chapter("Ops is told, and sees what is pending")
    _told_of(tell, "ops", "access.requested", request)
    tell.call("ops", "GET", f"{REQUESTS}?status=pending", expect=200)
    return request


def _decide(tell: Storyteller, request: str) -> None:
    tell.chapter("Ops approves one frequency and refuses the other, in one decision")
    decisions = [
        {"frequency": "1d", "outcome": "approve", "duration_days": 90},
        {"frequency": "1h", "outcome": "refuse", "reason": "Hourly data needs a signed licence."},
    ]
    tell.call("ops", "POST", f"{REQUESTS}/{request}/decisions", body={"decisions": decisions}, expect=200)
    tell.chapter("The Quant is told")
    for decision in _told_of(tell, "quant", "access.decided", request)["decisions"]:
        tell.say(f"{decision['frequency']}: {decision['outcome']}  {decision['reason'] or ''}")


def _told_of(tell: Storyteller, who: str, kind: str, request: str) -> dict[str, Any]:
    def found(inbox: Any) -> Any:
        data = [n["data"] for n in inbox["data"] if n["type"] == kind and n["data"]["request"] == request]
        return data[0] if data else None

    message: dict[str, Any] = tell.until(who, "/v1/notifications", found, f"a notification {kind}")
    return message


def _read(tell: Storyteller) -> None:
    tell.chapter("The Quant reads prices in USD")
    start = (datetime.now(UTC) - timedelta(days=90)).date()
    answer = tell.call("quant", "GET", f"{DAILY}&start={start}", expect=200).json()
    for line in chart([Decimal(bar["price_usd"]) for bar in answer["data"]]):
        tell.say(line)
    tell.say(f"{len(answer['data'])} days from {start}, source: {answer['source']}")
    csv = tell.call("quant", "GET", f"{DAILY}&format=csv", expect=200, show=False).text.splitlines()
    tell.say(f"as CSV: {len(csv) - 1} rows; {csv[0]}; {csv[-1]}")
    tell.chapter("What was refused stays closed, with the reason")
    tell.call("quant", "GET", HOURLY, expect=403)


def _market_caps(tell: Storyteller) -> None:
    tell.chapter("The market cap is taken every day at 20:00 UTC, and by hand when Ops wants it")
    run = tell.call("ops", "POST", "/v1/jobs/backfill-market-caps/run", body={}, expect=202).json()["id"]

    def done(jobs: Any) -> bool:
        return any(job["id"] == run and job["state"] == "done" for job in jobs["data"])

    tell.until("ops", "/v1/jobs", done, "the end of the run")
    answer = tell.call("quant", "GET", "/v1/datasets/BTC/market-caps", expect=200).json()
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
        "ends_at": ends_at.isoformat(),
        "reason": "A first look",
    }
    tell.call("ops", "POST", "/v1/grants", body=body, expect=201)
    path = "/v1/datasets/ETH/prices?frequency=1d&limit=1"
    tell.call("quant", "GET", path, expect=200)
    time.sleep(max(0.0, (ends_at - datetime.now(UTC)).total_seconds()) + 0.05)
    tell.call("quant", "GET", path, expect=403)


def _revoke(tell: Storyteller) -> None:
    tell.chapter("Ops takes the daily prices back: the next read gets nothing")
    active = tell.call("quant", "GET", "/v1/grants?status=active", expect=200, show=False).json()["data"]
    body = {"reason": "The licence ended."}
    tell.call("ops", "POST", f"/v1/grants/{active[0]['id']}/revoke", body=body, expect=200)
    refusal = tell.call("quant", "GET", DAILY, expect=403).json()
    if refusal["code"] != "revoked":
        raise StepFailed(f"the refusal should say revoked, it says {refusal['code']}")
