"""What an account is told of its requests."""

from typing import Any

from services.entitlements.grants.entities import Grant
from shared.wire import instant_text


def outcome_of(
    frequency: str, outcome: str, grant: Grant | None, *, reason: str | None, reason_code: str | None
) -> dict[str, Any]:
    """What became of one item, whoever decided it."""
    return {
        "frequency": frequency,
        "outcome": outcome,
        "reason": reason,
        "reason_code": reason_code,
        "grant": str(grant.id) if grant else None,
        "supersedes": str(grant.supersedes) if grant and grant.supersedes else None,
        "starts_at": instant_text(grant.starts_at) if grant else None,
        "ends_at": instant_text(grant.ends_at) if grant else None,
        "revokes_at": instant_text(grant.revokes_at) if grant else None,
    }
