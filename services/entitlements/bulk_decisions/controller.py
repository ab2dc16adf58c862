"""Bulk decisions over HTTP."""

from fastapi import APIRouter, Request

from services.entitlements.bulk_decisions.providers import BulkDecisions
from services.entitlements.bulk_decisions.schemas import DecidedList, Decisions
from shared.errors import TemporarilyUnavailable
from shared.idempotency import do_not_keep
from shared.principal import Caller

router = APIRouter(prefix="/v1/decisions", tags=["Requests"])


@router.post("", summary="Decide items of many requests", operation_id="decideItems")
def decide_items(wanted: Decisions, decisions: BulkDecisions, caller: Caller, request: Request) -> DecidedList:
    """Approves or refuses up to 100 items, each by itself: `data` says in the same order what came of each.

    The answer is 200 also where some, or all, were not decided: their `status` and `problem` say why. Each item is
    decided like one of `POST /v1/access-requests/{id}/decisions`, under the same rules. Where one is 503, a repeat goes
    through all again, also under the same `Idempotency-Key`: those that were decided are `already-decided` then.
    """
    results = decisions.decide(wanted, caller)
    if any(result.status == TemporarilyUnavailable.status for result in results):
        do_not_keep(request)
    return DecidedList(data=results)
