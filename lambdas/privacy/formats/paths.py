"""Field paths that may lead through lists: the values at one, and whose the row with these values is."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from privacy.customers.addresses import may_be_address
from privacy.customers.numbers import shortest
from privacy.customers.references import MAX_IDENTIFIER, is_too_long
from privacy.formats.blocks import Subject, Unreadable

EACH: Final = "[]"
"""The step of a path that stands for every element of a list."""

TOO_LONG: Final = f"subject field is longer than {MAX_IDENTIFIER} characters"

NO_ADDRESS: Final = "subject is no e-mail address"
"""Why a row is unreadable in whose field of addresses something else stands. Whom it names, it names."""

Path = tuple[str, ...]
"""A field path, split: `recipients[].email` is ("recipients", "[]", "email")."""

NOT_A_NUMBER: Final = "NaN"
"""How programs write a missing number: it identifies nobody."""


class Number(str):
    """A number exactly as the row spells it: no digit of it is lost when the row is written back."""

    __slots__ = ()


class Members(list[tuple[str, Any]]):
    """A JSON object with every member that its text has, also those of one name."""

    __slots__ = ()


def path_of(dotted: str) -> Path:
    """Return a dotted field path as its steps."""
    steps: list[str] = []
    for name in dotted.split("."):
        steps += [name.removesuffix(EACH), EACH] if name.endswith(EACH) else [name]
    return tuple(steps)


def values_at(document: Any, path: Path, faults: set[str]) -> Iterator[Any]:  # noqa: ANN401 - any JSON value
    """Yield every value at the path; add to `faults`, in words, what on the way is of another kind.

    A missing or null parent has no values below it.
    """
    if not path:
        yield document
        return
    step, rest = path[0], path[1:]
    if document is None:
        return
    found: Sequence[Any]
    if step == EACH:
        if not isinstance(document, list) or isinstance(document, Members):
            faults.add("list of the subject field is not a list")
            return
        found = document
    elif isinstance(document, Members):
        found = [value for name, value in document if name == step]
    elif isinstance(document, dict):
        found = [document[step]] if step in document else []
    else:
        faults.add("parent of the subject field is not an object")
        return
    for value in found:
        yield from values_at(value, rest, faults)


def is_missing(document: Any, path: Path) -> bool:  # noqa: ANN401 - any JSON value
    """Return whether a field at the path is not there at all. One that is null is there, and so is an empty
    list."""
    if not path or document is None:
        return False
    step, rest = path[0], path[1:]
    if step == EACH:
        return isinstance(document, list) and any(is_missing(each, rest) for each in document)
    if isinstance(document, Members):
        found = [value for name, value in document if name == step]
    elif isinstance(document, dict):
        found = [document[step]] if step in document else []
    else:
        return False
    return not found or any(is_missing(each, rest) for each in found)


def subject_of(values: Sequence[Any], faults: set[str], *, addresses: bool = False) -> Subject:
    """Return whose a row with these values in its subject field is.

    With `faults`, or a value that is neither text, number nor Boolean, it is Unreadable. So it is, where they
    have to be `addresses`, with one that is none.
    """
    named: dict[str, None] = {}
    for value in values:
        text = printed(value)
        if text is not None:
            named[text] = None
            if is_too_long(text):
                faults.add(TOO_LONG)
            elif addresses and not may_be_address(text):
                faults.add(NO_ADDRESS)
        elif value is not None and value != NOT_A_NUMBER:
            faults.add("subject field is not a single value")
    if faults:
        return Unreadable(min(faults), tuple(named))
    if len(named) <= 1:
        return next(iter(named), None)
    return tuple(named)


def printed(value: Any) -> str | None:  # noqa: ANN401 - any JSON value
    """Return a single value as it prints, or None. `12` and `"12"` print the same, true and `"true"` too.

    Numbers print by their value (`privacy.customers.numbers`); one that is none (NaN) does not.
    """
    if isinstance(value, Number):
        return None if value == NOT_A_NUMBER else shortest(value)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else None
