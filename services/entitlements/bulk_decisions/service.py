"""Decides items of many requests one after the other: what keeps one of them from being decided keeps no other."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from sqlalchemy.orm import Session

from services.entitlements.bulk_decisions.schemas import Decided, Decisions, RequestVerdict
from services.entitlements.decisions.service import DecisionService
from services.entitlements.requests.schemas import OpsItemOut
from services.entitlements.requests.service import RequestService
from shared.clock import Clock
from shared.errors import OUT_OF_REACH, Problem, TemporarilyUnavailable, problem_body
from shared.principal import Principal

PATH = "/v1/decisions"
MOST_LOST = 2  # a second each, for which a lock is waited


class BulkDecisionService:
    """Decisions about items of many requests, each in a transaction of its own."""

    def __init__(
        self,
        transactions: Callable[[], AbstractContextManager[Session]],
        clock: Clock,
        decisions: Callable[[Session, Clock], DecisionService] = DecisionService,
    ) -> None:
        self._transactions = transactions
        self._clock = clock
        self._decisions = decisions

    def decide(self, decisions: Decisions, by: Principal) -> list[Decided]:
        """A result for each outcome, in their order; what keeps one from being given keeps no other.

        But when the database was too busy for two, it is not asked about the rest, each of which would wait as long.
        """
        results: list[Decided] = []
        for number, verdict in enumerate(decisions.decisions):
            lost = [result for result in results if result.status == TemporarilyUnavailable.status]
            if len(lost) < MOST_LOST:
                results.append(self._decide_one(decisions, number, by))
            else:
                results.append(_failed(verdict, TemporarilyUnavailable()))
        return results

    def _decide_one(self, decisions: Decisions, number: int, by: Principal) -> Decided:
        verdict = decisions.decisions[number]
        try:
            with self._transactions() as session:
                item = self._decide_in(session, decisions, number, by)
        except Problem as problem:
            return _failed(verdict, problem)
        except OUT_OF_REACH:
            return _failed(verdict, TemporarilyUnavailable())
        return Decided(request=verdict.request, frequency=verdict.frequency, status=200, item=item, problem=None)

    def _decide_in(self, session: Session, decisions: Decisions, number: int, by: Principal) -> OpsItemOut:
        verdict = decisions.decisions[number]
        deciding = self._decisions(session, self._clock)
        deciding.decide(verdict.request, decisions.of(verdict), by, at=f"/decisions/{number}")
        request = RequestService(session, self._clock).find(verdict.request, by)
        [item] = [item for item in request.items if item.frequency == verdict.frequency]
        return OpsItemOut.model_validate(item)


def _failed(verdict: RequestVerdict, problem: Problem) -> Decided:
    told = problem_body(problem, PATH)
    return Decided(request=verdict.request, frequency=verdict.frequency, status=problem.status, item=None, problem=told)
