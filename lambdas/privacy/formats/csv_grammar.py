"""What rows of a csv file look like in a dialect: where they and their fields end, and what a field says."""

import re
from collections.abc import Sequence
from typing import Any, Final, Literal

from privacy.customers.customer import CsvDialect
from privacy.formats.blocks import UnreadableRowError

_LETTERS: Final = {b"t": b"\t", b"n": b"\n", b"r": b"\r", b"b": b"\b", b"f": b"\f", b"v": b"\v", b"0": b"\0"}
"""What letters behind an escape stand for in dumps of databases (PostgreSQL's COPY, MySQL's LOAD DATA)."""


After = Literal["ended", "quoted", "escaped", "broken"]
"""Where a line leaves its row: at its end, in a quoted field, in one without quotes behind an escape of the
line's end; or nobody can tell."""


class Grammar:
    """The rows of a dialect with this delimiter; without a `quote` or an `escape` no character is one.

    Nothing here ever looks back: times grow with the length alone.
    """

    def __init__(self, delimiter: bytes, quote: bytes | None, escape: bytes | None = None) -> None:
        d, q, e = re.escape(delimiter), re.escape(quote or b""), re.escape(escape or b"")
        # What an escape makes of the character behind it, which may be a line feed.
        escaped = rb"%b(?s:.)" % e
        if escape is None:
            inside = rb"[^%b]*+(?:%b%b[^%b]*+)*+" % (q, q, q, q)
            rest = rb"[^%b\r\n]*+" % d
        else:
            inside = rb"[^%b%b]*+(?:(?:%b%b|%b)[^%b%b]*+)*+" % (q, e, q, q, escaped, q, e)
            rest = rb"[^%b%b\r\n]*+(?:%b[^%b%b\r\n]*+)*+" % (d, e, escaped, d, e)
        if quote is None:
            field = rest
        else:
            # Spaces before a quote: some programs take the quotes for real then, so nobody can tell.
            spaces = b"" if delimiter == b" " else b" *+"
            bare = rb"(?!%b%b)%b" % (spaces, q, rest)
            # The first alternative is part of the last: most fields match it, and at the first byte.
            plain = rb"[^%b%b%b \r\n]%b" % (d, q, e, rest)
            field = rb"(?:%b|%b%b%b|%b)" % (plain, q, inside, q, bare)
        self._parts = (d, q, inside, field)
        self._quoted = None if quote is None else re.compile(rb"(?<![^%b\n])%b%b%b" % (d, q, inside, q))
        self._delimiter = delimiter
        self._field = re.compile(field)
        more = rb"(?:%b%b)*+" % (d, field)
        self._row = re.compile(rb"%b%b\r?+\Z" % (field, more))
        # An escape at the very end of a line stands before its line feed.
        last = rb"(?:%b)?+\Z" % e
        begins: dict[After, bytes] = {"ended": field}
        if quote is not None:
            begins["quoted"] = inside + q
        if escape is not None:
            begins["escaped"] = rest
        self._ways: dict[After, list[tuple[After, re.Pattern[bytes]]]] = {}
        for before, begin in begins.items():
            ways: list[tuple[After, bytes]] = []
            if quote is not None:
                goes_on = rb"%b%b%b%b%b%b" % (begin, more, d, q, inside, last)
                if before != "escaped":
                    goes_on = rb"%b%b%b|%b" % (q if before == "ended" else b"", inside, last, goes_on)
                ways.append(("quoted", goes_on))
            if before != "ended":
                ways.append(("ended", rb"%b%b\r?+\Z" % (begin, more)))
            if escape is not None:
                ways.append(("escaped", rb"%b%b%b\Z" % (begin, more, e)))
            self._ways[before] = [(after, re.compile(way)) for after, way in ways]

    def row_with(self, places: Sequence[int], returns: bytes = rb"\r") -> re.Pattern[bytes]:
        """Return a pattern of most rows on one line, whose groups are the fields at these places, in order.

        For a dialect with a quote, and rows without an escape. Behind the last of these it reads no single
        ones, just what lies between quotes: each pair has to begin behind a delimiter and to end before one.
        What it does not match may still be a row. With `returns` empty it is for lines without a carriage
        return but at their end, and quicker.
        """
        d, q, inside, field = self._parts
        end = rb"(?=%b|\r|\Z)" % d
        bare = rb"[^%b%b]*+" % (q, returns)
        rest = rb"%b(?:(?<=%b)%b%b%b%b%b)*+\r?+\Z" % (bare, d, q, inside, q, end, bare)
        wanted, begin = b"", 0
        for place in places:
            wanted += rb"(?:%b%b){%d}(%b)%b" % (field, d, place - begin, field, d)
            begin = place + 1
        return re.compile(wanted.removesuffix(d) + end + rest)

    def without_quoted(self, text: bytes) -> bytes:
        """Return text of whole rows without what stands in quotes."""
        return text if self._quoted is None else self._quoted.sub(b"", text)

    def is_row(self, text: bytes) -> bool:
        """Return whether the text is one whole row."""
        return self._row.match(text) is not None

    def after(self, line: bytes, before: After = "ended") -> After:
        """Return where a line leaves its row, which it is not all of.

        `before` is where the lines before it left the row: ended, where this is its first.
        """
        for after, way in self._ways[before]:
            if way.match(line):
                return after
        return "broken"

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


