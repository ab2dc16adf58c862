"""Asks the neighbours before a connection is taken, then reads what is stored."""

import asyncio
from typing import Annotated

from fastapi import Depends, Request

from services.pricing.access.providers import account_of
from services.pricing.access.schemas import OfferedDataset
from services.pricing.coverage.repository import CoverageRepository
from services.pricing.coverage.schemas import Standing
from services.pricing.coverage.source import CoverageSource
from shared.application import Transaction

Known = tuple[list[OfferedDataset], list[Standing]]


async def _known(request: Request) -> Known:
    neighbours = request.app.state.neighbours
    source = CoverageSource(catalog=neighbours["catalog"], entitlements=neighbours["entitlements"])
    return await asyncio.gather(source.offered(), source.standings(account_of(request)))


def _stored(session: Transaction) -> CoverageRepository:
    return CoverageRepository(session)


KnownElsewhere = Annotated[Known, Depends(_known)]
Stored = Annotated[CoverageRepository, Depends(_stored)]
