"""What is wrong with a stack's config, said so that it can be put right without reading code."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pydantic import ValidationError
from pydantic_core import ErrorDetails

Keys = Mapping[tuple[str, ...], Sequence[str]]
"""Valid keys by place; a place is the path without positions in lists."""

_PRIVATE_KEYS: Final = frozenset({"contact"})
"""Values that may name a person: said to be wrong, but not repeated."""

_LONGEST_VALUE: Final = 60


@dataclass(frozen=True)
class Problem:
    """One mistake: where, what stands there (None where there is nothing to show), and the fix."""

    path: str
    value: str | None
    fix: str

    def __str__(self) -> str:
        shown = "" if self.value is None else f" is {self.value}"
        return f"{self.path}{shown}: {self.fix}"


class SettingsError(pulumi.RunError):
    """The config cannot be used; the message lists every problem. Pulumi prints it without a traceback."""

    def __init__(self, stack: str, problems: Iterable[Problem]) -> None:
        unique = sorted(set(problems), key=lambda problem: (problem.path, problem.fix))
        self.problems = tuple(unique)
        count = "1 problem" if len(unique) == 1 else f"{len(unique)} problems"
        lines = "\n".join(f"  - {problem}" for problem in unique)
        super().__init__(f"Pulumi.{stack}.yaml has {count}:\n{lines}")


def shown(value: Any) -> str:  # noqa: ANN401 -- whatever the file holds
    """Return a value as it may be printed: short, and never a whole structure."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def path_of(place: Iterable[str | int]) -> str:
    """Return a path as people write it: `customers[1].contract.ends`."""
    path = ""
    for step in place:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step.removeprefix("gdpr:")
    return path


def from_pydantic(error: ValidationError, keys: Keys) -> list[Problem]:
    """Turn pydantic's findings into problems with a fix each."""
    details = error.errors()
    places = [detail["loc"] for detail in details]
    # Entries that are wrong do not count, so pydantic then also finds the list too short.
    return [
        _problem(detail, keys)
        for detail in details
        if detail["type"] != "too_short" or not any(_is_below(place, detail["loc"]) for place in places)
    ]


def _is_below(place: tuple[str | int, ...], above: tuple[str | int, ...]) -> bool:
    return len(place) > len(above) and place[: len(above)] == above


_UNKNOWN_KEY: Final = frozenset({"unexpected_keyword_argument", "extra_forbidden"})
_MISSING: Final = frozenset({"missing", "missing_argument"})

_FIXES: Final[Mapping[str, str]] = {
    **dict.fromkeys(_MISSING, "missing; add it"),
    "literal_error": "use one of {choices}",
    "value_error": "{error}",
    "string_type": "give a text (put it in quotes)",
    "bool_type": "give true or false, without quotes",
    "int_type": "give a whole number, without quotes",
    "greater_than_equal": "give a number from {ge}",
    "less_than_equal": "give a number up to {le}",
    "too_short": "give at least one entry",
    **dict.fromkeys(("string_too_short", "string_too_long"), "give between 1 and 200 characters"),
    **dict.fromkeys(("tuple_type", "list_type"), "give a list"),
    **dict.fromkeys(("dict_type", "dataclass_type"), "give a mapping"),
}
"""What to do about each kind of pydantic's errors, with places for what pydantic says of the one at hand."""


def _problem(detail: ErrorDetails, keys: Keys) -> Problem:
    """Return an error of pydantic's as a problem; its own words are the fix where the table has none."""
    kind = detail["type"]
    place = [step for step in detail["loc"] if step != "[key]"]
    path, last = path_of(place), str(place[-1]) if place else ""
    if kind in _UNKNOWN_KEY:
        valid = keys.get(tuple(step for step in place[:-1] if isinstance(step, str)), ())
        return Problem(path, None, _unknown_key(last.removeprefix("gdpr:"), valid))
    value = None if kind in _MISSING or last in _PRIVATE_KEYS else shown(detail["input"])
    context: Mapping[str, Any] = detail.get("ctx", {})
    choices = str(context.get("expected", "")).replace(" or ", ", ")
    fix = _FIXES[kind].format(**context, choices=choices) if kind in _FIXES else detail["msg"]
    return Problem(path, value, fix)


def _unknown_key(key: str, valid: Sequence[str]) -> str:
    names = [name.removeprefix("gdpr:") for name in valid]
    near = difflib.get_close_matches(key, names, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"unknown key; {hint}valid keys are {', '.join(names)}"
