"""Puts the account lookups together."""

from typing import Annotated

from fastapi import Depends, Request

from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.accounts.source import AccountSource
from shared.application import Transaction


def _source(request: Request) -> AccountSource:
    return AccountSource(request.app.state.neighbours["keys"])


def _accounts(session: Transaction) -> AccountRepository:
    return AccountRepository(session)


Source = Annotated[AccountSource, Depends(_source)]
Accounts = Annotated[AccountRepository, Depends(_accounts)]
