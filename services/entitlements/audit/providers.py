"""Finds what is asked for: here, or at the neighbour whose trail it is."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Query, Request

from services.entitlements.audit.schemas import AuditQuery, ProofQuery
from services.entitlements.audit.source import OWNERS, TrailSource
from services.entitlements.database import trail
from shared.audit import EventOut, EventsQuery, page
from shared.database import Database
from shared.pagination import cursors_of
from shared.seals import Verdict, verify


def scope_of(query: AuditQuery) -> str:
    """What a cursor of this list is bound to."""
    return f"audit/{query.trail}/{query.actor}/{query.subject}/{query.after}"


async def _found(query: Annotated[AuditQuery, Query()], request: Request) -> Sequence[EventOut]:
    """The page and one event more, if there is one."""
    position = cursors_of(request).load(scope_of(query), query.cursor) if query.cursor else 0
    wanted = EventsQuery(
        actor=query.actor, subject=query.subject, after=query.after, position=position, limit=query.limit + 1
    )
    if query.trail in OWNERS:
        return await TrailSource(request.app.state.neighbours).page(query.trail, wanted)
    return await asyncio.to_thread(_own_page, request.app.state.database, wanted)


async def _verdict(query: Annotated[ProofQuery, Query()], request: Request) -> Verdict:
    if query.trail in OWNERS:
        return await TrailSource(request.app.state.neighbours).verify(query.trail, query.head)
    return await asyncio.to_thread(_own_verdict, request.app.state.database, query.head)


def _own_page(database: Database, query: EventsQuery) -> Sequence[EventOut]:
    with database.transaction() as session:
        return page(session, trail.events, query)


def _own_verdict(database: Database, head: str | None) -> Verdict:
    with database.transaction() as session:
        return verify(session, trail, head)


Found = Annotated[Sequence[EventOut], Depends(_found)]
Verified = Annotated[Verdict, Depends(_verdict)]
