"""Puts the requests' use cases together."""

from typing import Annotated

from fastapi import Depends, Request

from services.entitlements.requests.service import RequestService
from services.entitlements.requests.source import OfferSource
from shared.application import Transaction
from shared.clock import DatabaseClock


def _requests(session: Transaction) -> RequestService:
    return RequestService(session, DatabaseClock())


def _offers(request: Request) -> OfferSource:
    return OfferSource(request.app.state.neighbours["catalog"])


Requests = Annotated[RequestService, Depends(_requests)]
Offers = Annotated[OfferSource, Depends(_offers)]
