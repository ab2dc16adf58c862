"""What Schemathesis is told beyond its settings: which refusals no schema can promise, and what must stay."""

import os
import re
from typing import Any
from uuid import uuid4

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

from shared.idempotency import HEADER, PATTERN

KEPT = set(os.environ.get("TICKGATE_CONTRACT_KEPT", "").split(","))
TAKING = re.compile(r"DELETE .*|POST /v1/api-keys/{id}/rotate|POST .*/(block|close|revoke|relinquish)")
ANOTHER = {"id": str(uuid4()), "symbol": "NOBODYS"}
SENT: set[str] = set()
UNTOLD = "invalid-input"
RULES = (  # of `invalid-input`, between values, or between a value and the time: a schema does not express them
    "an instant after `start`",
    "`since` is before `until`",
    "an instant that is not past",
    "an instant that is not to come",
    "an instant 15 minutes ago",
    "an instant a minute ago",
    "an instant to come",
    "an instant after the start",
    "a year between 1901 and 2999",
    "a day from ",
    "a day that is not in the future",
    "no date: sync-prices loads what is new, and older history",
    "days for this kind of grant",
    "a trial ends",
    "a trial has no grace",
    "a trial lasts at most 14 days",
    "each frequency once",
    "each frequency of a request once",
    "each rule has a name of its own",
    "a host on the open internet",  # a table of networks
    "Input should be a valid integer",  # 30.0 is one to JSON Schema
)


@schemathesis.hook
def filter_failure(_context: Any, failure: Any, _case: Any, response: Any) -> bool:
    """A request that fits the schema may be refused for what stands in the database, if the answer says so."""
    if not isinstance(failure, RejectedPositiveData):
        return True
    told = response.json()
    if told["code"] != UNTOLD:
        return False
    return not all(any(rule in error["message"] for rule in RULES) for error in told["errors"])


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """No request comes under another's Idempotency-Key, and none takes away what these tests stand on."""
    key = (case.headers or {}).get(HEADER)
    if isinstance(key, str) and re.fullmatch(PATTERN, key):
        if key in SENT:
            case.headers[HEADER] = str(uuid4())
        SENT.add(key)
    named = case.path_parameters or {}
    if TAKING.fullmatch(f"{case.method} {case.path}") and KEPT & set(named.values()):
        case.path_parameters = {name: ANOTHER.get(name, value) for name, value in named.items()}
