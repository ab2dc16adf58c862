"""Accounts over HTTP, for Ops."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from services.entitlements.accounts.providers import Accounts, Existing, Source
from services.entitlements.accounts.schemas import AccountList, AccountOut
from shared.pagination import Page, cursors_of, cut, link_next

router = APIRouter(prefix="/v1/accounts", tags=["Accounts"])
SCOPE = "accounts"


async def _page(source: Source, page: Annotated[Page, Query()], request: Request) -> list[AccountOut]:
    after = cursors_of(request).load(SCOPE, page.cursor) if page.cursor else ""
    return await source.page(after=after, limit=page.limit + 1)


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
    return AccountList(data=accounts.with_standing(rows), next_cursor=cursor)


@router.get("/{id}", summary="Show an account", operation_id="getAccount")
def get_account(account: Existing, accounts: Accounts) -> AccountOut:
    """One account with its role and standing."""
    return accounts.with_standing([account])[0]
