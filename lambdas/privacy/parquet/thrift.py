"""Thrift's compact protocol, as far as parquet's footers and page headers need it.

What is read keeps every field that it has, also those that nobody here knows: written again it is the same.
"""

from dataclasses import dataclass
from typing import Any, Final

TRUE: Final = 1
FALSE: Final = 2
BYTE: Final = 3
I16: Final = 4
I32: Final = 5
I64: Final = 6
DOUBLE: Final = 7
BINARY: Final = 8
LIST: Final = 9
SET: Final = 10
STRUCT: Final = 12

_DEEPEST: Final = 64  # structs and lists in one another; parquet's have less than ten
_LONGEST_NUMBER: Final = 70  # bits that ten bytes of a varint can hold

Struct = dict[int, tuple[int, Any]]
"""Field id → its type and value, in the order in which they stand. A boolean's value is its type."""


class MalformedThriftError(Exception):
    """The bytes are not a struct in the compact protocol."""


@dataclass(slots=True)
class List:
    """A list with the type that its values have."""

    kind: int
    values: list[Any]


def read(content: bytes, place: int = 0) -> tuple[Struct, int]:
    """Return the struct that begins at `place`, and where it ends. Raises MalformedThriftError."""
    reader = _Reader(content, place)
    try:
        found = reader.struct(0)
    except IndexError:
        raise MalformedThriftError from None
    return found, reader.place


def write(struct: Struct) -> bytes:
    """Return the struct's bytes."""
    out = bytearray()
    _write_struct(out, struct)
    return bytes(out)


class _Reader:
    def __init__(self, content: bytes, place: int) -> None:
        self._content = content
        self.place = place

    def struct(self, depth: int) -> Struct:
        found: Struct = {}
        number = 0
        while head := self._byte():
            kind, step = head & 15, head >> 4
            number = number + step if step else self._signed()
            found[number] = kind, kind if kind in (TRUE, FALSE) else self._value(kind, depth + 1)
        return found

    def _value(self, kind: int, depth: int) -> Any:  # noqa: ANN401 - whatever the type is
        if depth > _DEEPEST:
            raise MalformedThriftError
        if kind in (I16, I32, I64):
            return self._signed()
        if kind == BINARY:
            return self._take(self._unsigned())
        if kind == STRUCT:
            return self.struct(depth)
        if kind in (LIST, SET):
            head = self._byte()
            kind, count = head & 15, head >> 4
            if count == 15:
                count = self._unsigned()
            if count > len(self._content):
                raise MalformedThriftError
            return List(kind, [self._value(kind, depth + 1) for _ in range(count)])
        if kind in (TRUE, FALSE, BYTE):
            return self._byte()
        if kind == DOUBLE:
            return self._take(8)
        raise MalformedThriftError

    def _byte(self) -> int:
        self.place += 1
        return self._content[self.place - 1]

    def _take(self, size: int) -> bytes:
        taken = self._content[self.place : self.place + size]
        if len(taken) < size:
            raise MalformedThriftError
        self.place += size
        return taken

    def _unsigned(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7
            if shift >= _LONGEST_NUMBER:
                raise MalformedThriftError

    def _signed(self) -> int:
        number = self._unsigned()
        return (number >> 1) ^ -(number & 1)


def _write_struct(out: bytearray, struct: Struct) -> None:
    last = 0
    for number, (kind, value) in sorted(struct.items()):
        if 0 < number - last < 16:
            out.append((number - last) << 4 | kind)
        else:
            out.append(kind)
            _write_signed(out, number)
        last = number
        if kind not in (TRUE, FALSE):
            _write_value(out, kind, value)
    out.append(0)


def _write_value(out: bytearray, kind: int, value: Any) -> None:  # noqa: ANN401 - whatever the type is
    if kind in (I16, I32, I64):
        _write_signed(out, value)
    elif kind == BINARY:
        _write_unsigned(out, len(value))
        out += value
    elif kind == STRUCT:
        _write_struct(out, value)
    elif kind in (LIST, SET):
        count = len(value.values)
        out.append(min(count, 15) << 4 | value.kind)
        if count >= 15:
            _write_unsigned(out, count)
        for each in value.values:
            _write_value(out, value.kind, each)
    elif kind == DOUBLE:
        out += value
    else:
        out.append(value)


def _write_unsigned(out: bytearray, number: int) -> None:
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)


def _write_signed(out: bytearray, number: int) -> None:
    _write_unsigned(out, (number << 1) ^ (number >> 63))
