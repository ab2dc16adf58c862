"""Rules replaced at the same moment."""

from collections.abc import Iterator
from contextlib import closing
from threading import Barrier

import pytest
from sqlalchemy.orm import Session

from services.entitlements.rules.entities import RuleVersion
from services.entitlements.rules.errors import RulesChanged
from services.entitlements.rules.repository import RuleRepository
from services.entitlements.rules.schemas import NewRules, RulesOut
from services.entitlements.rules.service import RuleService
from shared.clock import DatabaseClock
from shared.database import Database
from tests.conftest import Stores
from tests.services.entitlements.fakes import person
from tests.services.entitlements.race import at_once

ADMINS = [person("admin", f"Admin {number}") for number in range(4)]


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """A database in which things are committed."""
    with closing(Database(stores.app_url("entitlements"), pool_size=len(ADMINS))) as database:
        yield database


class Together(RuleRepository):
    """Everybody has looked before anybody writes; a careless one takes the next number that is free."""

    def __init__(self, session: Session, looked: Barrier, number: int | None) -> None:
        super().__init__(session)
        self._looked = looked
        self._number = number

    def add(self, new: RuleVersion) -> bool:
        """Wait for the others, then write."""
        self._looked.wait(5)
        new.version = self._number or new.version
        return super().add(new)


def replace_at_once(database: Database, *, careless: bool) -> list[RulesOut | Exception]:
    looked = Barrier(len(ADMINS))

    def replace(number: int) -> RulesOut:
        with database.transaction() as session:
            service = RuleService(session, DatabaseClock())
            service._rules = Together(session, looked, 2 + number if careless else None)
            new = NewRules.model_validate({"replaces": 1, "note": f"Of {number}", "rules": []})
            return service.replace(new, ADMINS[number])

    return at_once(len(ADMINS), replace)


def test_of_admins_who_replace_the_same_version_at_once_one_wins_and_the_others_are_told(database: Database) -> None:
    answers = replace_at_once(database, careless=False)
    assert [answer.version for answer in answers if isinstance(answer, RulesOut)] == [2]
    assert [a.members for a in answers if isinstance(a, RulesChanged)] == [{"version": 2}] * 3


def test_without_the_version_as_key_all_of_them_replace_it_and_three_are_lost(database: Database) -> None:
    assert all(isinstance(answer, RulesOut) for answer in replace_at_once(database, careless=True))
