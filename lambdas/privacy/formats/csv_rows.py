"""Rows of a csv file (RFC 4180, in the dialect that the dataset declares): whose they are, and one corrected.

Rows are found in the bytes and never written anew, so that all of a file but the corrected fields stays as
it is. Every encoding that a dataset may declare has ASCII in ASCII's place, so delimiter, quote and line feed
are the same bytes in all of them.

A field in quotes may hold delimiters, quotes (doubled) and line ends. A quote inside a field without quotes
is itself. Anything else about quotes is an error, and then what was meant cannot be told: the line is
reported, and reading goes on with the next.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from privacy.customers.customer import CsvDialect
from privacy.formats.blocks import (
    NO_COLUMN,
    NO_FIELD,
    Block,
    Subject,
    Unreadable,
    UnreadableRowError,
    is_blank,
    whole_lines,
)
from privacy.formats.paths import subject_of
from privacy.formats.readers import RowsInStream
from privacy.formats.remembered import remember

MAX_ROW_BYTES: Final = 16 * 1024 * 1024
"""Longest row over several lines. What is longer has a quote that nobody closed."""

_BOM: Final = b"\xef\xbb\xbf"
_NOT_TEXT: Final = Unreadable("subject is not text")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_OTHER_DELIMITER: Final = Unreadable("fields are not told apart by the dataset's delimiter")
_DELIMITERS: Final = (b",", b";", b"\t", b"|")
_NOT_A_ROW: Final = Unreadable("quotes or carriage returns out of place")
_TOO_SHORT: Final = Unreadable(NO_FIELD)
_NO_COLUMN: Final = Unreadable(NO_COLUMN)


class CsvRows:
    """Reads one csv file, with the subject in the column of that name."""

    def __init__(self, subject: str, dialect: CsvDialect) -> None:
        self._subject: Final = subject
        self._encoding: Final = dialect.encoding
        self._delimiter: Final = dialect.delimiter.encode("ascii")
        self._quote: Final = dialect.quote.encode("ascii")
        self._columns: dict[str, list[int]] | None = None
        self.head = 0
        self._others: Final = tuple(mark for mark in _DELIMITERS if mark != self._delimiter)
        self._grammar: Final = _Grammar(self._delimiter, self._quote)
        self._ends: int = 0  # delimiters of a row that has a field for every column
        self._places: list[int] = []
        self._known: dict[bytes, Subject] = {}
        self._pattern: re.Pattern[bytes] | None = None
        self._quick_pattern: re.Pattern[bytes] | None = None
        if dialect.columns is not None:
            self._take_columns(dialect.columns)

    def blocks(self, content: Iterable[bytes]) -> Iterator[Block]:
        """Yield the file's rows, the header too: it is nobody's. Raises LineTooLongError."""
        line, offset = 1, 0
        held = b""
        for piece, is_last in _with_last(whole_lines(content)):
            text = held + piece if held else piece
            has_header = self._columns is not None
            block = self._block(text, line, offset, is_last=is_last)
            if not has_header and self._columns is not None:
                self.head = offset + _length_to_header(block)
            held = text[len(block.content) :]
            if block.rows:
                yield block
            line += block.content.count(b"\n")
            offset += len(block.content)

    def corrected(self, row: bytes, changes: Sequence[Mapping[str, Any]]) -> bytes | None:
        """Return the row with fields set, one change after the other, or None where nothing changes.

        Only the bytes of those fields differ. A column that the file or the row does not have is passed
        over. Raises UnreadableRowError.
        """
        ending = b"\r" if row.endswith(b"\r") else b""
        mark = _BOM if row.startswith(_BOM) else b""
        fields = self._grammar.fields(row[len(mark) : len(row) - len(ending)])
        if fields is None:
            raise UnreadableRowError(_NOT_A_ROW.reason)
        changed = False
        for change in changes:
            for name, value in change.items():
                for place in (self._columns or {}).get(name, ()):
                    if place < len(fields):
                        new = self._written(value, fields[place])
                        changed |= new != fields[place]
                        fields[place] = new
        return mark + self._delimiter.join(fields) + ending if changed else None

    def values(self, row: bytes, field: str) -> list[str]:
        """Return the row's values in the columns of that name. Raises UnreadableRowError."""
        fields = self._grammar.fields(row.removeprefix(_BOM).removesuffix(b"\r"))
        if fields is None:
            raise UnreadableRowError(_NOT_A_ROW.reason)
        places = (self._columns or {}).get(field, ())
        try:
            return [self._read(fields[place]) for place in places if place < len(fields)]
        except UnicodeDecodeError:
            raise UnreadableRowError("not in the dataset's encoding") from None

    def _block(self, text: bytes, line: int, offset: int, *, is_last: bool) -> Block:
        lines = text.split(b"\n")
        if not lines[-1]:
            lines.pop()
        mark = b""
        if offset == 0 and text.startswith(_BOM):
            mark, lines[0] = _BOM, lines[0].removeprefix(_BOM)
        subjects: list[Subject] | None = None
        if self._columns is not None:
            rows, subjects = lines, self._subjects_at_once(text, lines)
        if subjects is None:
            rows, subjects = self._row_by_row(lines, may_go_on=not is_last)
        if not rows:
            return Block(b"", [], [], ended=True, line=line, offset=offset)
        rows[0] = mark + rows[0]
        size = sum(map(len, rows)) + len(rows)
        return Block(text[:size], rows, subjects, size <= len(text), line, offset)

    def _subjects_at_once(self, text: bytes, rows: list[bytes]) -> list[Subject] | None:
        """Return the subjects where every line is a row and has the one subject column; or None."""
        returns = text.count(b"\r") - text.count(b"\r\n") - text.endswith(b"\r")
        if self._quick_pattern is None or returns or text.count(self._delimiter) < len(rows) * self._ends:
            return None
        (place,) = self._places
        match: Callable[[bytes], Any] = self._quick_pattern.match
        delimiter, quote = self._delimiter, self._quote
        try:
            if quote in text:
                fields = [
                    match(row)[1] if quote in row else row.split(delimiter, place + 1)[place] for row in rows
                ]
            else:
                fields = [row.split(delimiter, place + 1)[place] for row in rows]
        except (IndexError, TypeError):
            return None
        known = self._known
        return [known[field] if field in known else self._remembered(field) for field in fields]

    def _row_by_row(self, lines: list[bytes], *, may_go_on: bool) -> tuple[list[bytes], list[Subject]]:
        """Return rows and their subjects; the last lines are left out where more of their row may come."""
        rows: list[bytes] = []
        subjects: list[Subject] = []
        position = 0
        while position < len(lines):
            row = lines[position]
            position += 1
            is_full = row.count(self._delimiter) >= self._ends
            if is_full and self._pattern is not None and (found := self._pattern.match(row)) is not None:
                rows.append(row)
                subjects.append(self._subject_in([found[1]]))
                continue
            if self._quote in row and not self._grammar.is_row(row):
                end = self._end_of_row(lines, position - 1)
                if end is None and may_go_on and sum(map(len, lines[position - 1 :])) < MAX_ROW_BYTES:
                    break
                if end is not None and end >= position:
                    row, position = b"\n".join(lines[position - 1 : end + 1]), end + 1
            rows.append(row)
            subjects.append(self._subject_of(row))
        return rows, subjects

    def _end_of_row(self, lines: list[bytes], first: int) -> int | None:
        """Return which line ends the row, `first` if the row is broken there, None if none of them does."""
        if not self._grammar.is_open(lines[first]):
            return first
        for position in range(first + 1, len(lines)):
            line = lines[position]
            if self._quote not in line or self._grammar.stays_open(line):
                continue
            return position if self._grammar.closes(line) else first
        return None

    def _subject_of(self, row: bytes) -> Subject:
        if is_blank(row):
            return None
        fields = self._grammar.fields(row.removesuffix(b"\r"))
        if self._columns is None:
            return self._read_header(fields)
        if fields is None:
            return _NOT_A_ROW
        if not self._places:
            return None
        if max(self._places) >= len(fields):
            return _TOO_SHORT
        named = [fields[place] for place in self._places]
        if len(fields) <= self._ends and any(self._looks_uncut(field) for field in named):
            return _OTHER_DELIMITER
        return self._subject_in(named)

    def _looks_uncut(self, field: bytes) -> bool:
        """Return whether a field of a row with too few of them holds a delimiter that other files have."""
        return not field.startswith(self._quote) and any(mark in field for mark in self._others)

    def _remembered(self, field: bytes) -> Subject:
        subject = self._subject_in([field.removesuffix(b"\r")])
        remember(self._known, field, subject)
        return subject

    def _subject_in(self, fields: Sequence[bytes]) -> Subject:
        try:
            texts = [self._read(field) for field in fields]
            if any(map(_CONTROL.search, texts)):
                return _NOT_TEXT
            return subject_of([text for text in texts if text.strip()], set())
        except UnicodeDecodeError:
            return Unreadable("not in the dataset's encoding")

    def _read_header(self, fields: list[bytes] | None) -> Subject:
        try:
            names = [self._read(field) for field in fields or ()]
        except UnicodeDecodeError:
            names = []
        self._take_columns(names)
        return None if self._places else _NO_COLUMN

    def _take_columns(self, names: Sequence[str]) -> None:
        self._columns = {}
        self._ends = max(len(names) - 1, 0)
        for place, name in enumerate(names):
            self._columns.setdefault(name, []).append(place)
        self._places = self._columns.get(self._subject, [])
        if len(self._places) == 1:
            self._pattern = self._grammar.row_with(self._places[0])
            self._quick_pattern = self._grammar.row_with(self._places[0], b"")

    def _read(self, field: bytes) -> str:
        if field.startswith(self._quote):
            field = field[1:-1].replace(self._quote * 2, self._quote)
        return field.decode(self._encoding)

    def _written(self, value: Any, old: bytes) -> bytes:  # noqa: ANN401 - a scalar of any kind
        text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        try:
            new = text.encode(self._encoding)
            if self._read(old) == text:
                return old
        except UnicodeDecodeError:
            pass  # the old value is not readable: the new one differs
        except UnicodeEncodeError:
            raise UnreadableRowError("the new value does not exist in the dataset's encoding") from None
        special = (self._delimiter, self._quote, b"\n", b"\r")
        if old.startswith(self._quote) or text != text.strip() or any(mark in new for mark in special):
            return self._quote + new.replace(self._quote, self._quote * 2) + self._quote
        return new


