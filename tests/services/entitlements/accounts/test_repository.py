"""The accounts that were met."""

from sqlalchemy import update
from sqlalchemy.orm import Session
from sqlmodel import col

from services.entitlements.accounts.entities import Account
from services.entitlements.accounts.repository import AccountRepository
from tests.services.entitlements.fakes import OTHER, QUANT


def test_an_account_is_kept_with_its_newest_name_and_its_standing(session: Session) -> None:
    accounts, ada = AccountRepository(session), QUANT.account_id
    accounts.meet(ada, name="Ada", role="quant")
    session.execute(update(Account).where(col(Account.id) == ada).values(standing="blocked"))
    accounts.meet(ada, name="Ada Lovelace", role="ops")
    found = accounts.find_all([ada, OTHER.account_id])
    assert [(a.name, a.role, a.standing) for a in found.values()] == [("Ada Lovelace", "ops", "blocked")]
