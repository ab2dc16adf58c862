"""What can be known of accounts here: their standing."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from services.entitlements.accounts.policy import standing_of
from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.accounts.schemas import AccountOut
from shared.clock import Clock


class AccountService:
    """The accounts as the gateway knows them, completed in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._accounts = AccountRepository(session)

    def with_standing(self, found: Sequence[AccountOut]) -> list[AccountOut]:
        """The same accounts, each with its standing now."""
        now = self._clock.now(self._session)
        known = self._accounts.find_all(account.id for account in found)
        return [a.model_copy(update={"standing": standing_of(known.get(a.id), now)}) for a in found]
