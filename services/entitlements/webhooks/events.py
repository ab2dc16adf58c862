"""Every type of message that inboxes and webhooks bring, what it carries, and an example of that."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from shared.wire import Output

ID = "0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a11"
OTHER_ID = "0198c5d2-6c11-7d20-8b5e-0d3c1f7a2b44"
AT = "2026-01-31T20:00:00Z"
END = "2027-01-31T20:00:00Z"
CELL = {"dataset": "BTC", "frequency": "1h"}
ASKED = {"request": ID, "dataset": "BTC", "frequencies": ["1h"], "account": OTHER_ID, "account_name": "Research desk"}
TERM: dict[str, Any] = {"starts_at": AT, "ends_at": END, "revokes_at": None}
GRANT = {"id": ID, **CELL, "kind": "standard", **TERM, "reason": "Order 17."}
DECISION = {"frequency": "1h", "outcome": "approved", "reason": None, "reason_code": None, "grant": OTHER_ID}


class CellsTold(Output):
    """Some frequencies of a request."""

    request: UUID
    dataset: str
    frequencies: list[str]


class QuestionAsked(CellsTold):
    """What Ops wants to know."""

    text: str


class AccessLapsed(CellsTold):
    """What nobody decided."""

    lapsed_at: datetime


class AccessAsked(CellsTold):
    """What was asked for, or is not any more, and by whom."""

    account: UUID
    account_name: str


class AccessRequested(AccessAsked):
    """What Ops has to decide."""

    trial: bool


class QuestionAnswered(AccessAsked):
    """What Ops wanted to know."""

    text: str


class ItemDecided(Output):
    """What became of one frequency; `grant` and what follows are null where it was refused."""

    frequency: str
    outcome: Literal["approved", "refused"]
    reason: str | None
    reason_code: str | None
    grant: UUID | None
    supersedes: UUID | None
    starts_at: datetime | None
    ends_at: datetime | None = Field(description="Null for a grant without an end, too.")
    revokes_at: datetime | None = Field(description="When it will be revoked, if that is planned already.")


class AccessDecided(Output):
    """What became of a request, or of some of it."""

    request: UUID
    dataset: str
    decisions: list[ItemDecided]


class GrantTold(Output):
    """A grant."""

    id: UUID
    dataset: str
    frequency: str
    kind: Literal["standard", "trial"]
    starts_at: datetime
    ends_at: datetime | None = Field(description="The end of its term; null for a grant without an end.")
    revokes_at: datetime | None = Field(description="When it will be revoked, if that is planned.")
    reason: str | None


class GrantsStarted(Output):
    """Grants of one dataset by which one may read now."""

    dataset: str
    reason: str | None = Field(default=None, description="Only where they were given without a request.")
    grants: list[GrantTold]


class GrantEnding(GrantTold):
    """A grant that will be over soon."""

    ends_at: datetime = Field(
        description="The first instant without access, as things stand: the end of the term, or the revocation or "
        "retirement that is planned before it. A grace that a renewal has may put off the end of the term."
    )


class GrantEnded(GrantTold):
    """A grant that is over."""

    status: str
    closed_at: datetime


class GrantRevoked(GrantTold):
    """A grant that is or will be revoked."""

    reason_code: str | None
    effective_at: datetime


class FrequencyRetired(Output):
    """What is not offered any more, and the grant that ends with it."""

    dataset: str
    frequency: str
    grant: UUID
    retired_at: datetime


class StandingChanged(Output):
    """Why."""

    reason: str


class AccountBlocked(StandingChanged):
    """Why, and up to when."""

    until: datetime | None = Field(description="Null: until it is unblocked.")


class WebhookAdded(Output):
    """Where all that Ops is told is posted too, and whose it is."""

    webhook: UUID
    url: str
    account: UUID
    account_name: str


class WebhookDisabled(Output):
    """Where nothing is posted any more."""

    webhook: UUID
    url: str
    reason: Literal["gone", "failing", "no-key"]


@dataclass(frozen=True)
class Telling:
    """When it is told, to whom, and what `data` then holds, by example; more members may come."""

    when: str
    carries: type[Output]
    data: dict[str, Any]


TOLD: dict[str, Telling] = {
    "access.requested": Telling("To Ops: somebody asks for access.", AccessRequested, {**ASKED, "trial": False}),
    "access.question": Telling(
        "Ops asks something about a request.",
        QuestionAsked,
        {"request": ID, "dataset": "BTC", "frequencies": ["1h"], "text": "For which product?"},
    ),
    "access.answered": Telling(
        "To Ops: their question was answered.", QuestionAnswered, {**ASKED, "text": "For research."}
    ),
    "access.withdrawn": Telling("To Ops: somebody does not ask any more.", AccessAsked, ASKED),
    "access.decided": Telling(
        "A request was decided, by Ops or by a rule: one message, an outcome for each frequency.",
        AccessDecided,
        {
            "request": ID,
            "dataset": "BTC",
            "decisions": [{**DECISION, "supersedes": None, **TERM}],
        },
    ),
    "access.lapsed": Telling(
        "Nobody decided a request in time.",
        AccessLapsed,
        {"request": ID, "dataset": "BTC", "frequencies": ["1h"], "lapsed_at": AT},
    ),
    "grant.started": Telling(
        "Access begins; `reason` where it was given without a request.",
        GrantsStarted,
        {"dataset": "BTC", "reason": "Order 17.", "grants": [GRANT]},
    ),
    "grant.ending": Telling(
        "Access ends soon, at `ends_at`: told 14, 3 and 1 days before; of less than 30 days in all, 3 and 1 days "
        "before, of less than 3 days 6 hours, of less than one not at all. Where the end is moved, what is still to "
        "come of these is told of the new one.",
        GrantEnding,
        GRANT,
    ),
    "grant.ended": Telling(
        "Access has ended: `status` says how, `closed_at` when.",
        GrantEnded,
        {**GRANT, "status": "ended", "closed_at": END},
    ),
    "grant.revoked": Telling(
        "Ops revoked access, as of `effective_at`.",
        GrantRevoked,
        {**GRANT, "reason": "The licence ended.", "reason_code": None, "effective_at": AT},
    ),
    "grant.kept": Telling("A revocation that was to come was called off.", GrantTold, GRANT),
    "dataset.retired": Telling(
        "A frequency is not offered any more, as of `retired_at`.",
        FrequencyRetired,
        {**CELL, "grant": ID, "retired_at": AT},
    ),
    "account.blocked": Telling(
        "The account may neither read nor ask for now.", AccountBlocked, {"reason": "Unpaid.", "until": END}
    ),
    "account.unblocked": Telling("The account may read and ask again.", StandingChanged, {"reason": "Paid."}),
    "account.closed": Telling(
        "The account was closed, and its webhooks with it.", StandingChanged, {"reason": "The contract ended."}
    ),
    "webhook.added": Telling(
        "To Ops: one of Ops has a new webhook, which hears all that Ops is told.",
        WebhookAdded,
        {"webhook": ID, "url": "https://example.com/tickgate", "account": OTHER_ID, "account_name": "Operations"},
    ),
    "webhook.disabled": Telling(
        "A webhook is told no more: it answered 410, did nothing but fail for five days, or is of Ops without a key.",
        WebhookDisabled,
        {"webhook": ID, "url": "https://example.com/tickgate", "reason": "failing"},
    ),
}
