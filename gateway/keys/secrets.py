"""Makes keys and compares their secrets: an HMAC under the server's pepper, as a passlib handler.

The secret has 256 random bits, so a slow hash would protect nothing and be a free denial of service.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from passlib.context import CryptContext
from passlib.utils import handlers as uh

from gateway.keys.policy import ID_LENGTH, SECRET_LENGTH, KeyParts, base62, render

VERSION = "1"


class PepperedDigest(uh.GenericHandler):  # type: ignore[misc]  # passlib has no types
    """`$tg-hmac$<pepper's version>$<64 hex digits>`: HMAC-SHA256 of the secret under that pepper."""

    name = "tg_hmac"
    ident = "$tg-hmac$"
    setting_kwds = ("version",)
    checksum_size = 64
    checksum_chars = uh.LOWER_HEX_CHARS
    peppers: ClassVar[dict[str, bytes]] = {}

    def __init__(self, version: str = VERSION, **settings: Any) -> None:
        super().__init__(**settings)
        if version not in self.peppers:
            raise uh.exc.InvalidHashError(type(self))
        self.version = version

    @classmethod
    def from_string(cls, hash: str, **_context: Any) -> Self:  # noqa: A002 - passlib names it so
        """The handler of a stored digest; raises ValueError when it is none."""
        head, _, rest = hash.partition(cls.ident)
        version, _, checksum = rest.partition("$")
        if head or not checksum:
            raise uh.exc.InvalidHashError(cls)
        return cls(version=version, checksum=checksum)

    def to_string(self) -> str:
        """The digest as it is stored."""
        return f"{self.ident}{self.version}${self.checksum}"

    def _calc_checksum(self, secret: str | bytes) -> str:
        text = secret.encode() if isinstance(secret, str) else secret
        return hmac.digest(self.peppers[self.version], text, hashlib.sha256).hex()


@dataclass(frozen=True)
class Minted:
    """A new key: what its owner is shown, and what is stored."""

    id: str
    digest: str
    text: str = field(repr=False)


class KeySecrets:
    """The secrets of keys under one pepper; `random` gives that many random bits."""

    def __init__(self, pepper: str, *, random: Callable[[int], int] = secrets.randbits) -> None:
        handler = type("TickgateDigest", (PepperedDigest,), {"peppers": {VERSION: pepper.encode()}})
        self._context = CryptContext(schemes=[handler])
        self._random = random
        self._nobody = self._context.hash("")

    def mint(self) -> Minted:
        """A new key with a fresh id and a secret of 256 random bits."""
        key_id = base62(self._random(59), ID_LENGTH)
        secret = base62(self._random(256), SECRET_LENGTH)
        text = render(KeyParts(id=key_id, secret=secret))
        return Minted(id=key_id, digest=self._context.hash(secret), text=text)

    def matches(self, secret: str, digest: str | None) -> bool:
        """Whether the secret belongs to the digest; without one the same work is done, for nothing."""
        same: bool = self._context.verify(secret, digest or self._nobody)
        return same and digest is not None
