"""Rules over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query

from services.entitlements.rules.providers import Rules
from services.entitlements.rules.schemas import NewRules, RulesOut, RulesQuery
from shared.principal import Caller

router = APIRouter(prefix="/v1/rules", tags=["Rules"])


@router.get("", summary="Show the rules", operation_id="getRules")
def get_rules(rules: Rules, query: Annotated[RulesQuery, Query()]) -> RulesOut:
    """The rules that answer requests automatically, with their history; or an earlier version of them.

    Any refusal wins, else any referral, else an approval; where no rule speaks, Ops decides. An account that is blocked
    or closed is refused whatever the rules say, unless one of them fails: then the item waits for Ops. So does what a
    version would approve for its author: nobody decides their own request.
    """
    return rules.find(query.version)


@router.put("", summary="Replace the rules", operation_id="replaceRules")
def replace_rules(new: NewRules, rules: Rules, caller: Caller) -> RulesOut:
    """Puts a new version in the place of the one that you looked at. What is pending is not decided anew."""
    return rules.replace(new, caller)
