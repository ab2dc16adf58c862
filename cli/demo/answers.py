"""What of an answer the demo shows: the fields that a step is about, a line each."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any


def datasets(answer: Any) -> Iterator[str]:
    """What is on offer."""
    for dataset in answer["data"]:
        yield f"{dataset['symbol']}  {dataset['name']}: {', '.join(dataset['frequencies'])}"


def coverage(answer: Any) -> Iterator[str]:
    """How much history there is."""
    for series in answer["data"]:
        yield f"{series['frequency']}: {series['rows']:,} rows, {series['source']}, from {series['first']}"


def refusal(answer: Any) -> Iterator[str]:
    """Why a read is refused, and what helps."""
    yield f"code: {answer['code']}"
    for name in ("reason", "ended_at", "reapply_after"):
        if answer[name] is not None:
            yield f"{name}: {answer[name]}"
    remedy = answer["remedy"]
    yield f"remedy: {remedy['method']} {remedy['href']} {json.dumps(remedy['body'])}" if remedy else "remedy: none now"


def request(answer: Any) -> Iterator[str]:
    """How a request stands, and each of its frequencies."""
    yield f"status: {answer['status']}" + (f", awaiting {answer['awaiting']}" if answer["awaiting"] else "")
    for item in answer["items"]:
        yield f"{item['frequency']}: {item['status']}" + (f", {item['reason']}" if item["reason"] else "")


def asked(data: Any) -> Iterator[str]:
    """What Ops is told of a request."""
    yield f"access.requested: {data['account_name']} asks for {data['dataset']} {', '.join(data['frequencies'])}"


def pending(answer: Any) -> Iterator[str]:
    """Who waits for what."""
    for waiting in answer["data"]:
        items = ", ".join(f"{item['frequency']} {item['status']}" for item in waiting["items"])
        yield f"{waiting['account_name']}, {waiting['dataset']}: {items}; reason: {waiting['reason']}"


def decided(data: Any) -> Iterator[str]:
    """What the Quant is told of a decision."""
    for decision in data["decisions"]:
        told = f"until {decision['ends_at']}" if decision["outcome"] == "approved" else decision["reason"]
        yield f"access.decided: {data['dataset']} {decision['frequency']} {decision['outcome']}, {told}"


def grant(answer: Any) -> Iterator[str]:
    """A grant and its term."""
    yield f"{answer['dataset']} {answer['frequency']}: {answer['kind']}, {answer['status']}"
    yield f"ends_at: {answer['ends_at']}"


def revoked(answer: Any) -> Iterator[str]:
    """How a grant was closed."""
    yield f"{answer['dataset']} {answer['frequency']}: {answer['status']} at {answer['closed_at']}"


def prices(answer: Any) -> Iterator[str]:
    """The first of some prices."""
    bar = answer["data"][0]
    yield f"{bar['timestamp']}: {bar['price_usd']} {answer['currency']}"


def run(answer: Any) -> Iterator[str]:
    """How a run of a job stands."""
    counts = "".join(f", {name} {count}" for name, count in answer["counts"].items())
    yield f"slot: {answer['slot']}, state: {answer['state']}{counts}"


def market_caps(answer: Any) -> Iterator[str]:
    """The last day's market cap."""
    for cap in answer["data"][-1:]:
        value = Decimal(cap["market_cap_usd"])
        yield f"{cap['date']}: {value:,.2f} {answer['currency']} at {cap['observed_at']}, {cap['provenance']}"
