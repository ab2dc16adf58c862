"""Puts the use cases of accounts and keys together."""

from typing import Annotated

from fastapi import Depends, Request

from gateway.keys.secrets import KeySecrets
from gateway.keys.service import KeyService
from gateway.settings import KeysSettings
from shared.application import Transaction
from shared.clock import DatabaseClock


def _keys(session: Transaction, request: Request) -> KeyService:
    settings: KeysSettings = request.app.state.settings
    return KeyService(session, DatabaseClock(), KeySecrets.under(settings))


Keys = Annotated[KeyService, Depends(_keys)]
