"""How far an erasure reaches: which of a subject's rows it takes, and from which versions.

`Extent` tells the rows. `ErasureLimit` tells the versions, and the records, of an erasure that is repeated:
it takes what was there before or came back, and nothing that is new.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

NEVER: Final = "9999-12-31T23:59:59.999999Z"
"""Stands for `restored_from` where nothing was put back."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_REF_BYTES: Final = 32
_TIME_BYTES: Final = 8
_PACKED: Final = _REF_BYTES + 2 * _TIME_BYTES


@dataclass(frozen=True, slots=True)
class Extent:
    """Which of an erased subject's rows go: those that are by their own time not after `until`, or all.

    `until` is an instant, and None where all of them go. Who keeps every row has no extent.
    """

    until: str | None = None

    @property
    def takes_all(self) -> bool:
        """Whether all of the subject's rows go."""
        return self.until is None

    def widened(self, other: Self | None) -> "Extent":
        """Return the extent that takes what either of the two takes; None takes nothing."""
        if other is None:
            return self
        if self.until is None or other.until is None:
            return ALL_ROWS
        return Extent(max(self.until, other.until))


ALL_ROWS: Final = Extent()


@dataclass(frozen=True, slots=True)
class ErasureLimit:
    """When a subject was erased, and from when on data was put back (or NEVER). Both are instants.

    Data that a restoration puts back: a record keeps the time it had, an object is a copy with a new time.
    """

    erased_at: str
    restored_from: str

    def takes_record(self, updated_at: str) -> bool:
        """Return whether the record is from before the erasure: then it came back."""
        return updated_at <= self.erased_at

    def takes_object(self, uploaded_at: str) -> bool:
        """Return whether the version was there before the erasure, or was put there since the restoration.

        S3 tells whole seconds, rounded down: `restored_from` has to be one.
        """
        return uploaded_at <= self.erased_at or uploaded_at >= self.restored_from

    def widened(self, other: Self | None) -> "ErasureLimit":
        """Return the limit that takes what either of the two takes."""
        if other is None:
            return self
        return ErasureLimit(
            max(self.erased_at, other.erased_at), min(self.restored_from, other.restored_from)
        )


Limits = Mapping[str, ErasureLimit]
"""Limits by subject reference; who has none is erased whatever the time."""


def for_object(erase: Iterable[str], limits: Limits, uploaded_at: str) -> frozenset[str]:
    """Return who of `erase` is to be erased in a version that was uploaded then."""
    return frozenset(ref for ref in erase if ref not in limits or limits[ref].takes_object(uploaded_at))


def pack(limits: Limits) -> bytes:
    """Return the limits in 48 bytes a subject: one object may have thousands, and an item 400 KB."""
    return b"".join(
        bytes.fromhex(ref) + _packed_time(limit.erased_at) + _packed_time(limit.restored_from)
        for ref, limit in sorted(limits.items())
    )


def unpack(packed: bytes) -> dict[str, ErasureLimit]:
    """Return the limits that `pack` packed."""
    found = {}
    for start in range(0, len(packed), _PACKED):
        ref, rest = packed[start : start + _REF_BYTES], packed[start + _REF_BYTES : start + _PACKED]
        found[ref.hex()] = ErasureLimit(_time(rest[:_TIME_BYTES]), _time(rest[_TIME_BYTES:]))
    return found


def _packed_time(instant: str) -> bytes:
    return ((datetime.fromisoformat(instant) - _EPOCH) // _MICROSECOND).to_bytes(_TIME_BYTES)


def _time(packed: bytes) -> str:
    moment = _EPOCH + int.from_bytes(packed) * _MICROSECOND
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
