"""Deciding many at once: each by itself, in order, under the same rules."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from services.entitlements.bulk_decisions.schemas import Decided, Decisions
from services.entitlements.bulk_decisions.service import BulkDecisionService
from shared.clock import DatabaseClock
from shared.database import Database
from tests.conftest import Stores
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import OPS, QUANT, person
from tests.services.entitlements.race import at_once

APPROVE, REFUSE = {"outcome": "approve"}, {"outcome": "refuse", "reason": "No licence."}
DECIDERS = [person("ops", f"Decider {number}") for number in range(8)]


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """A database in which things are committed."""
    with closing(Database(stores.app_url("entitlements"), pool_size=len(DECIDERS) + 1)) as database:
        yield database


def ask(database: Database, *frequencies: str, by: Any = None) -> UUID:
    with database.transaction() as session:
        return Desk(session).ask(*frequencies, by=by or person()).id


def bulk(database: "Database | Busy", *verdicts: tuple[UUID, str, dict[str, Any]], by: Any = OPS) -> list[Decided]:
    decisions = [{"request": request, "frequency": frequency, **how} for request, frequency, how in verdicts]
    wanted = Decisions.model_validate({"decisions": decisions, "note": "Checked."})
    return BulkDecisionService(database.transaction, DatabaseClock()).decide(wanted, by)


def codes(results: Sequence[Decided]) -> list[tuple[int, str | None]]:
    return [(result.status, result.problem["code"] if result.problem else None) for result in results]


def test_each_item_is_decided_by_itself_and_what_fails_says_why_in_its_place(database: Database) -> None:
    first, second, own = ask(database, "1h", "1d"), ask(database, "1d", by=QUANT), ask(database, "1d", by=OPS)
    results = bulk(
        database,
        (first, "1h", APPROVE),
        (uuid4(), "1h", APPROVE),
        (first, "1mo", APPROVE),
        (own, "1d", APPROVE),
        (second, "1d", {**APPROVE, "ends_at": "2020-01-01"}),
        (first, "1d", REFUSE),
    )
    assert codes(results) == [
        (200, None),
        (404, "request-not-found"),
        (422, "not-in-request"),
        (403, "self-decision"),
        (422, "invalid-input"),
        (200, None),
    ]
    assert [result.item.status for result in results if result.item] == ["approved", "refused"]
    assert results[4].problem is not None
    assert results[4].problem["errors"][0]["pointer"] == "/decisions/4/ends_at"
    with database.transaction() as session:
        desk = Desk(session)
        assert [item.note for item in desk.requests.find(first, OPS).items] == ["Checked.", "Checked."]  # type: ignore[attr-defined]
        assert (desk.requests.find(second, OPS).status, desk.requests.find(own, OPS).status) == ("pending", "pending")
        assert len(desk.audited("access.decided")) == len(desk.told("access.decided")) == 2


def test_a_lost_race_is_already_decided_item_by_item(database: Database) -> None:
    requests = [ask(database, "1d") for _ in range(12)]

    def decide(number: int) -> list[Decided]:
        return bulk(database, *((request, "1d", APPROVE) for request in requests), by=DECIDERS[number])

    answers = at_once(len(DECIDERS), decide)
    results = [result for answer in answers if isinstance(answer, list) for result in answer]
    assert len(results) == len(DECIDERS) * len(requests)
    for request in requests:
        told = sorted(codes([result for result in results if result.request == request]), key=str)
        assert told == [(200, None)] + [(409, "already-decided")] * (len(DECIDERS) - 1)


class Busy:
    """A database that is out of reach that many times."""

    def __init__(self, database: Database, times: int) -> None:
        self._database, self._times, self.tried = database, times, 0

    def transaction(self) -> AbstractContextManager[Session]:
        """A transaction, or trouble."""
        self.tried += 1
        if self.tried <= self._times:
            raise OperationalError("select", {}, Exception("busy"))
        return self._database.transaction()


BUSY, DONE = (503, "temporarily-unavailable"), (200, None)


@pytest.mark.parametrize(
    ("times", "told", "tried"),
    [
        (1, [BUSY, DONE, DONE, DONE], 4),
        (2, [BUSY, BUSY, BUSY, BUSY], 2),  # the rest would wait as long, each for itself
    ],
)
def test_what_the_database_is_too_busy_for_is_said_of_that_item_and_after_two_of_the_rest(
    database: Database, times: int, told: list[tuple[int, str | None]], tried: int
) -> None:
    busy = Busy(database, times)
    items = [(ask(database, "1d"), "1d", APPROVE) for _ in range(4)]
    assert (codes(bulk(busy, *items)), busy.tried) == (told, tried)


@pytest.mark.parametrize(
    "decisions",
    [
        [],
        [{"frequency": "1d", **APPROVE}],
        [{"request": str(uuid4()), "frequency": "1d", "outcome": "refuse"}],
        [{"request": str(uuid4()), "frequency": "1d", **REFUSE, "duration_days": 3}],
        [{"request": str(uuid4()), "frequency": "1d", **APPROVE, "note": "Inside."}],
        [{"request": str(UUID(int=1)), "frequency": "1d", **APPROVE}] * 2,
        [{"request": str(uuid4()), "frequency": "1d", **APPROVE} for _ in range(101)],
    ],
)
def test_a_list_that_makes_no_sense_is_refused_as_a_whole(decisions: list[dict[str, Any]]) -> None:
    with pytest.raises(ValidationError):
        Decisions.model_validate({"decisions": decisions})


def test_a_hundred_items_are_taken() -> None:
    decisions = [{"request": str(uuid4()), "frequency": "1d", **APPROVE} for _ in range(100)]
    assert len(Decisions.model_validate({"decisions": decisions}).decisions) == 100
