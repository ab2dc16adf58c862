"""Identifiers: UUID version 7, so that they sort by the time they were made."""

import secrets
import time
from uuid import UUID


def new_id() -> UUID:
    """A fresh UUIDv7 (RFC 9562): 48 bits of milliseconds, then random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | secrets.randbits(80)
    value = value & ~(0xF << 76) | (0x7 << 76)
    return UUID(int=value & ~(0x3 << 62) | (0x2 << 62))
