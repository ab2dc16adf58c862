"""Revoking, keeping and giving back over HTTP."""

from uuid import UUID

from fastapi import APIRouter

from services.entitlements.closings.providers import Closings
from services.entitlements.grants.schemas import GrantOut, OpsGrantOut, Revocation
from shared.principal import Caller

router = APIRouter(prefix="/v1/grants", tags=["Grants"])


@router.post("/{id}/revoke", summary="Revoke a grant", operation_id="revokeGrant")
def revoke_grant(id: UUID, why: Revocation, closings: Closings, caller: Caller) -> OpsGrantOut | GrantOut:  # noqa: A002
    """Ends the grant at once: when this answers, no read that starts later succeeds. The Quant is told the reason.

    With `effective_at` it ends then, unless its term is over before: revoking again moves that, or ends it at once,
    and only `keep` cancels it: a grant that takes its place is revoked then, too. Revoking what is revoked gives the
    first result. The Quant may ask again: revoking is not blocking. A grant of your own you give back instead.
    """
    return closings.revoke(id, why, caller)


@router.post("/{id}/keep", summary="Cancel a scheduled revocation", operation_id="keepGrant")
def keep_grant(id: UUID, closings: Closings, caller: Caller) -> OpsGrantOut | GrantOut:  # noqa: A002
    """The grant goes on to the end of its term; the Quant is told. Nothing changes where no revocation is scheduled."""
    return closings.keep(id, caller)


@router.post("/{id}/relinquish", summary="Give a grant back", operation_id="relinquishGrant")
def relinquish_grant(id: UUID, closings: Closings, caller: Caller) -> OpsGrantOut | GrantOut:  # noqa: A002
    """Ends a grant of your own at once. Doing so again gives the first result; you may ask for access again."""
    return closings.relinquish(id, caller)
