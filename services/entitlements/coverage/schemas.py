"""Coverage, for our own services."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from services.entitlements.grants.schemas import Frequency, Symbol
from shared.principal import Role
from shared.wire import Input, Output


class Offered(Input):
    """A dataset with the frequencies that can be asked for."""

    dataset: Symbol
    frequencies: list[Frequency]


class CellsQuestion(Input):
    """Whose coverage, in which role, of what."""

    account: UUID
    role: Role
    offered: list[Offered]


class Prediction(Output):
    """What the rules would answer, in the words of a preview."""

    outcome: Literal["approved", "refused", "pending"]
    rule: str | None
    reason: str | None
    reason_code: str | None


class Predictions(Output):
    """The same for the two things that can be asked for, each for its default term."""

    standard: Prediction
    trial: Prediction


class CellOut(Output):
    """How it stands with one cell of an account."""

    dataset: str
    frequency: str
    state: str
    grant: UUID | None
    request: UUID | None
    starts_at: datetime | None
    ends_at: datetime | None
    reason: str | None
    reapply_after: datetime | None
    predictions: Predictions | None
