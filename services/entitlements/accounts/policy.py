"""What an account's standing allows."""

from services.entitlements.accounts.entities import Account
from services.entitlements.accounts.errors import AccountBlocked


def check_standing(account: Account | None) -> None:
    """Raises AccountBlocked where nothing may be given to the account; one never met here is in good standing."""
    if account is not None and account.standing != "good":
        raise AccountBlocked(standing=account.standing)
