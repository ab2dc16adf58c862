"""The catalog and entitlements, asked over their internal APIs."""

import re
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from services.pricing.access.errors import DatasetNotFound, Denied, FrequencyNotOffered, Retired
from services.pricing.access.schemas import Allowed, OfferedDataset, Verdict
from shared.coherence.memory import Memory
from shared.coherence.stamp import name_of
from shared.errors import TemporarilyUnavailable
from shared.upstream import Neighbour

Tell = Callable[[datetime | None], None]
SYMBOL = re.compile(r"[A-Z0-9]{1,12}")


class Access:
    """Asked anew before every answer, but for a yes of entitlements that is remembered and may be trusted."""

    def __init__(self, *, catalog: Neighbour, entitlements: Neighbour, memory: Memory[Allowed], tell: Tell) -> None:
        self._catalog = catalog
        self._entitlements = entitlements
        self._memory = memory
        self._tell = tell

    async def dataset(self, symbol: str) -> OfferedDataset:
        """The dataset as it is offered now; raises DatasetNotFound."""
        if not SYMBOL.fullmatch(symbol):
            raise DatasetNotFound
        answer = await self._catalog.get(f"/internal/datasets/{symbol}")
        if answer.status == 404:
            raise DatasetNotFound
        return OfferedDataset.model_validate_json(answer.body)

    async def require_offered(self, symbol: str, frequency: str) -> None:
        """Raises DatasetNotFound, Retired or FrequencyNotOffered."""
        dataset = await self.dataset(symbol)
        if frequency in dataset.frequencies:
            return
        if frequency in dataset.retired:
            raise Retired(retired_at=dataset.retired[frequency])
        where = [{"in": "query", "pointer": "/frequency", "message": "not offered"}]
        raise FrequencyNotOffered(dataset=symbol, frequencies=dataset.frequencies, errors=where)

    async def require_allowed(self, account: UUID, symbol: str, frequency: str | None = None) -> None:
        """Raises Denied; without a frequency any active grant on the dataset will do.

        Where only a grace keeps the access going, its end is told.
        """
        allowed = await self._allowed(account, symbol, frequency)
        self._tell(allowed.grace_until)

    async def _allowed(self, account: UUID, symbol: str, frequency: str | None) -> Allowed:
        cell = name_of(account, symbol, frequency)
        if (remembered := self._memory.recall(cell)) is not None:
            return remembered
        offered = [] if frequency else (await self.dataset(symbol)).frequencies
        asked = {"account": str(account), "dataset": symbol, "frequency": frequency, "offered": offered}
        query = urlencode({name: value for name, value in asked.items() if value}, doseq=True)
        answer = await self._entitlements.get("/internal/may", query)
        if answer.status != 200:
            raise TemporarilyUnavailable
        verdict = Verdict.model_validate_json(answer.body)
        if verdict.allowed:
            allowed = Allowed(verdict.grace_until)
            self._memory.remember(cell, allowed, until=verdict.until, stamp=verdict.stamp)
            return allowed
        if verdict.refusal is None:  # a no without a reason: nothing may be concluded but that it is no yes
            raise TemporarilyUnavailable
        raise Denied(**verdict.refusal.model_dump())
