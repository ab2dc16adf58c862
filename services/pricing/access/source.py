"""The catalog and entitlements, asked over their internal APIs."""

import re
from collections.abc import Callable, Sequence
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

    async def require_allowed(self, account: UUID, symbol: str, frequency: str) -> None:
        """Raises Denied; where only a grace keeps the access going, its end is told."""
        self._tell((await self._allowed(account, symbol, frequency, [])).grace_until)

    async def require_any_allowed(self, account: UUID, dataset: OfferedDataset) -> None:
        """The same, but any active grant on a frequency that is offered now will do."""
        self._tell((await self._allowed(account, dataset.symbol, None, dataset.frequencies)).grace_until)

    async def _allowed(self, account: UUID, symbol: str, frequency: str | None, offered: Sequence[str]) -> Allowed:
        cell, among = name_of(account, symbol, frequency), frozenset(offered)
        remembered = self._memory.recall(cell)
        if remembered is not None and remembered.among <= among:  # else it may be under what is retired since
            return remembered
        asked = {"account": str(account), "dataset": symbol, "frequency": frequency, "offered": offered}
        query = urlencode({name: value for name, value in asked.items() if value}, doseq=True)
        answer = await self._entitlements.get("/internal/may", query)
        if answer.status != 200:
            raise TemporarilyUnavailable
        verdict = Verdict.model_validate_json(answer.body)
        if verdict.allowed:
            allowed = Allowed(among, verdict.grace_until)
            self._memory.remember(cell, allowed, until=verdict.until, stamp=verdict.stamp)
            return allowed
        if verdict.refusal is None:  # a no without a reason: nothing may be concluded but that it is no yes
            raise TemporarilyUnavailable
        raise Denied(**verdict.refusal.model_dump())
