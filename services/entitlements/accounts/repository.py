"""Reads and writes accounts' rows."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session
from sqlmodel import col, select

from services.entitlements.accounts.entities import Account, StandingChange
from services.entitlements.accounts.policy import Standing, check_standing


class AccountRepository:
    """The accounts in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def meet(self, account: UUID, *, name: str, role: str) -> None:
        """Keep an account's name and role; its standing stays."""
        new = insert(Account).values(id=account, name=name, role=role)
        changed = (col(Account.name) != new.excluded.name) | (col(Account.role) != new.excluded.role)
        self._session.execute(
            new.on_conflict_do_update(index_elements=["id"], set_={"name": name, "role": role}, where=changed)
        )

    def hold(self, account: UUID) -> Account | None:
        """The account, whose standing stays until the transaction ends; taken before its items and its grants."""
        query = select(Account).where(Account.id == account).with_for_update(read=True)
        return self._session.scalars(query.execution_options(populate_existing=True)).first()

    def require_good(self, account: UUID, now: datetime) -> None:
        """Hold an account that is to be given something; raises AccountBlocked."""
        check_standing(self.hold(account), now)

    def find_all(self, ids: Iterable[UUID]) -> dict[UUID, Account]:
        """Those of these accounts that are known here."""
        rows = self._session.scalars(select(Account).where(col(Account.id).in_(set(ids))))
        return {row.id: row for row in rows}

    def find(self, account: UUID) -> Account | None:
        """The account, if it is known here."""
        return self._session.get(Account, account, populate_existing=True)

    def lock(self, account: UUID) -> Account:
        """A known account, held until the transaction ends: nobody gives it anything meanwhile."""
        query = select(Account).where(Account.id == account).with_for_update()
        return self._session.scalars(query.execution_options(populate_existing=True)).one()

    def rule(self, account: Account, standing: Standing, *, at: datetime, until: datetime | None) -> None:
        """Change the standing of a locked account, and keep when that was."""
        account.standing, account.blocked_until = standing, until
        self._session.add(StandingChange(account=account.id, at=at, standing=standing, until=until))
        self._session.flush()


def was_good(account: Mapped[UUID], at: datetime) -> ColumnElement[bool]:
    """In SQL: whether an account was in good standing at a past instant, as `policy.standing_of` said then."""
    over = func.coalesce(col(StandingChange.until) <= at, False)
    good = select((col(StandingChange.standing) == "good") | ((col(StandingChange.standing) == "blocked") & over))
    then = good.where(col(StandingChange.account) == account, col(StandingChange.at) <= at)
    newest = then.order_by(col(StandingChange.id).desc()).limit(1)
    return func.coalesce(newest.scalar_subquery(), True)
