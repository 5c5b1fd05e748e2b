"""Rows of a csv file (RFC 4180, in the dialect that the dataset declares): whose they are, and one corrected.

Rows are found in the bytes and never written anew, so that all of a file but the corrected fields stays as
it is. Every encoding that a dataset may declare has ASCII in ASCII's place, so delimiter, quote and line feed
are the same bytes in all of them; UTF-16 has not, and is read as the same text in UTF-8.

A field in quotes may hold delimiters, quotes (doubled) and line ends. A quote inside a field without quotes
is itself. Anything else about quotes is an error, and then what was meant cannot be told: the line is
reported, and reading goes on with the next.

Files are put together, and come from old programs: a byte order mark may stand before any row, and a Ctrl-Z
alone on a line or at the end. Neither is part of a field.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any, Final

from privacy.customers.customer import CsvDialect
from privacy.customers.numbers import as_number
from privacy.formats.blocks import (
    NO_COLUMN,
    NO_FIELD,
    Block,
    Subject,
    Unreadable,
    UnreadableRowError,
    is_blank,
    named,
    whole_lines,
)
from privacy.formats.compression import Utf16
from privacy.formats.csv_grammar import Fields, Grammar
from privacy.formats.paths import subject_of
from privacy.formats.readers import RowsInStream
from privacy.formats.remembered import remember

MAX_ROW_BYTES: Final = 16 * 1024 * 1024
"""Longest row over several lines. What is longer has a quote that nobody closed."""

_BOM: Final = b"\xef\xbb\xbf"
_CTRL_Z: Final = b"\x1a"
"""Where text ended in CP/M and DOS."""

_NOT_TEXT: Final = Unreadable("subject is not text")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_OTHER_DELIMITER: Final = Unreadable("fields are not told apart by the dataset's delimiter")
_DELIMITERS: Final = (b",", b";", b"\t", b"|")
_NOT_A_ROW: Final = Unreadable("quotes or carriage returns out of place")
_PERHAPS_TWO: Final = "perhaps two rows in one"
_OTHER_HEADER: Final = "perhaps another header"
_TOO_MANY: Final = "more fields than columns before the subject's, or behind it"
_NO_COLUMN: Final = Unreadable(NO_COLUMN)


class CsvRows:
    """Reads one csv file, with its people in the columns of these names."""

    def __init__(self, subjects: Sequence[str], dialect: CsvDialect, *, addresses: bool = False) -> None:
        self._addresses: Final = addresses
        self._subjects: Final = subjects
        self.text: Final = Utf16() if dialect.encoding == "utf-16" else None
        self._fields: Final = Fields(dialect)
        self._delimiter: Final = self._fields.delimiter
        self._quote: Final = self._fields.quote
        self._escape: Final = self._fields.escape
        self._comment: Final = self._fields.comment
        self._caseless: Final = dialect.header == "caseless"
        # What has a meaning beyond that of delimiters and line ends, and is rare in most files.
        self._odd: Final = [mark for mark in (_CTRL_Z, self._escape, self._comment) if mark]
        self._columns: dict[str, list[int]] | None = None
        self._header: list[str] = []
        self._headings: frozenset[str] = frozenset()
        self._longest_heading = 0
        self._met_name = False
        self._width = 0
        self.head = 0
        self._others: Final = tuple(mark for mark in _DELIMITERS if mark != self._delimiter)
        self._grammar: Final = Grammar(self._delimiter, self._quote, self._escape)
        self._ends = 0  # delimiters of a row that has a field for every column
        self._places: list[int] = []
        self._lacks_column = False
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
                self.head = offset + self._length_to_header(block)
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
        mark, body, ending = _parts(row)
        fields = self._grammar.fields(body)
        if fields is None:
            raise UnreadableRowError(_NOT_A_ROW.reason)
        changed = False
        for change in changes:
            for name, value in change.items():
                for place in self._places_of(name):
                    if place < len(fields):
                        new = self._fields.written(value, fields[place], is_first=place == 0)
                        changed |= new != fields[place]
                        fields[place] = new
        return mark + self._delimiter.join(fields) + ending if changed else None

    def values(self, row: bytes, field: str) -> list[str]:
        """Return the row's values in the columns of that name. Raises UnreadableRowError."""
        fields = self._grammar.fields(_parts(row)[1])
        if fields is None:
            raise UnreadableRowError(_NOT_A_ROW.reason)
        try:
            found = [fields[place] for place in self._places_of(field) if place < len(fields)]
            return [text for text in map(self._fields.read, found) if text is not None]
        except UnicodeDecodeError:
            raise UnreadableRowError("not in the dataset's encoding") from None

    def _block(self, text: bytes, line: int, offset: int, *, is_last: bool) -> Block:
        lines = text.split(b"\n")
        if not lines[-1]:
            lines.pop()
        subjects: list[Subject] | None = None
        if self._columns is not None:
            rows, subjects = lines, self._subjects_at_once(text, lines)
        if subjects is None:
            rows, subjects = self._row_by_row(lines, odd=self._has_odd(text), may_go_on=not is_last)
        if not rows:
            return Block(b"", [], [], ended=True, line=line, offset=offset)
        size = sum(map(len, rows)) + len(rows)
        return Block(text[:size], rows, subjects, size <= len(text), line, offset)

    def _has_odd(self, text: bytes) -> bool:
        # One byte is found much faster than three.
        return any(mark in text for mark in self._odd) or (_BOM[:1] in text and _BOM in text)

    def _subjects_at_once(self, text: bytes, rows: list[bytes]) -> list[Subject] | None:
        """Return the subjects where every line is a row and has the subject columns; or None."""
        returns = text.count(b"\r") - text.count(b"\r\n") - text.endswith(b"\r")
        if not self._places or returns or self._has_odd(text) or not self._are_as_wide(text, rows):
            return None
        place, delimiter, quote = self._places[-1], self._delimiter, self._quote
        if quote is not None and quote in text:
            if self._quick_pattern is None:
                return None
            match: Callable[[bytes], Any] = self._quick_pattern.match
        else:
            quote = None
        several = itemgetter(*self._places)
        known, self._met_name = self._known, False
        try:
            if len(self._places) > 1:
                pairs = [
                    match(row).groups()
                    if quote is not None and quote in row
                    else several(row.split(delimiter, place + 1))
                    for row in rows
                ]
                found = list(map(self._subject_of_several, pairs))
                return None if self._met_name else found
            fields = [
                match(row)[1]
                if quote is not None and quote in row
                else row.split(delimiter, place + 1)[place]
                for row in rows
            ]
        except (AttributeError, IndexError, TypeError):
            return None
        found = [known[field] if field in known else self._remembered(field) for field in fields]
        return None if self._met_name else found

    def _row_by_row(
        self, lines: list[bytes], *, odd: bool, may_go_on: bool
    ) -> tuple[list[bytes], list[Subject]]:
        """Return rows and their subjects; the last lines are left out where more of their row may come.

        `odd` says whether any of the rare marks is in the lines.
        """
        rows: list[bytes] = []
        subjects: list[Subject] = []
        position = 0
        while position < len(lines):
            row = lines[position]
            position += 1
            if (found := self._matched(row, odd=odd)) is not None:
                subject = self._subject_in(found)
                rows.append(row)
                subjects.append(self._subject_of(row) if self._may_be_name(subject) else subject)
                continue
            if self._may_go_on(row):
                end = self._end_of_row(lines, position - 1)
                if end is None and may_go_on and sum(map(len, lines[position - 1 :])) < MAX_ROW_BYTES:
                    break
                if end is not None and end >= position:
                    row, position = b"\n".join(lines[position - 1 : end + 1]), end + 1
            rows.append(row)
            subjects.append(self._subject_of(row))
        return rows, subjects

    def _matched(self, row: bytes, *, odd: bool) -> Sequence[bytes] | None:
        """Return the fields in the subject columns of most rows that stand on one line."""
        if self._pattern is None or (odd and self._has_odd(row)):
            return None
        if not self._are_as_wide(row, [row]):
            return None
        found = self._pattern.match(row)
        return None if found is None else found.groups()

    def _are_as_wide(self, text: bytes, rows: Sequence[bytes]) -> bool:
        """Return whether each line has a field for every column, and where it counts, none too many.

        Where a text without quotes held a delimiter, that is so of the fields behind it alone.
        """
        counts = set(map(bytes.count, rows, repeat(self._delimiter)))
        if max(counts) > self._ends and self._quote is not None and self._quote in text:
            bare = self._grammar.without_quoted(text).split(b"\n")[: len(rows)]
            counts = set(map(bytes.count, bare, repeat(self._delimiter))) if len(bare) == len(rows) else {-1}
        return min(counts) >= self._ends and (max(counts) == self._ends or not self._places[-1])

    def _may_go_on(self, line: bytes) -> bool:
        """Return whether a line may be the first of a row that goes on behind its line feed."""
        if not (self._quote and self._quote in line) and not (self._escape and self._escape in line):
            return False
        line = line.removeprefix(_BOM)
        return not self._grammar.is_row(line) and not self._is_nobodys(line)

    def _end_of_row(self, lines: list[bytes], first: int) -> int | None:
        """Return which line ends the row, `first` if the row is broken there, None if none of them does."""
        after = self._grammar.after(lines[first].removeprefix(_BOM))
        for position in range(first + 1, len(lines)):
            if after == "broken":
                return first
            line = lines[position]
            if (
                after == "quoted"
                and (self._quote or b"") not in line
                and (self._escape is None or self._escape not in line)
            ):
                continue
            after = self._grammar.after(line, after)
            if after == "ended":
                # An escape behind a quote that closed its field looks as if it were in a field.
                whole = self._escape is None or self._grammar.is_row(
                    b"\n".join(lines[first : position + 1]).removeprefix(_BOM)
                )
                return position if whole else first
        return first if after == "broken" else None

    def _subject_of(self, row: bytes) -> Subject:
        _, body, _ = _parts(row)
        if self._is_nobodys(body):
            return None
        fields = self._grammar.fields(body)
        if self._columns is None:
            return self._read_header(fields)
        if fields is None:
            return _NOT_A_ROW
        if not self._places:
            return None
        named_by = [fields[place] for place in self._places if place < len(fields)]
        found = self._subject_in(named_by)
        if (_BOM in body or (self._escape and b"\n" in body)) and self._may_be_two(fields):
            return Unreadable(_PERHAPS_TWO, named(found))
        if self._may_be_name(found) and (headings := self._headings_in(fields)) is not None:
            # Files that are put together bring their headers along. Behind one of another order every field
            # would pass for another.
            if headings == self._header and self._addresses:
                return None
            if headings != self._header and self._headings.issuperset(headings):
                return Unreadable(_OTHER_HEADER, named(found))
        if isinstance(found, Unreadable):
            return found
        if max(self._places) >= len(fields):
            return Unreadable(NO_FIELD, named(found))
        if len(fields) <= self._ends and any(map(self._looks_uncut, named_by)):
            return _OTHER_DELIMITER
        if len(fields) == 1 < self._width:
            return Unreadable(_OTHER_DELIMITER.reason, named(found))
        if self._places[-1] and any(field.strip() for field in fields[self._width :]):
            return Unreadable(_TOO_MANY, named(found))
        return found

    def _may_be_name(self, subject: Subject) -> bool:
        """Return whether somebody in the row is called as a column is: it may be a header then."""
        if type(subject) is str and len(subject) > self._longest_heading:
            return False
        return any(_heading(identifier) in self._headings for identifier in named(subject))

    def _headings_in(self, fields: Sequence[bytes]) -> list[str] | None:
        """Return the fields as names of columns are compared; None where they cannot be read."""
        try:
            return [_heading(self._fields.read(field) or "") for field in fields]
        except UnicodeDecodeError:
            return None

    def _looks_uncut(self, field: bytes) -> bool:
        """Return whether a field of a row with too few of them holds a delimiter that other files have."""
        return not self._fields.is_quoted(field) and any(mark in field for mark in self._others)

    def _may_be_two(self, fields: Sequence[bytes]) -> bool:
        """Return whether what has a mark inside, or an escaped line end, may be more than one row.

        Files that are put together run into each other so, where the last line of one had no end.
        """
        alone = [field for field in fields if not self._fields.is_quoted(field)]
        too_many = len(fields) > self._width and any(_BOM in field or b"\n" in field for field in alone)
        return too_many or any(_BOM in fields[place] for place in self._places if place < len(fields))

    def _remembered(self, field: bytes) -> Subject:
        subject = self._subject_in([field.removesuffix(b"\r")])
        if self._may_be_name(subject):
            self._met_name = True
        else:
            remember(self._known, field, subject)
        return subject

    def _subject_of_several(self, fields: Sequence[bytes]) -> Subject:
        known = self._known
        found = [known[field] if field in known else self._remembered(field) for field in fields]
        if any(isinstance(subject, Unreadable) for subject in found):
            return self._subject_in([field.removesuffix(b"\r") for field in fields])
        people = dict.fromkeys(subject for subject in found if isinstance(subject, str))
        return tuple(people) if len(people) > 1 else next(iter(people), None)

    def _subject_in(self, fields: Sequence[bytes]) -> Subject:
        try:
            read = [self._fields.read(field) for field in fields]
            texts = [text for text in read if text is not None]
            if any(map(_CONTROL.search, texts)):
                return _NOT_TEXT
            return subject_of(
                [as_number(text) for text in texts if text.strip()], set(), addresses=self._addresses
            )
        except UnicodeDecodeError:
            return Unreadable("not in the dataset's encoding")

    def _read_header(self, fields: list[bytes] | None) -> Subject:
        try:
            names = [self._fields.read(field) or "" for field in fields or ()]
        except UnicodeDecodeError:
            names = []
        self._take_columns(names)
        return _NO_COLUMN if self._lacks_column else None

    def _take_columns(self, names: Sequence[str]) -> None:
        self._columns = {}
        self._ends = max(len(names) - 1, 0)
        for place, name in enumerate(names):
            self._columns.setdefault(self._name(name), []).append(place)
        self._header = list(map(_heading, names))
        self._headings = frozenset(self._header)
        self._longest_heading = max(map(len, names), default=0)
        self._width = len(names)
        found = list(map(self._places_of, self._subjects))
        self._places = sorted({place for places in found for place in places})
        self._lacks_column = not all(found)
        if self._places and self._quote is not None:
            self._pattern = self._grammar.row_with(self._places)
            self._quick_pattern = self._grammar.row_with(self._places, b"")

    def _name(self, name: str) -> str:
        """Return the name of a column as names are compared."""
        return name.strip().casefold() if self._caseless else name

    def _places_of(self, name: str) -> Sequence[int]:
        """Return where the columns of that name are."""
        return (self._columns or {}).get(self._name(name), ())

    def _is_nobodys(self, row: bytes) -> bool:
        """Return whether the line is a comment, or blank."""
        return is_blank(row) or (self._comment is not None and row.startswith(self._comment))

    def _length_to_header(self, block: Block) -> int:
        """Return how much of a block goes to the end of its header, the first row that is somebody's."""
        bodies = (_parts(row)[1] for row in block.rows)
        header = next(number for number, body in enumerate(bodies) if not self._is_nobodys(body))
        length = sum(len(row) + 1 for row in block.rows[: header + 1])
        return min(length, len(block.content))


CSV: Final = RowsInStream(
    lambda subjects, dataset: CsvRows(
        subjects, dataset.csv or CsvDialect(), addresses=dataset.names_by_address
    )
)


def _heading(text: str) -> str:
    """Return a text as it is compared with the names of columns to tell a header from a row."""
    return text.strip().casefold()


def _parts(row: bytes) -> tuple[bytes, bytes, bytes]:
    """Split a row into byte order mark, fields, and a carriage return or Ctrl-Z at its end."""
    mark = _BOM if row.startswith(_BOM) else b""
    ending = b"\r" if row.endswith(b"\r") else _CTRL_Z if row.endswith(_CTRL_Z) else b""
    if not mark and not ending:
        return b"", row, b""
    return mark, row[len(mark) : len(row) - len(ending)], ending


def _with_last(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each piece and whether it is the last."""
    waiting: bytes | None = None
    for piece in pieces:
        if waiting is not None:
            yield waiting, False
        waiting = piece
    if waiting is not None:
        yield waiting, True