CSV: Final = RowsInStream(lambda subject, dataset: CsvRows(subject, dataset.csv or CsvDialect()))


class _Grammar:
    """What rows look like in one dialect. Nothing here ever looks back: times grow with the length alone."""

    def __init__(self, delimiter: bytes, quote: bytes) -> None:
        d, q = re.escape(delimiter), re.escape(quote)
        inside = rb"[^%b]*+(?:%b%b[^%b]*+)*+" % (q, q, q, q)
        # Spaces before a quote: some programs take the quotes for real then, so nobody can tell.
        spaces = b"" if delimiter == b" " else b" *+"
        bare = rb"(?!%b%b)[^%b\r\n]*+" % (spaces, q, d)
        # The first alternative is part of the last: most fields match it, and at the first byte.
        plain = rb"[^%b%b \r\n][^%b\r\n]*+" % (d, q, d)
        field = rb"(?:%b|%b%b%b|%b)" % (plain, q, inside, q, bare)
        more = rb"(?:%b%b)*+" % (d, field)
        self._parts = (d, q, inside, field)
        self._field = re.compile(field)
        self._row = re.compile(rb"%b%b\r?+\Z" % (field, more))
        self._open = re.compile(rb"(?:%b%b)*+%b%b\Z" % (field, d, q, inside))
        self._stays_open = re.compile(rb"%b(?:\Z|%b%b%b%b%b\Z)" % (inside, q, more, d, q, inside))
        self._closes = re.compile(rb"%b%b%b\r?+\Z" % (inside, q, more))
        self._delimiter = delimiter

    def row_with(self, place: int, returns: bytes = rb"\r") -> re.Pattern[bytes]:
        """Return a pattern of most rows on one line, whose group is the field at this place.

        Behind that field it reads no single ones, just what lies between quotes: each pair has to begin
        behind a delimiter and to end before one. What it does not match may still be a row. With
        `returns` empty it is for lines without a carriage return but at their end, and quicker.
        """
        d, q, inside, field = self._parts
        end = rb"(?=%b|\r|\Z)" % d
        bare = rb"[^%b%b]*+" % (q, returns)
        rest = rb"%b(?:(?<=%b)%b%b%b%b%b)*+\r?+\Z" % (bare, d, q, inside, q, end, bare)
        return re.compile(rb"(?:%b%b){%d}(%b)%b%b" % (field, d, place, field, end, rest))

    def is_row(self, text: bytes) -> bool:
        """Return whether the text is one whole row."""
        return self._row.match(text) is not None

    def is_open(self, line: bytes) -> bool:
        """Return whether the line ends inside a quoted field that begins on it."""
        return self._open.match(line) is not None

    def stays_open(self, line: bytes) -> bool:
        """Return whether a line that begins inside a quoted field ends inside one."""
        return self._stays_open.match(line) is not None

    def closes(self, line: bytes) -> bool:
        """Return whether a line that begins inside a quoted field ends the row."""
        return self._closes.match(line) is not None

    def fields(self, row: bytes) -> list[bytes] | None:
        """Return the row's fields as they are written, or None where it is not a row."""
        found: list[bytes] = []
        place = 0
        while (field := self._field.match(row, place)) is not None:
            found.append(field[0])
            place = field.end()
            if place == len(row):
                return found
            if not row.startswith(self._delimiter, place):
                return None
            place += 1
        return None


def _length_to_header(block: Block) -> int:
    """Return how much of a block goes to the end of its first row that is not blank, which is the header."""
    rows = [block.rows[0].removeprefix(b"" if block.offset else _BOM), *block.rows[1:]]
    header = next(number for number, row in enumerate(rows) if not is_blank(row))
    length = sum(len(row) + 1 for row in block.rows[: header + 1])
    return min(length, len(block.content))


def _with_last(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each piece and whether it is the last."""
    waiting: bytes | None = None
    for piece in pieces:
        if waiting is not None:
            yield waiting, False
        waiting = piece
    if waiting is not None:
        yield waiting, True
