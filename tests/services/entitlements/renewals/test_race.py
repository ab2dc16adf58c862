"""W7: sixteen at once on one grant, extending, revoking and renewing: one winner, and a history without a fault."""

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from threading import Barrier, Thread
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from sqlmodel import col, select

from services.entitlements.accounts.entities import Account
from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.errors import CellHeld, GrantClosed
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.grants.schemas import GrantOut
from services.entitlements.requests.errors import AlreadyDecided
from services.entitlements.requests.schemas import RequestsQuery
from shared.database import Database
from shared.principal import Principal
from tests.conftest import Stores
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import OPS, person
from tests.services.entitlements.race import at_once, drop_the_index, wait_for_a_waiter

THREADS, ROUNDS = 16, 6
LAPSED = (GrantClosed, CellHeld)
Act = Callable[[Desk, Principal, GrantOut], Any]


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """A database in which things are committed."""
    with closing(Database(stores.app_url("entitlements"), pool_size=THREADS)) as database:
        yield database


def given(database: Database, **terms: Any) -> tuple[Principal, GrantOut]:
    """Somebody with a grant."""
    somebody = person()
    with database.transaction() as session:
        return somebody, Desk(session).give("1d", to=somebody, **terms)[0]


def race(database: Database, held: tuple[Principal, GrantOut], *acts: Act, threads: int = THREADS) -> list[Any]:
    """What each of the threads, sixteen unless said, got or was refused with; the acts take turns among them."""

    def run(number: int) -> Any:
        with database.transaction() as session:
            return acts[number % len(acts)](Desk(session), *held)

    return at_once(threads, run)


def history(database: Database, account: UUID) -> list[Grant]:
    """The cell's grants, oldest first; asserts that each took the place of the one before, without gap or overlap."""
    with database.transaction() as session:
        query = select(Grant).where(Grant.account == account).order_by(col(Grant.starts_at), col(Grant.id))
        grants = list(session.scalars(query))
    assert [grant.closed_at for grant in grants].count(None) <= 1
    for before, after in pairwise(grants):
        assert (before.close_reason, before.closed_at, after.supersedes) == ("superseded", after.starts_at, before.id)
    return grants


def extend(desk: Desk, _somebody: Principal, grant: GrantOut) -> GrantOut:
    """Extend it."""
    return desk.extend(grant.id, duration_days=100)


def revoke(desk: Desk, _somebody: Principal, grant: GrantOut) -> GrantOut:
    """Revoke it."""
    return desk.revoke(grant.id)


def give(desk: Desk, somebody: Principal, _grant: GrantOut) -> GrantOut:
    """Give the cell anew, in the place of what stands there."""
    return desk.give("1d", to=somebody, duration_days=100)[0]


def test_w7_of_sixteen_extensions_one_wins(database: Database) -> None:
    for _ in range(ROUNDS):
        held = given(database, duration_days=50)
        answers = race(database, held, extend)
        won = [answer for answer in answers if isinstance(answer, GrantOut)]
        assert (len(won), sum(isinstance(a, GrantClosed) for a in answers)) == (1, THREADS - 1), answers
        assert [grant.id for grant in history(database, held[0].account_id)] == [held[1].id, won[0].id]


def test_w7_an_extension_that_meets_the_end_wins_before_it_or_is_refused_after_it(database: Database) -> None:
    for _ in range(ROUNDS):
        held = given(database, duration_days=50)
        with database.transaction() as session:
            soon = "update entitlements.grants set ends_at = clock_timestamp() + interval '40 ms' where id = :id"
            session.execute(text(soon), {"id": held[1].id})
        answers = race(database, held, extend)
        won = [answer for answer in answers if isinstance(answer, GrantOut)]
        assert sum(isinstance(a, GrantClosed) for a in answers) == THREADS - len(won), answers
        grants = history(database, held[0].account_id)
        assert len(won) == len(grants) - 1 <= 1
        if won:
            assert grants[0].ends_at is not None
            assert grants[1].starts_at < grants[0].ends_at


def test_an_extension_that_waits_past_the_end_of_the_grant_is_refused(database: Database) -> None:
    somebody, grant = given(database, duration_days=50)
    answers: list[Any] = []
    extending = Thread(target=lambda: answers.extend(race(database, (somebody, grant), extend, threads=1)))
    with database.transaction() as session:
        soon = "update entitlements.grants set ends_at = clock_timestamp() + interval '300 ms' where id = :id"
        session.execute(text(soon), {"id": grant.id})
        extending.start()
        wait_for_a_waiter(database)
        session.execute(text("select pg_sleep(0.35)"))
    extending.join()
    assert [type(answer) for answer in answers] == [GrantClosed]
    assert len(history(database, somebody.account_id)) == 1


