"""Accounts over HTTP, for Ops."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from services.entitlements.accounts.errors import AccountNotFound
from services.entitlements.accounts.providers import Accounts, Source
from services.entitlements.accounts.schemas import AccountList, AccountOut
from shared.pagination import Page, cursors_of, cut, link_next

router = APIRouter(prefix="/v1/accounts", tags=["Accounts"])
SCOPE = "accounts"


async def _page(source: Source, page: Annotated[Page, Query()], request: Request) -> list[AccountOut]:
    after = cursors_of(request).load(SCOPE, page.cursor) if page.cursor else ""
    return await source.page(after=after, limit=page.limit + 1)


async def _account(id: UUID, source: Source) -> AccountOut:  # noqa: A002
    account = await source.find(id)
    if account is None:
        raise AccountNotFound
    return account


@router.get("", summary="List accounts", operation_id="listAccounts")
def list_accounts(
    found: Annotated[list[AccountOut], Depends(_page)],
    accounts: Accounts,
    page: Annotated[Page, Query()],
    request: Request,
    response: Response,
) -> AccountList:
    """Every account with its role and standing, oldest first."""
    rows, more = cut(found, page.limit)
    cursor = cursors_of(request).dump(SCOPE, rows[-1].id) if more else None
    link_next(request, response, cursor)
    return AccountList(data=_with_standing(rows, accounts), next_cursor=cursor)


@router.get("/{id}", summary="Show an account", operation_id="getAccount")
def get_account(account: Annotated[AccountOut, Depends(_account)], accounts: Accounts) -> AccountOut:
    """One account with its role and standing."""
    return _with_standing([account], accounts)[0]


def _with_standing(found: Sequence[AccountOut], accounts: Accounts) -> list[AccountOut]:
    known = accounts.find_all(account.id for account in found)
    return [a.model_copy(update={"standing": known[a.id].standing}) if a.id in known else a for a in found]
