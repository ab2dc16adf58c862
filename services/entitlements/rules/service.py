"""What can be done with rules: ask them about items, show them, replace them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from services.entitlements.accounts.policy import standing_of
from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.database import audit_events
from services.entitlements.grants.policy import STANDARD_DAYS, TRIAL_DAYS
from services.entitlements.rules.entities import RuleVersion
from services.entitlements.rules.errors import RulesChanged, RulesVersionNotFound
from services.entitlements.rules.policy import Unreadable, answer, rule_of
from services.entitlements.rules.repository import RuleRepository
from services.entitlements.rules.schemas import Facts, NewRules, RulesOut, Trace, VersionOut
from shared import audit
from shared.clock import Clock
from shared.metrics import FAULTS
from shared.principal import Principal

logger = structlog.get_logger(__name__)
Cell = tuple[str, str]  # dataset, frequency


def log_failure(trace: Trace) -> None:
    """Write down which rules failed, and how, and count it."""
    FAULTS.labels("entitlements", "rules").inc()
    failed = {verdict.rule: verdict.error for verdict in trace.verdicts if verdict.verdict == "error"}
    logger.error("rules failed", version=trace.version, rules=failed)


@dataclass(frozen=True)
class Question:
    """What an account wants, for each of the cells alike; it holds those in `held` already."""

    account: UUID
    role: str
    cells: Sequence[Cell]
    trial: bool = False
    duration_days: int | None = None
    held: frozenset[Cell] = frozenset()


class RuleService:
    """The rules' use cases, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock, on_failure: Callable[[Trace], None] = log_failure) -> None:
        self._session = session
        self._clock = clock
        self._on_failure = on_failure
        self._rules = RuleRepository(session)
        self._accounts = AccountRepository(session)

    def judge(self, question: Question, now: datetime) -> list[Trace]:
        """What the rules answer to each cell; an approval counts for the cells after it.

        Whoever writes the outcomes holds the account's row, so that no other request's approvals come in between.
        """
        answer_to = self._current(question.account)
        traces: list[Trace] = []
        for facts in self._facts(question, now):
            approved = tuple(now for trace in traces if trace.outcome == "approve")
            told = facts.model_copy(update={"approvals": approved + facts.approvals})
            traces.append(answer_to(told))
        for trace in traces:
            if trace.outcome == "error":
                self._on_failure(trace)
        return traces

    def predict(
        self, account: UUID, cells: Iterable[Cell], *, role: str = "quant", trial: bool = False
    ) -> dict[Cell, Trace]:
        """What the rules would answer to each of the cells if it alone were asked for now, for the default term.

        Four queries, however many cells. Whether a cell is held or pending already is not looked at.
        """
        question = Question(account, role, list(cells), trial=trial)
        answer_to = self._current(account)
        facts = self._facts(question, self._clock.now(self._session))
        return {(f.dataset, f.frequency): answer_to(f) for f in facts}

    def find(self, version: int | None) -> RulesOut:
        """A version of the rules, the current one unless said; raises RulesVersionNotFound."""
        found = self._rules.find(version)
        if found is None:
            raise RulesVersionNotFound
        history = self._rules.history()
        authors = self._accounts.find_all(v.author for v in (found, *history) if v.author)
        names = {id_: account.name for id_, account in authors.items()}
        told = [_describe(v, names) for v in history]
        read = [(stored, rule_of(stored)) for stored in found.rules]
        return RulesOut(
            **_describe(found, names).model_dump(),
            rules=[rule for _, rule in read if not isinstance(rule, Unreadable)],
            unreadable=[stored for stored, rule in read if isinstance(rule, Unreadable)],
            history=told,
        )

    def replace(self, new: NewRules, by: Principal) -> RulesOut:
        """Put rules in the place of those that `new` names; raises RulesChanged. What is pending stays pending."""
        self._accounts.meet(by.account_id, name=by.name, role=by.role)
        current = self._rules.find()
        version = RuleVersion(
            version=new.replaces + 1,
            author=by.account,
            note=new.note,
            rules=[rule.model_dump(mode="json", exclude_none=True) for rule in new.rules],
            created_at=self._clock.now(self._session),
        )
        if (current.version if current else 0) != new.replaces or not self._rules.add(version):
            latest = self._rules.find()
            raise RulesChanged(version=latest.version if latest else 0)
        data = {"version": version.version, "replaces": new.replaces}
        audit.record(self._session, audit_events, actor=by, action="rules.replaced", subject="rules", data=data)
        return self.find(version.version)

    def _current(self, asker: UUID) -> Callable[[Facts], Trace]:
        """What the rules of now answer about an item of this account, whose own they may be."""
        found = self._rules.find()
        if found is None:
            return partial(answer, [], version=0)
        rules = [rule_of(stored, number) for number, stored in enumerate(found.rules)]
        return partial(answer, rules, version=found.version, own=found.author == asker)

    def _facts(self, question: Question, now: datetime) -> list[Facts]:
        standing = standing_of(self._accounts.find(question.account), now)
        trials = self._rules.trials(question.account)
        approvals = self._rules.approvals(question.account, now)
        return [
            Facts.model_validate(
                {
                    "dataset": cell[0],
                    "frequency": cell[1],
                    "trial": question.trial,
                    "duration_days": question.duration_days or (TRIAL_DAYS if question.trial else STANDARD_DAYS),
                    "role": question.role,
                    "standing": standing,
                    "trial_used": cell in trials,
                    "renewal": cell in question.held,
                    "asked_at": now,
                    "approvals": approvals,
                }
            )
            for cell in question.cells
        ]


def _describe(version: RuleVersion, names: dict[UUID, str]) -> VersionOut:
    name = names.get(version.author) if version.author else None
    return VersionOut.model_validate({**version.model_dump(exclude={"rules"}), "author_name": name})
