"""Rows of a JSON Lines object: whose they are, and what they look like after a correction.

Bytes go in and come out; a row that is not corrected is never written anew. What cannot be read is an
error that says why in fixed words, never with the content.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

MAX_LINE_BYTES: Final = 64 * 1024 * 1024
"""Longest line that is held in memory. An object with a longer one cannot be visited."""

_BOM: Final = b"\xef\xbb\xbf"

Path = tuple[str, ...]
"""A dotted field path, split."""


class UnreadableRowError(Exception):
    """A line whose subject cannot be told, or that cannot be written back. Its text is the reason."""


class LineTooLongError(Exception):
    """A line is longer than MAX_LINE_BYTES: the object is not JSON Lines."""


class Number(str):
    """A number exactly as the row spells it: no digit of it is lost when the row is written back."""

    __slots__ = ()


def path_of(dotted: str) -> Path:
    """Return a dotted field path as its parts."""
    return tuple(dotted.split("."))


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Split a stream into lines, each with its line feed; the last may have none.

    Only a line feed ends a line: a carriage return before it stays part of the line.
    Raises LineTooLongError.
    """
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        first, *rest = chunk.split(b"\n")
        held.append(first)
        size += len(first)
        if size > MAX_LINE_BYTES:
            raise LineTooLongError
        if rest:
            yield b"".join(held) + b"\n"
            for line in rest[:-1]:
                yield line + b"\n"
            held, size = [rest[-1]], len(rest[-1])
    last = b"".join(held)
    if last:
        yield last


def is_blank(line: bytes) -> bool:
    """Return whether the line holds nothing but white space."""
    return not line.strip()


def subject_of(line: bytes, path: Path) -> str | None:
    """Return the identifier at `path`, as it prints, or None where the row names no subject.

    `12` and `"12"` print the same and are the same subject; so do `true` and `"true"`. A missing or null
    field, or a missing or null parent, names nobody. Raises UnreadableRowError where it cannot be told.
    """
    try:
        value = _value_at(orjson.loads(line), path)
    except orjson.JSONDecodeError:
        value = _value_at(loads_exactly(line.removeprefix(_BOM)), path)
    if isinstance(value, float):
        # Also whole numbers beyond 64 bits end up here: the row's own spelling counts.
        value = _value_at(loads_exactly(line.removeprefix(_BOM)), path)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    raise UnreadableRowError("subject field is not a single value")


def corrected(line: bytes, changes: Sequence[Mapping[str, Any]]) -> bytes | None:
    """Return the row with the fields set, one change after the other, or None where nothing changes.

    `changes` map dotted field paths to values read by `loads_exactly`. A field is set where its parent is
    an object; where the parent is missing, null or something else the row stays as it is. Byte order mark
    and line ending are kept. Raises UnreadableRowError where the row cannot be read or written.
    """
    content = line.rstrip(b"\r\n")
    ending = line[len(content) :]
    body = content.removeprefix(_BOM)
    mark = content[: len(content) - len(body)]
    row = loads_exactly(body)
    changed = False
    for fields in changes:
        changed |= set_fields(row, fields)
    return mark + dumps_exactly(row) + ending if changed else None


def set_fields(document: Any, fields: Mapping[str, Any]) -> bool:  # noqa: ANN401 - any JSON value
    """Set each dotted path in `document`, in place; return whether anything differs from before."""
    changed = False
    for dotted, value in fields.items():
        *parents, name = path_of(dotted)
        target = document
        for parent in parents:
            target = target.get(parent) if isinstance(target, dict) else None
        if isinstance(target, dict) and (name not in target or not _same(target[name], value)):
            target[name] = value
            changed = True
    return changed


def loads_exactly(text: bytes | str) -> Any:  # noqa: ANN401 - any JSON value
    """Parse JSON with numbers kept as they are spelled, NaN and the infinities included.

    Raises UnreadableRowError.
    """
    try:
        return json.loads(
            text if isinstance(text, str) else text.decode("utf-8"),
            parse_float=Number,
            parse_int=Number,
            parse_constant=Number,
        )
    except UnicodeDecodeError:
        raise UnreadableRowError("not UTF-8") from None
    except ValueError:
        raise UnreadableRowError("not JSON") from None
    except RecursionError:
        raise UnreadableRowError("nested too deeply") from None


def dumps_exactly(document: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Write what `loads_exactly` read, compactly, as UTF-8. Raises UnreadableRowError."""
    try:
        return orjson.dumps(document, default=_spelled, option=orjson.OPT_PASSTHROUGH_SUBCLASS)
    except orjson.JSONEncodeError:
        # Half a surrogate pair, or nested beyond what the writer takes.
        raise UnreadableRowError("cannot be written back") from None


def _value_at(row: Any, path: Path) -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(row, dict):
        raise UnreadableRowError("not a JSON object")
    value: Any = row
    for name in path:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise UnreadableRowError("parent of the subject field is not an object")
        value = value.get(name)
    return value


def _same(left: Any, right: Any) -> bool:  # noqa: ANN401 - any JSON values
    # Number is a str: `12` and `"12"` are equal in Python but not in the file; likewise 1 and true.
    return type(left) is type(right) and bool(left == right)


def _spelled(value: object) -> orjson.Fragment:
    if isinstance(value, Number):
        return orjson.Fragment(str(value))
    raise TypeError
