"""Withdrawals over HTTP."""

from uuid import UUID

from fastapi import APIRouter

from services.entitlements.requests.providers import Requests
from services.entitlements.requests.schemas import OpsRequestOut, RequestOut
from services.entitlements.withdrawals.providers import Withdrawals
from services.entitlements.withdrawals.schemas import Withdrawal
from shared.principal import Caller

router = APIRouter(prefix="/v1/access-requests", tags=["Requests"])


@router.post("/{id}/withdraw", summary="Withdraw a request", operation_id="withdrawAccessRequest")
def withdraw_request(
    id: UUID,  # noqa: A002
    withdrawals: Withdrawals,
    requests: Requests,
    caller: Caller,
    what: Withdrawal | None = None,
) -> OpsRequestOut | RequestOut:
    """Takes back what is undecided in a request of yours; Ops is told. You may ask again at any time."""
    withdrawals.withdraw(id, what or Withdrawal(), caller)
    return requests.find(id, caller)
