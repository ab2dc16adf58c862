"""What a key looks like, and whether it is usable: pure decisions, without a database."""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID_LENGTH = 10
SECRET_LENGTH = 43
CRC_LENGTH = 6
PATTERN = "tg_live_[0-9A-Za-z]{10}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}"  # what leak scanners look for
SHAPE = re.compile(r"(tg_live_([0-9A-Za-z]{10})_([0-9A-Za-z]{43}))_([0-9A-Za-z]{6})")
RESERVE = timedelta(days=1)


@dataclass(frozen=True)
class KeyParts:
    """A key that was typed without a mistake; the secret is kept out of anything that prints it."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Found:
    """What looks like a key in a text: where it begins, its id, and whether its checksum is right."""

    column: int
    id: str
    is_right: bool


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


def find_keys(line: str) -> Iterator[Found]:
    """Everything of our shape in a line; what has the right checksum is a key of ours, or was."""
    for match in SHAPE.finditer(line):
        yield Found(column=match.start() + 1, id=match[2], is_right=_checksum(match[1]) == match[4])


def end_of_overlap(*, now: datetime, overlap: timedelta, expires_at: datetime | None) -> datetime:
    """When a rotated key ends: after the overlap, or when it would have ended anyway if that is sooner."""
    end = now + overlap
    return end if expires_at is None else min(end, expires_at)


def must_outlast(*, now: datetime, expires_at: datetime | None) -> datetime:
    """How long another admin key has to last for this one to go: a day, or as long as this one would."""
    reserve = now + RESERVE
    return reserve if expires_at is None else min(reserve, expires_at)


def _checksum(body: str) -> str:
    return base62(zlib.crc32(body.encode()), CRC_LENGTH)
