"""Tells all of an account's cells at once, by the policy that answers each read."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from services.entitlements.access.policy import Access, access_of, blocked_of
from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.coverage.schemas import CellOut, CellsQuestion, Prediction, Predictions
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.policy import OPEN
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.intake.policy import STATUS
from services.entitlements.requests.entities import RequestItem
from services.entitlements.requests.repository import RequestRepository
from services.entitlements.rules.schemas import Trace
from services.entitlements.rules.service import Cell, RuleService
from shared.clock import Clock


class CoverageService:
    """Reads in the caller's transaction, which is of one snapshot, else what is decided meanwhile is seen by halves; as
    many statements for all cells as for one."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._accounts = AccountRepository(session)
        self._grants = GrantRepository(session)
        self._requests = RequestRepository(session)
        self._rules = RuleService(session, clock)

    def cells(self, question: CellsQuestion) -> list[CellOut]:
        """Each of the cells as `AccessService.may` would find it at this instant; where it is not held, with what the
        rules would answer to asking for it alone."""
        wanted = [(offer.dataset, frequency) for offer in question.offered for frequency in offer.frequencies]
        standing = self._standing(question.account, wanted)
        lacking = [cell for cell, access in standing.items() if access.state not in OPEN]
        standard, trial = (
            self._rules.predict(question.account, lacking, role=question.role, trial=trial) for trial in (False, True)
        )
        return [
            _cell(cell, access, _predictions(standard[cell], trial[cell]) if cell in standard else None)
            for cell, access in standing.items()
        ]

    def _standing(self, account: UUID, wanted: Sequence[Cell]) -> Mapping[Cell, Access]:
        grants: dict[Cell, list[Grant]] = {cell: [] for cell in wanted}
        items: dict[Cell, list[RequestItem]] = {cell: [] for cell in wanted}
        for item in self._requests.latest_of(account):
            items.setdefault((item.dataset, item.frequency), []).append(item)
        for grant in self._grants.latest_of(account):
            grants.setdefault((grant.dataset, grant.frequency), []).append(grant)
        known, now = self._accounts.find(account), self._clock.now(self._session)
        return {cell: blocked_of(known, now) or access_of(grants[cell], items[cell], now) for cell in wanted}


def _cell(cell: Cell, access: Access, predictions: Predictions | None) -> CellOut:
    ends_at: datetime | None = access.until if access.state in OPEN else access.ended_at
    told = {"dataset": cell[0], "frequency": cell[1], "ends_at": ends_at, "predictions": predictions}
    return CellOut.model_validate({**asdict(access), **told})


def _predictions(standard: Trace, trial: Trace) -> Predictions:
    return Predictions(standard=_prediction(standard), trial=_prediction(trial))


def _prediction(trace: Trace) -> Prediction:
    said = trace.model_dump(include={"rule", "reason", "reason_code"})
    return Prediction(outcome=STATUS[trace.outcome], **said)
