"""Puts the account lookups together."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from services.entitlements.accounts.errors import AccountNotFound
from services.entitlements.accounts.schemas import AccountOut
from services.entitlements.accounts.service import AccountService
from services.entitlements.accounts.source import AccountSource
from shared.application import Transaction
from shared.clock import DatabaseClock


def _source(request: Request) -> AccountSource:
    return AccountSource(request.app.state.neighbours["keys"])


def _accounts(session: Transaction) -> AccountService:
    return AccountService(session, DatabaseClock())


Source = Annotated[AccountSource, Depends(_source)]
Accounts = Annotated[AccountService, Depends(_accounts)]


async def existing(id: UUID, source: Source) -> AccountOut:  # noqa: A002
    """The account as the gateway knows it; asked before the transaction is opened: no connection waits for it."""
    account = await source.find(id)
    if account is None:
        raise AccountNotFound
    return account


Existing = Annotated[AccountOut, Depends(existing)]
