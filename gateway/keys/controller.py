"""Accounts and keys over HTTP: who am I, the admins' keys, and what our own services ask."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from gateway.keys.providers import Keys
from gateway.keys.schemas import (
    AccountOut,
    AccountsQuery,
    ApiKeyList,
    ApiKeyOut,
    KeysHeld,
    Me,
    NewApiKey,
    NewApiKeyOut,
    Position,
    Rotation,
)
from shared.pagination import Page, cursors_of, cut, link_next
from shared.principal import Caller

router = APIRouter(prefix="/v1")
internal = APIRouter(prefix="/internal/accounts", include_in_schema=False)
SCOPE = "api-keys"


@router.get("/me", tags=["Me"], summary="Show who I am", operation_id="getMe")
def get_me(keys: Keys, caller: Caller) -> Me:
    """The account, its role, and the key that this call was made with."""
    return keys.me(caller)


@router.get("/api-keys", tags=["API keys"], summary="List the API keys", operation_id="listApiKeys")
def list_api_keys(keys: Keys, page: Annotated[Page, Query()], request: Request, response: Response) -> ApiKeyList:
    """Every key, oldest first, the revoked and expired ones too; never a secret."""
    cursors = cursors_of(request)
    after = _position(cursors.load(SCOPE, page.cursor)) if page.cursor else None
    rows, more = cut(keys.list(after=after, limit=page.limit + 1), page.limit)
    cursor = cursors.dump(SCOPE, [rows[-1].created_at.isoformat(), rows[-1].id]) if more else None
    link_next(request, response, cursor)
    return ApiKeyList(data=list(rows), next_cursor=cursor)


@router.post("/api-keys", tags=["API keys"], status_code=201, summary="Make an API key", operation_id="addApiKey")
def add_api_key(new: NewApiKey, keys: Keys, caller: Caller, response: Response) -> NewApiKeyOut:
    """Make an account with its first key (`name`, `role`), or one more key of an `account`.

    The key is in this answer and nowhere else, ever: keep it.
    """
    if new.account is not None:
        made = keys.create_for(new.account, expires_at=new.expires_at, by=caller)
    else:
        assert new.name is not None and new.role is not None  # noqa: S101, PT018 - the schema took one of two shapes
        made = keys.create(name=new.name, role=new.role, expires_at=new.expires_at, by=caller)
    response.headers["Location"] = f"/v1/api-keys/{made.id}"
    return made


@router.get("/api-keys/{id}", tags=["API keys"], summary="Show an API key", operation_id="getApiKey")
def get_api_key(id: str, keys: Keys) -> ApiKeyOut:  # noqa: A002 - the public name of the parameter
    """One key, without its secret."""
    return keys.find(id)


@router.delete(
    "/api-keys/{id}", tags=["API keys"], status_code=204, summary="Revoke an API key", operation_id="revokeApiKey"
)
def revoke_api_key(id: str, keys: Keys, caller: Caller) -> None:  # noqa: A002 - the public name of the parameter
    """Refuse the key from now on. Doing it again changes nothing.

    An admin key stays (409 `last-admin`) unless another one is left that is not rotated and lasts another day, or as
    long as this one.
    """
    keys.revoke(id, caller)


@router.post(
    "/api-keys/{id}/rotate",
    tags=["API keys"],
    status_code=201,
    summary="Rotate an API key",
    operation_id="rotateApiKey",
)
def rotate_api_key(
    id: str,  # noqa: A002 - the public name of the parameter
    keys: Keys,
    caller: Caller,
    response: Response,
    rotation: Rotation | None = None,
) -> NewApiKeyOut:
    """Make the key that takes this one's place; both work until `overlap_seconds` are over, a day if left out.

    The new key is in this answer and nowhere else, ever: keep it. It ends when the old one would have ended; rotating
    extends nothing. A key is rotated once (409 `already-rotated`), and not when it is revoked or expired
    (409 `key-not-usable`). The old one may still be revoked before the overlap ends.
    """
    overlap = timedelta(seconds=(rotation or Rotation()).overlap_seconds)
    made = keys.rotate(id, overlap=overlap, by=caller)
    response.headers["Location"] = f"/v1/api-keys/{made.id}"
    return made


@internal.get("")
def list_accounts(keys: Keys, query: Annotated[AccountsQuery, Query()]) -> Sequence[AccountOut]:
    """The accounts with these `ids`; or the next ones `after` an id."""
    if query.ids is not None:
        return keys.accounts([UUID(one) for one in query.ids.split(",")])
    return keys.accounts_after(query.after, limit=query.limit)


@internal.get("/{id}")
def get_account(id: UUID, keys: Keys) -> AccountOut:  # noqa: A002 - the public name of the parameter
    """One account."""
    return keys.account(id)


@internal.get("/{id}/keys")
def count_keys(id: UUID, keys: Keys) -> KeysHeld:  # noqa: A002
    """Whether somebody can come in as the account."""
    return keys.usable_keys(id)


def _position(stored: tuple[str, str]) -> Position:
    return datetime.fromisoformat(stored[0]), stored[1]
