"""Asks a draft of rules about past items."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.requests.entities import RequestItem
from services.entitlements.rules.policy import answer
from services.entitlements.rules.schemas import Trace
from services.entitlements.simulations.repository import PastRepository
from services.entitlements.simulations.schemas import Change, Contradiction, Simulation, SimulationOut, Tally
from shared.principal import Principal

OPPOSITE = {("approved", "refuse"), ("refused", "approve")}
Answer = tuple[RequestItem, Trace, Trace]  # an item, what was answered then, what the draft answers


class SimulationService:
    """Simulations, in the caller's transaction; they only read."""

    def __init__(self, session: Session) -> None:
        self._past = PastRepository(session)
        self._accounts = AccountRepository(session)

    def simulate(self, wanted: Simulation, by: Principal) -> SimulationOut:
        """What this author's draft would have answered, and where Ops, or the rules of the time, said otherwise."""
        found = self._past.items(since=wanted.since, until=wanted.until, limit=wanted.limit + 1)
        answers = [_answer(wanted, item, by) for item in found[: wanted.limit]]
        names = {id_: a.name for id_, a in self._accounts.find_all(item.account for item, _, _ in answers).items()}
        return SimulationOut(
            items=len(answers),
            more=len(found) > wanted.limit,
            answered=_tally([then for _, then, _ in answers]),
            draft=_tally([draft for _, _, draft in answers]),
            contradicted=[_contradiction(answer, names) for answer in answers if _contradicts(answer)],
            changed=[_change(answer, names) for answer in answers if answer[1].outcome != answer[2].outcome],
        )


def _answer(wanted: Simulation, item: RequestItem, by: Principal) -> Answer:
    then = Trace.model_validate(item.trace)
    return item, then, answer(wanted.rules, then.inputs, version=0, own=item.account == by.account)


def _tally(traces: Sequence[Trace]) -> Tally:
    return Tally.model_validate(Counter(trace.outcome for trace in traces))


def _contradicts(answer: Answer) -> bool:
    item, _, draft = answer
    return item.outcome_by == "ops" and (item.status, draft.outcome) in OPPOSITE


def _contradiction(answer: Answer, names: dict[UUID, str]) -> Contradiction:
    item, _, draft = answer
    decided = {"decided": item.status, "decided_by": item.decided_by, "decided_at": item.decided_at}
    return Contradiction.model_validate({**_ref(item, draft, names), **decided})


def _change(answer: Answer, names: dict[UUID, str]) -> Change:
    item, then, draft = answer
    return Change.model_validate({**_ref(item, draft, names), "answered": then.outcome})


def _ref(item: RequestItem, draft: Trace, names: dict[UUID, str]) -> dict[str, Any]:
    cell = item.model_dump(include={"account", "dataset", "frequency"})
    said = {"draft": draft.outcome, "rule": draft.rule}
    return {**cell, **said, "request": item.request_id, "account_name": names.get(item.account)}
