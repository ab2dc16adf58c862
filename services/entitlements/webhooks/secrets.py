"""Webhooks' secrets: made, kept encrypted, and signed with as Standard Webhooks 1.0 says."""

import base64
import hashlib
import os
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from standardwebhooks import Webhook as Signature

from shared.errors import TemporarilyUnavailable

NONCE = 12


class SecretLost(Exception):
    """A webhook's secret cannot be opened: TICKGATE_WEBHOOK_KEY is not what it was when the secret was made."""


class WebhookSecrets:
    """Seals and opens secrets under a key out of the settings; each is bound to its webhook."""

    def __init__(self, key: str) -> None:
        self._cipher = AESGCM(hashlib.sha256(b"tickgate webhooks\0" + key.encode()).digest()) if key else None

    def mint(self, webhook: UUID) -> tuple[str, bytes]:
        """A new secret: to be shown this once, and to be kept. Raises TemporarilyUnavailable without a key."""
        if self._cipher is None:
            raise TemporarilyUnavailable("Webhooks are not set up here: the operator has to set TICKGATE_WEBHOOK_KEY.")
        secret = f"whsec_{base64.b64encode(os.urandom(32)).decode()}"
        nonce = os.urandom(NONCE)
        return secret, nonce + self._cipher.encrypt(nonce, secret.encode(), webhook.bytes)

    def headers(self, webhook: UUID, sealed: Iterable[bytes], *, id_: UUID, at: datetime, body: str) -> dict[str, str]:
        """What a receiver checks: id and time of the message, and a signature under each of the secrets.

        Raises SecretLost for the first one; of the older ones, those that cannot be opened any more are left out.
        """
        signatures = []
        for number, one in enumerate(sealed):
            try:
                signatures.append(Signature(self._open(webhook, one)).sign(str(id_), at, body))
            except SecretLost:
                if number == 0:
                    raise
        return {
            "webhook-id": str(id_),
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signatures),
        }

    def _open(self, webhook: UUID, sealed: bytes) -> str:
        if self._cipher is None:
            raise SecretLost
        try:
            return self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], webhook.bytes).decode()
        except InvalidTag:
            raise SecretLost from None
