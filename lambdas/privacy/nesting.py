"""How deep JSON may be nested: one bound for everything that comes in. Standard library only."""

from typing import Any, Final

MAX_DEPTH: Final = 100
"""Levels of objects and lists, the outermost counted. orjson writes no more than 254, and what cannot be
written cannot be corrected; many readers of JSON stop at 128 or before."""


def depth(value: Any) -> int:  # noqa: ANN401 - any JSON value
    """Return how many levels of objects and lists a JSON value has: none for a text or a number."""
    levels = 0
    level = [value] if isinstance(value, dict | list) else []
    while level:
        levels += 1
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
    return levels
