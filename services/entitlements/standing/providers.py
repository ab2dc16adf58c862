"""Puts the changes of standing together."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends

from services.entitlements.accounts.providers import Source, existing
from services.entitlements.accounts.schemas import AccountOut
from services.entitlements.standing.schemas import Block, Ruling
from services.entitlements.standing.service import StandingService
from shared.application import Transaction
from shared.clock import DatabaseClock


def _standings(session: Transaction) -> StandingService:
    return StandingService(session, DatabaseClock())


# a body that is wrong is said so before the account is looked for
async def _to_block(id: UUID, why: Block, source: Source) -> AccountOut:  # noqa: A002, ARG001
    return await existing(id, source)


async def _to_rule_on(id: UUID, why: Ruling, source: Source) -> AccountOut:  # noqa: A002, ARG001
    return await existing(id, source)


ToBlock = Annotated[AccountOut, Depends(_to_block)]
ToRuleOn = Annotated[AccountOut, Depends(_to_rule_on)]
Standings = Annotated[StandingService, Depends(_standings)]
