"""What the neighbours answer."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from shared.coherence.stamp import Stamp


class OfferedDataset(BaseModel):
    """A dataset as the catalog tells it: the frequencies offered now, its name at each feed, what was retired when."""

    symbol: str
    frequencies: list[str]
    sources: dict[str, str]
    retired: dict[str, str]


class Refusal(BaseModel):
    """A refusal in the words of entitlements."""

    status: int
    code: str
    detail: str
    members: dict[str, Any] = {}


class Verdict(BaseModel):
    """Whether an account may read; when not, why; when it may, until when, and how new that is."""

    allowed: bool
    until: datetime | None = None
    grace_until: datetime | None = None
    stamp: Stamp | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True)
class Allowed:
    """A yes, among which frequencies that was asked, and up to when, where only a grace keeps it going."""

    among: frozenset[str]
    grace_until: datetime | None = None
