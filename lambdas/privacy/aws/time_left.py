"""The time that a call of a function has left, and how much of it is kept back."""

from typing import Final, Protocol

RESERVE_MILLISECONDS: Final = 60_000
"""With less time left a call begins nothing more, and leaves the rest to the next call."""


class Context(Protocol):
    """What is used of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the call."""
