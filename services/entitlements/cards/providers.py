"""Puts the cards together."""

from typing import Annotated

from fastapi import Depends

from services.entitlements.cards.service import CardService
from shared.application import Transaction
from shared.clock import DatabaseClock


def _cards(session: Transaction) -> CardService:
    return CardService(session, DatabaseClock())


Cards = Annotated[CardService, Depends(_cards)]