class Fields:
    """Reads and writes single fields of a dialect, as the bytes that they are in a row."""

    def __init__(self, dialect: CsvDialect) -> None:
        self.delimiter: Final = dialect.delimiter.encode("ascii")
        self.quote: Final = _mark(dialect.quote)
        self.escape: Final = _mark(dialect.escape)
        self.comment: Final = _mark(dialect.comment)
        # UTF-16 is turned into UTF-8 before anybody reads it.
        self._encoding: Final = "utf-8" if dialect.encoding == "utf-16" else dialect.encoding

    def is_quoted(self, field: bytes) -> bool:
        """Return whether the field stands in quotes."""
        return self.quote is not None and field.startswith(self.quote)

    def read(self, field: bytes) -> str | None:
        """Return a field's text, None where it is a null. Raises UnicodeDecodeError."""
        if self.escape is not None and self.escape in field:
            if field == self.escape + b"N":
                return None
            field = self._unescaped(field)
        elif self.quote is not None and field.startswith(self.quote):
            field = field[1:-1].replace(self.quote * 2, self.quote)
        return field.decode(self._encoding)

    def written(self, value: Any, old: bytes, *, is_first: bool) -> bytes:  # noqa: ANN401 - any scalar
        """Return a field with a new value in place of the `old` one; `is_first` where a row begins with it.

        Raises UnreadableRowError where the dialect cannot write it.
        """
        # Only dumps tell nothing from an empty text.
        null = None if self.quote is None and self.escape is not None else ""
        text = null if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        try:
            before = self.read(old)
            if (null if before is None else before) == text:
                return old
        except UnicodeDecodeError:
            pass  # the old value is not readable: the new one differs
        if text is None:
            return (self.escape or b"") + b"N"
        try:
            new = text.encode(self._encoding)
        except UnicodeEncodeError:
            raise UnreadableRowError("the new value does not exist in the dataset's encoding") from None
        is_comment = is_first and self.comment is not None and new.startswith(self.comment)
        if self.quote is None:
            return self._without_quotes(new, is_comment=is_comment)
        special = (self.delimiter, self.quote, self.escape, b"\n", b"\r")
        has_special = text != text.strip() or any(mark is not None and mark in new for mark in special)
        if is_comment or has_special or self.is_quoted(old):
            if self.escape is not None:
                new = new.replace(self.escape, self.escape * 2)
            return self.quote + new.replace(self.quote, (self.escape or self.quote) + self.quote) + self.quote
        return new

    def _unescaped(self, field: bytes) -> bytes:
        """Return what a field with escapes says.

        Before anything that has a meaning, an escape takes it away. Without quotes in the dialect, as in
        databases' dumps, some letters are control characters, and any other character is itself. With quotes
        it keeps the escape: there are programs that escape quotes alone, and `DOMAIN\\name` reads so.
        """
        escape = self.escape or b""
        pair = rb"%b(?s:.)" % re.escape(escape)
        if self.quote is None:
            return re.sub(pair, lambda found: _LETTERS.get(found[0][1:], found[0][1:]), field)
        marks = (escape, self.quote, self.delimiter, self.comment, b"\n", b"\r")
        if self.is_quoted(field):
            field = field[1:-1]
            pair = rb"%b{2}|%b" % (re.escape(self.quote), pair)
        return re.sub(pair, lambda found: found[0][1:] if found[0][1:] in marks else found[0], field)

    def _without_quotes(self, new: bytes, *, is_comment: bool) -> bytes:
        has_end = b"\n" in new or b"\r" in new
        if has_end or is_comment or (self.escape is None and self.delimiter in new):
            raise UnreadableRowError("the new value cannot be written in the dataset's dialect")
        if self.escape is not None:
            for mark in (self.escape, self.delimiter):
                new = new.replace(mark, self.escape + mark)
        return new


def _mark(text: str | None) -> bytes | None:
    return None if text is None else text.encode("ascii")
