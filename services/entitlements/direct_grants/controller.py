"""Direct grants over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from services.entitlements.accounts.providers import Source
from services.entitlements.accounts.schemas import AccountOut
from services.entitlements.direct_grants.providers import DirectGrants
from services.entitlements.direct_grants.schemas import DirectGrant, GrantsGiven
from services.entitlements.requests.providers import Offers
from services.entitlements.requests.source import Offer
from shared.principal import Caller

router = APIRouter(prefix="/v1/grants", tags=["Grants"])


async def _account(wanted: DirectGrant, accounts: Source) -> AccountOut | None:
    return await accounts.find(wanted.account)


async def _offer(wanted: DirectGrant, offers: Offers) -> Offer | None:
    return await offers.find(wanted.dataset)


@router.post("", status_code=201, summary="Give access", operation_id="giveGrants")
def give_grants(
    wanted: DirectGrant,
    account: Annotated[AccountOut | None, Depends(_account)],
    offer: Annotated[Offer | None, Depends(_offer)],
    grants: DirectGrants,
    caller: Caller,
    response: Response,
) -> GrantsGiven:
    """Gives an account access without a request, for a term or as a trial.

    Pending items of the cells are approved by it, and who asked is told so. Where it takes the place of a grant with a
    scheduled revocation, it is revoked then, unless `keep` cancels that.
    """
    given = grants.give(wanted, account, offer, caller)
    response.headers["Location"] = f"/v1/grants/{given[0].id}"
    return GrantsGiven.model_validate({"data": given})
