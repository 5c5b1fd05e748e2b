"""How much is remembered of identifiers that were met: rows of one person often stand together.

Only short identifiers, and only so many, so that a file of any content takes a bounded amount of memory.
"""

from typing import Any, Final, TypeVar

MOST: Final = 65_536
"""Identifiers that are remembered at a time."""

SHORT: Final = 256
"""Characters, or bytes, of the longest identifier that is remembered."""

_Known = TypeVar("_Known")


def remember(known: dict[Any, _Known], identifier: str | bytes, value: _Known) -> None:
    """Add to `known` what a short identifier stands for. Where `known` is full, all of it is forgotten."""
    if len(identifier) <= SHORT:
        if len(known) >= MOST:
            known.clear()
        known[identifier] = value
