"""Makes keys and compares their secrets: an HMAC under one of the server's peppers, each a passlib handler.

The secret has 256 random bits, so a slow hash would protect nothing and be a free denial of service.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Self

from passlib.context import CryptContext
from passlib.utils import handlers as uh

from gateway.keys.policy import ID_LENGTH, SECRET_LENGTH, KeyParts, base62, render
from gateway.settings import PepperSettings


class PepperedDigest(uh.GenericHandler):  # type: ignore[misc]  # passlib has no types
    """`$tg-hmac$<pepper's version>$<64 hex digits>`: HMAC-SHA256 of the secret; `peppered` makes one per pepper."""

    setting_kwds = ()
    checksum_size = 64
    checksum_chars = uh.LOWER_HEX_CHARS
    pepper: ClassVar[bytes]

    @classmethod
    def from_string(cls, hash: str, **_context: Any) -> Self:  # noqa: A002 - passlib names it so
        """The handler of a stored digest; raises ValueError when it is none under this pepper."""
        head, _, checksum = hash.partition(cls.ident)
        if head or not checksum:
            raise uh.exc.InvalidHashError(cls)
        return cls(checksum=checksum)

    def to_string(self) -> str:
        """The digest as it is stored."""
        return f"{self.ident}{self.checksum}"

    def _calc_checksum(self, secret: str | bytes) -> str:
        text = secret.encode() if isinstance(secret, str) else secret
        return hmac.digest(self.pepper, text, hashlib.sha256).hex()


def peppered(version: int, pepper: str) -> type[PepperedDigest]:
    """The passlib handler of the digests under one pepper."""
    own = {"name": scheme(version), "ident": f"$tg-hmac${version}$", "pepper": pepper.encode()}
    return type("TickgateDigest", (PepperedDigest,), own)


def scheme(version: int) -> str:
    """What passlib calls the digests under the pepper of that version."""
    return f"tg_hmac_{version}"


@dataclass(frozen=True)
class Minted:
    """A new key: what its owner is shown, and what is stored."""

    id: str
    digest: str
    text: str = field(repr=False)


@dataclass(frozen=True)
class Verdict:
    """Whether a secret belongs to a digest, and the digest to store instead if that one is under an older pepper."""

    is_right: bool
    renewed: str | None = field(default=None, repr=False)


WRONG = Verdict(is_right=False)


class KeySecrets:
    """The secrets of keys under the present pepper; digests under `others`, by version, count as well.

    Those of a lower version are renewed when they are used. `random` gives that many random bits.
    """

    def __init__(
        self,
        pepper: str,
        *,
        version: int = 1,
        others: Mapping[int, str] = MappingProxyType({}),
        random: Callable[[int], int] = secrets.randbits,
    ) -> None:
        handlers = [peppered(version, pepper), *(peppered(number, other) for number, other in others.items())]
        older = [scheme(number) for number in others if number < version]
        self._context = CryptContext(schemes=handlers, deprecated=older)
        self._random = random
        self._nobody = self._context.hash("")

    @classmethod
    def under(cls, settings: PepperSettings) -> Self:
        """The secrets under the peppers that a process was told."""
        return cls(settings.key_pepper, version=settings.key_pepper_version, others=settings.key_peppers_old)

    def mint(self) -> Minted:
        """A new key with a fresh id and a secret of 256 random bits."""
        key_id = base62(self._random(59), ID_LENGTH)
        secret = base62(self._random(256), SECRET_LENGTH)
        text = render(KeyParts(id=key_id, secret=secret))
        return Minted(id=key_id, digest=self._context.hash(secret), text=text)

    def verify(self, secret: str, digest: str | None) -> Verdict:
        """Whether the secret belongs to the digest.

        Without a digest, or with one that no known pepper made, the same work is done, for nothing.
        """
        known = digest is not None and self._context.identify(digest) is not None
        try:
            right, renewed = self._context.verify_and_update(secret, digest if known else self._nobody)
        except ValueError:  # passlib's word for a digest that is none
            return WRONG
        return Verdict(is_right=True, renewed=renewed) if right and known else WRONG
