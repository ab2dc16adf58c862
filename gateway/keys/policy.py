"""What a key looks like, and whether it is usable: pure decisions, without a database."""

import re
import zlib
from dataclasses import dataclass, field
from datetime import datetime

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID_LENGTH = 10
SECRET_LENGTH = 43
CRC_LENGTH = 6
SHAPE = re.compile(r"(tg_live_([0-9A-Za-z]{10})_([0-9A-Za-z]{43}))_([0-9A-Za-z]{6})")


@dataclass(frozen=True)
class KeyParts:
    """A key that was typed without a mistake; the secret is kept out of anything that prints it."""

    id: str
    secret: str = field(repr=False)


def base62(number: int, length: int) -> str:
    """The number in base 62, padded to `length` characters."""
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = ALPHABET[digit] + digits
    return digits.rjust(length, ALPHABET[0])


def render(parts: KeyParts) -> str:
    """The key as its owner sees it, once: `tg_live_<id>_<secret>_<checksum>`."""
    body = f"tg_live_{parts.id}_{parts.secret}"
    return f"{body}_{_checksum(body)}"


def parse(key: str) -> KeyParts | None:
    """The parts of a key, or nothing when its shape or its checksum is wrong: no database is asked about those."""
    match = SHAPE.fullmatch(key)
    if match is None or _checksum(match[1]) != match[4]:
        return None
    return KeyParts(id=match[2], secret=match[3])


def is_usable(*, expires_at: datetime | None, revoked_at: datetime | None, now: datetime) -> bool:
    """Whether a key opens anything at this instant; at the very instant of its expiry it does not."""
    return revoked_at is None and (expires_at is None or now < expires_at)


def _checksum(body: str) -> str:
    return base62(zlib.crc32(body.encode()), CRC_LENGTH)
