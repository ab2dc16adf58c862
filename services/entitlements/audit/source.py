"""The trails of our neighbours, asked over their internal API."""

from collections.abc import Mapping
from urllib.parse import urlencode

from pydantic import TypeAdapter

from shared.audit import EventOut, EventsQuery
from shared.seals import Verdict
from shared.upstream import Neighbour

PATH = "/internal/audit-events"
EVENTS = TypeAdapter(list[EventOut])
OWNERS = {"catalog": "catalog", "gateway": "keys"}


class TrailSource:
    """The trails that others keep."""

    def __init__(self, neighbours: Mapping[str, Neighbour]) -> None:
        self._neighbours = neighbours

    async def page(self, trail: str, query: EventsQuery) -> list[EventOut]:
        """Events that match, oldest first."""
        asked = urlencode(query.model_dump(mode="json", exclude_none=True))
        answer = await self._neighbours[OWNERS[trail]].get(PATH, asked)
        return EVENTS.validate_json(answer.body)

    async def verify(self, trail: str, head: str | None) -> Verdict:
        """Whether it is as it was written, and this head is met."""
        asked = urlencode({} if head is None else {"head": head})
        answer = await self._neighbours[OWNERS[trail]].get(f"{PATH}/verify", asked)
        return Verdict.model_validate_json(answer.body)
