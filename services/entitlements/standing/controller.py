"""Changing an account's standing over HTTP."""

from fastapi import APIRouter

from services.entitlements.accounts.schemas import AccountOut
from services.entitlements.standing.providers import Standings, ToBlock, ToRuleOn
from services.entitlements.standing.schemas import Block, Ruling
from shared.principal import Caller

router = APIRouter(prefix="/v1/accounts", tags=["Accounts"])


@router.post("/{id}/block", summary="Block an account", operation_id="blockAccount")
def block_account(account: ToBlock, why: Block, standings: Standings, caller: Caller) -> AccountOut:
    """Stops its reads, its new requests and approvals, at once and up to `until`; its grants and requests stay.

    When this answers, no read that starts later succeeds. Blocking again changes the reason and the end.
    """
    return standings.block(account, why, caller)


@router.post("/{id}/unblock", summary="Unblock an account", operation_id="unblockAccount")
def unblock_account(account: ToRuleOn, why: Ruling, standings: Standings, caller: Caller) -> AccountOut:
    """Puts the account back into good standing: what it held, and is not over, it may read again."""
    return standings.unblock(account, why, caller)


@router.post("/{id}/close", summary="Close an account", operation_id="closeAccount")
def close_account(account: ToRuleOn, why: Ruling, standings: Standings, caller: Caller) -> AccountOut:
    """For good: withdraws what it asked for, revokes what it holds, disables its webhooks.

    Its keys are the admins' to revoke.
    """
    return standings.close(account, why, caller)
