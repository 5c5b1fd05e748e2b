"""The row's own time, where a dataset has a field for it: what is erased although it was uploaded later.

A day without a time of day is its first moment, and of several times the earliest counts: rather a row too
many goes than an erased person comes back.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from privacy.customers.references import ReferenceOf
from privacy.formats import compression
from privacy.formats.blocks import RowReader, UnreadableRowError, named

_UNIX: Final = re.compile(r"(\d{9,13})(\.\d+)?", re.ASCII)
_FIRST_MILLISECONDS: Final = 100_000_000_000
"""From here on a number counts milliseconds. As seconds this would be the year 5138, as milliseconds 1973."""


def moment_of(text: str) -> datetime | None:
    """Return the moment that a value of an `as_of` field stands for, or None where it is no time.

    ISO 8601 and RFC 3339; without an offset it is UTC, a day alone is its first moment. Numbers of 9 to 13
    digits are Unix times: seconds, or milliseconds from 100,000,000,000 on.
    """
    text = text.strip()
    try:
        if unix := _UNIX.fullmatch(text):
            whole = int(unix[1])
            scale = 1000 if whole >= _FIRST_MILLISECONDS else 1
            return datetime.fromtimestamp(float(text) / scale, UTC)
        found = datetime.fromisoformat(text.upper())
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (OverflowError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Dated:
    """Subjects of whom only those rows go whose own time, in the field, is not after a moment.

    A row without a time that can be read is not among them: then the time of the upload has decided. Where
    the dataset has no such field, no row has one.
    """

    field: str | None
    until: Mapping[str, datetime]

    def concerned(self, reader: RowReader, row: bytes, refs: frozenset[str]) -> frozenset[str]:
        """Return for which of the subjects `refs` the row has to go.

        For those without a moment in any case, for the others if the row is not newer than theirs.
        """
        if self.until.keys().isdisjoint(refs):
            return refs
        at = earliest(reader, row, self.field) if self.field is not None else None
        return frozenset(r for r in refs if r not in self.until or (at is not None and at <= self.until[r]))


def earliest(reader: RowReader, row: bytes, field: str) -> datetime | None:
    """Return the row's own time; of several the earliest, None where none of them can be read."""
    try:
        moments = map(moment_of, reader.values(row, field))
        return min((moment for moment in moments if moment is not None), default=None)
    except UnreadableRowError:
        return None


def held(reader: RowReader, chunks: Iterator[bytes], reference: ReferenceOf, dated: Dated) -> frozenset[str]:
    """Return those subjects of `dated` of whom a file has a row that is not newer than their moment.

    `chunks` are the file as it is stored; it is read to its end, or to where its compression is damaged.
    Raises LineTooLongError.
    """
    found: set[str] = set()
    _, content = compression.opened(reader, chunks)
    try:
        for block in reader.blocks(content):
            about = {
                subject: frozenset(filter(None, map(reference, named(subject)))) & dated.until.keys()
                for subject in set(block.subjects)
            }
            for row, subject in zip(block.rows, block.subjects, strict=True):
                if refs := about[subject] - found:
                    found |= dated.concerned(reader, row, refs)
    except compression.DamagedContentError:
        return frozenset(found)
    return frozenset(found)
