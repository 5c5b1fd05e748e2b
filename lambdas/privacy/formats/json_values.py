"""JSON read and written without losing a digit of any number."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from privacy.formats.blocks import UnreadableRowError
from privacy.formats.paths import EACH, Members, Number, path_of


def loads_exactly(text: bytes | str) -> Any:  # noqa: ANN401 - any JSON value
    """Parse JSON with numbers kept as they are spelled, NaN and the infinities included.

    Raises UnreadableRowError.
    """
    return _loads(text, None)


def loads_uniquely(text: bytes | str) -> Any:  # noqa: ANN401 - any JSON value
    """Parse as `loads_exactly`, but raise UnreadableRowError where an object has two members of one name."""
    return _loads(text, _unique)


def loads_members(text: bytes | str) -> Any:  # noqa: ANN401 - any JSON value
    """Parse as `loads_exactly`, with every object as its `Members`. Raises UnreadableRowError."""
    return _loads(text, Members)


def dumps_exactly(document: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Write what `loads_exactly` read, compactly, as UTF-8. Raises UnreadableRowError."""
    try:
        return orjson.dumps(document, default=_spelled, option=orjson.OPT_PASSTHROUGH_SUBCLASS)
    except orjson.JSONEncodeError:
        # Half a surrogate pair, or nested beyond what the writer takes.
        raise UnreadableRowError("cannot be written back") from None


def set_fields(document: Any, fields: Mapping[str, Any]) -> bool:  # noqa: ANN401 - any JSON value
    """Set each dotted path in `document`, in place; return whether anything differs from before.

    A field is set where its parent is an object; where the parent is missing, null or something else, or
    the path leads through a list, nothing changes.
    """
    changed = False
    for dotted, value in fields.items():
        *parents, name = path_of(dotted)
        target = document
        for parent in parents:
            target = target.get(parent) if isinstance(target, dict) else None
        if not isinstance(target, dict) or name == EACH:
            continue
        if name not in target or not _same(target[name], value):
            target[name] = value
            changed = True
    return changed


def _loads(text: bytes | str, members: Callable[[list[tuple[str, Any]]], Any] | None) -> Any:  # noqa: ANN401
    try:
        return json.loads(
            text if isinstance(text, str) else text.decode("utf-8"),
            parse_float=Number,
            parse_int=Number,
            parse_constant=Number,
            object_pairs_hook=members,
        )
    except UnicodeDecodeError:
        raise UnreadableRowError("not UTF-8") from None
    except ValueError:
        raise UnreadableRowError("not JSON") from None
    except RecursionError:
        raise UnreadableRowError("nested too deeply") from None


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise UnreadableRowError("has a field twice and cannot be written back")
    return found


def _same(left: Any, right: Any) -> bool:  # noqa: ANN401 - any JSON values
    # Number is a str: `12` and `"12"` are equal in Python but not in the file; likewise 1 and true.
    return type(left) is type(right) and bool(left == right)


def _spelled(value: object) -> orjson.Fragment:
    if isinstance(value, Number):
        return orjson.Fragment(str(value))
    raise TypeError