def test_w7_a_revocation_against_extensions_leaves_no_fault_in_the_history(database: Database) -> None:
    for _ in range(ROUNDS):
        held = given(database, duration_days=50)
        answers = race(database, held, extend, revoke)
        assert all(isinstance(answer, (GrantOut, GrantClosed)) for answer in answers), answers
        extended = [a for a in answers[::2] if isinstance(a, GrantOut)]
        revoked = [a for a in answers[1::2] if isinstance(a, GrantOut)]
        assert (len(extended), len(revoked)) in ((1, 0), (0, THREADS // 2))
        grants = history(database, held[0].account_id)
        assert grants[0].close_reason == ("superseded" if extended else "revoked")


def approve(desk: Desk, somebody: Principal, _grant: GrantOut) -> GrantOut:
    """Approve what was asked for, which renews what runs there."""
    [request] = desk.requests.page(RequestsQuery(account=somebody.account_id), OPS, after=None, limit=2)
    desk.decide(request.id, outcome="approve", duration_days=100)
    [item] = desk.requests.find(request.id, OPS).items
    assert item.grant is not None
    return desk.grants.find(item.grant, OPS)


def test_w7_a_revocation_against_renewals_ends_the_old_grant_once_and_approves_once(database: Database) -> None:
    for _ in range(ROUNDS):
        somebody, grant = given(database, duration_days=1)
        with database.transaction() as session:
            Desk(session).ask("1d", by=somebody)
        answers = race(database, (somebody, grant), approve, revoke)
        [new] = [answer for answer in answers[::2] if isinstance(answer, GrantOut)]
        assert sum(isinstance(answer, AlreadyDecided) for answer in answers[::2]) == THREADS // 2 - 1, answers
        with database.transaction() as session:
            first, second = (session.get_one(Grant, id_) for id_ in (grant.id, new.id))
        renewed = first.close_reason == "superseded"
        assert all(isinstance(answer, GrantClosed if renewed else GrantOut) for answer in answers[1::2]), answers
        assert (second.closed_at, second.origin) == (None, "renewal" if renewed else "ops")
        assert (first.close_reason, second.supersedes) in (("superseded", first.id), ("revoked", None))


def test_w7_a_revocation_against_direct_grants_leaves_no_fault_in_the_history(database: Database) -> None:
    for _ in range(ROUNDS):
        somebody, grant = given(database, duration_days=50)
        answers = race(database, (somebody, grant), give, revoke)
        assert all(isinstance(answer, (GrantOut, *LAPSED)) for answer in answers), answers
        with database.transaction() as session:
            query = select(Grant).where(Grant.account == somebody.account_id)
            grants = {g.id: g for g in session.scalars(query)}
        assert [g.closed_at for g in grants.values()].count(None) == 1
        first = grants[grant.id]
        assert first.close_reason in ("revoked", "superseded")
        followed = [g.supersedes for g in grants.values() if g.supersedes]
        assert len(followed) == len(set(followed))  # nothing was followed twice
        assert (first.id in followed) == (first.close_reason == "superseded")


class Unguarded(GrantRepository):
    """Reads a grant without holding it, and whoever comes last writes over what the others wrote."""

    def __init__(self, session: Session, all_have_read: Barrier) -> None:
        super().__init__(session)
        self._all_have_read = all_have_read

    def lock(self, grant: UUID) -> Grant | None:
        """Read, and wait until all others have read."""
        found = self.find(grant)
        self._all_have_read.wait(5)
        return found


@pytest.mark.parametrize(("act", "recorded"), [(revoke, "grant.revoked"), (extend, "grant.extended")])
def test_w7_without_the_guard_what_one_did_others_do_again(
    database: Database, stores: Stores, act: Act, recorded: str
) -> None:
    """The index that would refuse all but one of the new grants is gone too: it is W5's guard."""
    drop_the_index(stores)
    held, all_have_read = given(database), Barrier(THREADS)

    def careless(desk: Desk, somebody: Principal, grant: GrantOut) -> Any:
        desk.closings._grants = desk.renewals._grants = Unguarded(desk.session, all_have_read)
        desk.renewals._accounts = Unheld(desk.session)
        return act(desk, somebody, grant)

    race(database, held, careless)
    with database.transaction() as session:
        assert len(Desk(session).audited(recorded)) > 1


class Unheld(AccountRepository):
    """Reads an account without holding it."""

    def hold(self, account: UUID) -> Account | None:
        """Read only."""
        return self.find(account)
