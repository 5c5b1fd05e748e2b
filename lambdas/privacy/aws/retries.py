"""How often a write that others get in the way of is made again, and how long to wait before."""

import random
import time
from typing import Final

ATTEMPTS: Final = 6
"""How often a write is tried before the caller is told that others keep getting in the way."""

_LONGEST_SECONDS: Final = 5.0


def pause(attempt: int, *, first_seconds: float = 0.025) -> None:
    """Wait for a random time, so that rivals do not meet again (full jitter).

    At attempt 0 at most `first_seconds`, at each further one at most twice as long, never over five seconds.
    """
    longest = min(_LONGEST_SECONDS, first_seconds * 2**attempt)
    time.sleep(random.uniform(0, longest))  # noqa: S311 - spreads retries, guards nothing
