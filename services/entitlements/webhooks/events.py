"""Every type of message that inboxes and webhooks bring, with an example of what it carries."""

from dataclasses import dataclass
from typing import Any

ID = "0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a11"
OTHER_ID = "0198c5d2-6c11-7d20-8b5e-0d3c1f7a2b44"
AT = "2026-01-31T20:00:00Z"
END = "2027-01-31T20:00:00Z"
CELL = {"dataset": "BTC", "frequency": "1h"}
ASKED = {"request": ID, "dataset": "BTC", "frequencies": ["1h"], "account": OTHER_ID, "account_name": "Research desk"}
GRANT = {"id": ID, **CELL, "kind": "standard", "starts_at": AT, "ends_at": END, "reason": "Order 17."}
DECISION = {"frequency": "1h", "outcome": "approved", "reason": None, "reason_code": None, "grant": OTHER_ID}


@dataclass(frozen=True)
class Telling:
    """When it is told, to whom, and what `data` then holds; more members may come."""

    when: str
    data: dict[str, Any]


TOLD: dict[str, Telling] = {
    "access.requested": Telling("To Ops: somebody asks for access.", {**ASKED, "trial": False}),
    "access.question": Telling(
        "Ops asks something about a request.",
        {"request": ID, "dataset": "BTC", "frequencies": ["1h"], "text": "For which product?"},
    ),
    "access.answered": Telling("To Ops: their question was answered.", {**ASKED, "text": "For research."}),
    "access.withdrawn": Telling("To Ops: somebody does not ask any more.", ASKED),
    "access.decided": Telling(
        "A request was decided, by Ops or by a rule: one message, an outcome for each frequency.",
        {
            "request": ID,
            "dataset": "BTC",
            "decisions": [{**DECISION, "supersedes": None, "starts_at": AT, "ends_at": END}],
        },
    ),
    "access.lapsed": Telling(
        "Nobody decided a request in time.",
        {"request": ID, "dataset": "BTC", "frequencies": ["1h"], "lapsed_at": AT},
    ),
    "grant.started": Telling(
        "Access begins; `reason` where it was given without a request.",
        {"dataset": "BTC", "reason": "Order 17.", "grants": [GRANT]},
    ),
    "grant.ending": Telling("Access ends soon.", GRANT),
    "grant.ended": Telling(
        "Access has ended: `status` says how, `closed_at` when.", {**GRANT, "status": "ended", "closed_at": END}
    ),
    "grant.revoked": Telling(
        "Ops revoked access, as of `effective_at`.",
        {**GRANT, "reason": "The licence ended.", "reason_code": None, "effective_at": AT},
    ),
    "grant.kept": Telling("A revocation that was to come was called off.", GRANT),
    "dataset.retired": Telling(
        "A frequency is not offered any more, as of `retired_at`.", {**CELL, "grant": ID, "retired_at": AT}
    ),
    "account.blocked": Telling("The account may not ask for now.", {"reason": "Unpaid.", "until": END}),
    "account.unblocked": Telling("The account may ask again.", {"reason": "Paid."}),
    "account.closed": Telling("The account was closed, and its webhooks with it.", {"reason": "The contract ended."}),
    "webhook.added": Telling(
        "To Ops: one of Ops has a new webhook, which hears all that Ops is told.",
        {"webhook": ID, "url": "https://example.com/tickgate", "account": OTHER_ID, "account_name": "Operations"},
    ),
    "webhook.disabled": Telling(
        "A webhook is told no more: it answered 410, or did nothing but fail for five days.",
        {"webhook": ID, "url": "https://example.com/tickgate", "reason": "failing"},
    ),
}
