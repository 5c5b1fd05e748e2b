"""Identifiers that sort by the time they were made (UUID version 7, RFC 9562 section 5.7)."""

import os
import uuid
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_ENTROPY_BYTES = 8


def uuid7(at: datetime | None = None, entropy: bytes | None = None) -> str:
    """Return a UUIDv7 for the moment `at` (timezone-aware; now when absent) as lower-case text.

    The 12 bits after the version hold the fraction of the millisecond (RFC 9562 section 6.2, method 3),
    so that two requests of the same millisecond still sort in the order they arrived. `entropy` (at least
    8 bytes) replaces the random part and makes the identifier a pure function of its arguments.

    Raises ValueError where `at` has no timezone or `entropy` is too short.
    """
    moment = datetime.now(UTC) if at is None else at
    if moment.tzinfo is None:
        raise ValueError("uuid7 needs a timezone-aware time")
    randomness = os.urandom(_ENTROPY_BYTES) if entropy is None else entropy
    if len(randomness) < _ENTROPY_BYTES:
        raise ValueError(f"uuid7 needs at least {_ENTROPY_BYTES} bytes of entropy")
    # In integers: a float of seconds rounds the last microsecond of one up to the next second.
    milliseconds, remainder = divmod((moment - _EPOCH) // _MICROSECOND, 1_000)
    fraction = remainder * 4096 // 1_000
    tail = int.from_bytes(randomness[:_ENTROPY_BYTES], "big") & ((1 << 62) - 1)
    value = (milliseconds << 80) | (0x7 << 76) | (fraction << 64) | (0b10 << 62) | tail
    return str(uuid.UUID(int=value))


def moment_of(identifier: str) -> datetime:
    """Return the moment (UTC, exact to the microsecond) for which `uuid7` made an identifier.

    Raises ValueError for a text that is no UUID.
    """
    value = uuid.UUID(identifier).int
    # The fraction was rounded down to a 4096th of a millisecond, which is less than a microsecond.
    microseconds = -(-((value >> 64) & 0xFFF) * 1_000 // 4096)
    return _EPOCH + timedelta(milliseconds=value >> 80, microseconds=microseconds)
