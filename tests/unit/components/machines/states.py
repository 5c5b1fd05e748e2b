"""Which states of a machine lead where."""

from collections.abc import Iterator
from typing import Any


def following(state: dict[str, Any]) -> Iterator[str]:
    if "Next" in state:
        yield state["Next"]
    if "Default" in state:
        yield state["Default"]
    for choice in [*state.get("Choices", []), *state.get("Catch", [])]:
        yield choice["Next"]


def reachable(machine: dict[str, Any]) -> set[str]:
    seen: set[str] = set()
    waiting = [machine["StartAt"]]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += following(machine["States"][name])
    return seen
