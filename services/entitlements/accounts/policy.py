"""What an account's standing is at an instant, and what it allows."""

from datetime import datetime
from typing import Literal

from services.entitlements.accounts.entities import Account
from services.entitlements.accounts.errors import AccountBlocked

Standing = Literal["good", "blocked", "closed"]


def standing_of(account: Account | None, now: datetime) -> Standing:
    """The standing; who was never met here is in good standing, and a block with an end is over by itself."""
    if account is None or account.standing == "good":
        return "good"
    if account.standing == "closed":
        return "closed"
    return "good" if account.blocked_until is not None and account.blocked_until <= now else "blocked"


def check_standing(account: Account | None, now: datetime) -> None:
    """Raises AccountBlocked where nothing may be given to the account."""
    if (standing := standing_of(account, now)) != "good":
        raise AccountBlocked(standing=standing)
