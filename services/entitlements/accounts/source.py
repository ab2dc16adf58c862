"""The gateway's accounts, asked over its internal API."""

from uuid import UUID

from services.entitlements.accounts.schemas import AccountOut
from shared.upstream import Neighbour


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
