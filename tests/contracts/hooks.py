"""What Schemathesis is told beyond its settings: which refusals no schema can promise, and whose keys must stay."""

import json
import os
from typing import Any

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

KEPT = "TICKGATE_CONTRACT_KEPT"
UNTOLD = "invalid-input"
# rules between values, or between a value and the time, which `invalid-input` names and a schema does not express
RULES = json.loads(os.environ.get("TICKGATE_CONTRACT_RULES", "[]"))


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
def filter_case(_context: Any, case: Any) -> bool:
    """The keys with which these tests knock are not revoked by them."""
    return (case.path_parameters or {}).get("id") not in os.environ.get(KEPT, "").split(",")
