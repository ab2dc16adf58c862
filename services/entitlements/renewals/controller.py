"""Extending over HTTP."""

from uuid import UUID

from fastapi import APIRouter

from services.entitlements.grants.schemas import GrantOut, OpsGrantOut
from services.entitlements.renewals.providers import Renewals
from services.entitlements.renewals.schemas import Extension
from shared.principal import Caller

router = APIRouter(prefix="/v1/grants", tags=["Grants"])


@router.post("/{id}/extend", summary="Extend a grant", operation_id="extendGrant")
def extend_grant(id: UUID, wanted: Extension, renewals: Renewals, caller: Caller) -> OpsGrantOut | GrantOut:  # noqa: A002
    """Gives a new grant from now that takes the place of a running one: no gap, and never less than what was held.

    The answer is the new grant, of the same kind: a trial's is for at most 14 days. A scheduled revocation goes on to
    it, and ends it then, unless `keep` cancels that.
    """
    return renewals.extend(id, wanted, caller)
