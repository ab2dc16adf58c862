"""The gateway's accounts, asked over its internal API."""

from collections.abc import Collection
from uuid import UUID

from services.entitlements.accounts.schemas import AccountOut
from shared.settings import ServiceSettings
from shared.upstream import Answer, Neighbour, open_neighbour


class AccountSource:
    """Every account there is, whether it ever asked for anything or not."""

    def __init__(self, keys: Neighbour) -> None:
        self._keys = keys

    async def find(self, account: UUID) -> AccountOut | None:
        """The account as the gateway knows it, in good standing until our own table says otherwise."""
        answer = await self._keys.get(f"/internal/accounts/{account}")
        return None if answer.status == 404 else AccountOut.model_validate(answer.json())

    async def page(self, *, after: str, limit: int) -> list[AccountOut]:
        """At most `limit` accounts whose ids follow `after`."""
        answer = await self._keys.get("/internal/accounts", f"limit={limit}" + (f"&after={after}" if after else ""))
        return [AccountOut.model_validate(row) for row in answer.json()]


def fetch_keyless(settings: ServiceSettings, accounts: Collection[UUID]) -> list[UUID]:
    """Those of these accounts that no key opens now, for a process without an event loop.

    Raises TemporarilyUnavailable.
    """
    url, key = settings.url_of("keys"), settings.identity_private_key
    with open_neighbour("keys", url, private_key=key, caller="entitlements") as get:
        return [account for account in accounts if _is_none(get(f"/internal/accounts/{account}/keys"))]


def _is_none(answer: Answer) -> bool:
    return answer.status == 200 and answer.json() == {"usable": 0}
