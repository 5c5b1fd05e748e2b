"""Row files as every format presents them: blocks of whole rows, each with whose it is."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

MAX_LINE_BYTES: Final = 64 * 1024 * 1024
"""Longest line that is held in memory. An object with a longer one cannot be visited."""


NO_FIELD: Final = "has no field for the subject"
"""Why a row is unreadable that has no such field at all, so that nobody can tell it from one that was
renamed."""

NO_COLUMN: Final = "header without the subject's column"
"""Why the header of a csv file is unreadable, and nobody's rows can be told."""


class UnreadableRowError(Exception):
    """A row whose subject cannot be told, or that cannot be written back. Its text is the reason."""


class LineTooLongError(Exception):
    """A line is longer than MAX_LINE_BYTES: the object is not a file of rows."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """In place of a row's subjects: why they cannot all be told, and those that can."""

    reason: str
    named: tuple[str, ...] = ()


Subject = str | tuple[str, ...] | Unreadable | None
"""Whose a row is: the identifier as it prints, several of them, nobody (None), or that it cannot be told."""


@dataclass(slots=True)
class Block:
    """Some rows of a file, one after the other, and whose each of them is.

    A row is without the line feed that ends it; `ended` is false where the last has none. `line` is the
    number of the first row's line, from 1, and `offset` its place in the plain content.
    """

    content: bytes
    rows: list[bytes]
    subjects: Sequence[Subject]
    ended: bool
    line: int
    offset: int

    def line_of(self, position: int) -> int:
        """Return the number of the line on which a row of the block begins."""
        return self.line + position + sum(row.count(b"\n") for row in self.rows[:position])


class RowReader(Protocol):
    """Reads one file. What it learns from the file's head, it keeps: every file takes a reader of its own.

    `head` is the length of that in the plain content, once it was read; 0 where rows speak for themselves.
    """

    head: int

    def blocks(self, content: Iterable[bytes]) -> Iterator[Block]:
        """Yield the file's rows. Raises LineTooLongError."""

    def corrected(self, row: bytes, changes: Sequence[Mapping[str, Any]]) -> bytes | None:
        """Return the row with fields set, one change after the other, or None where nothing changes.

        Raises UnreadableRowError where the row cannot be read or written.
        """

    def values(self, row: bytes, field: str) -> list[str]:
        """Return the single values at a field of the row as they print, each of several.

        Raises UnreadableRowError where the row cannot be read.
        """


@runtime_checkable
class ElementReader(RowReader, Protocol):
    """Reads rows that may name several subjects in a list, one of which can be taken out of the row."""

    def without(self, row: bytes, gone: Callable[[str], bool]) -> bytes | None:
        """Return the row without the list elements whose subject is `gone`, or None where nothing changes.

        Raises UnreadableRowError where the row cannot be read or written.
        """


def whole_lines(content: Iterable[bytes]) -> Iterator[bytes]:
    """Cut a stream where lines end; the last piece may end without a line feed.

    Only a line feed ends a line: a carriage return before it stays part of the line.
    Raises LineTooLongError.
    """
    held: list[bytes] = []
    size = 0
    for chunk in content:
        end = chunk.rfind(b"\n") + 1
        if size + (chunk.find(b"\n") if end else len(chunk)) > MAX_LINE_BYTES:
            raise LineTooLongError
        if end:
            yield b"".join([*held, chunk[:end]])
            held, size = [], 0
        held.append(chunk[end:])
        size += len(chunk) - end
    if last := b"".join(held):
        yield last


def is_blank(row: bytes) -> bool:
    """Return whether the row holds nothing but white space, or a Ctrl-Z: where text ended in CP/M and DOS."""
    return not row or row.isspace() or (b"\x1a" in row and not row.strip(b" \t\n\r\v\f\x1a"))


def named(subject: Subject) -> tuple[str, ...]:
    """Return the identifiers in a row's subject field, as far as they can be told."""
    if isinstance(subject, Unreadable):
        return subject.named
    if isinstance(subject, str):
        return (subject,)
    return subject or ()
