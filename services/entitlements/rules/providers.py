"""Puts the rules' use cases together."""

from typing import Annotated

from fastapi import Depends

from services.entitlements.rules.service import RuleService
from shared.application import Transaction
from shared.clock import DatabaseClock


def _rules(session: Transaction) -> RuleService:
    return RuleService(session, DatabaseClock())


Rules = Annotated[RuleService, Depends(_rules)]
