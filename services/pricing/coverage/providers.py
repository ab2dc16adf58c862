"""Asks the neighbours before a connection is taken, then reads what is stored."""

from typing import Annotated

from fastapi import Depends, Request

from services.pricing.coverage.repository import CoverageRepository
from services.pricing.coverage.schemas import Standing
from services.pricing.coverage.source import CoverageSource
from shared.application import Transaction


async def _known(request: Request) -> list[Standing]:
    neighbours = request.app.state.neighbours
    source = CoverageSource(catalog=neighbours["catalog"], entitlements=neighbours["entitlements"])
    return await source.standings(request.scope["principal"], await source.offered())


def _stored(session: Transaction) -> CoverageRepository:
    return CoverageRepository(session)


KnownElsewhere = Annotated[list[Standing], Depends(_known)]
Stored = Annotated[CoverageRepository, Depends(_stored)]
