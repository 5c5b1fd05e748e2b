"""What a run's requests do to the rows of a file: everything else passes as it is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from privacy.as_of import Dated
from privacy.jsonl import JsonLines
from privacy.references import ReferenceOf
from privacy.row_blocks import Block, RowReader, Subject, Unreadable, UnreadableRowError, named

REPORTED_LINES: Final = 100
"""Unreadable lines named one by one; all of them are counted."""

_REMEMBERED: Final = 65_536
_SHORT: Final = 256  # characters of an identifier that is remembered

ChangesOf = Mapping[str, Sequence[Mapping[str, Any]]]
"""Subject reference → the fields to set in its rows: one mapping a change, in the order of the requests."""


@dataclass(slots=True)
class Edited:
    """What was done to a file so far. `spared` are the erased of whom newer rows stay."""

    rows_dropped: int = 0
    rows_changed: int = 0
    unparsed: list[dict[str, Any]] = field(default_factory=list)
    unparsed_count: int = 0
    erased: set[str] = field(default_factory=set)
    spared: set[str] = field(default_factory=set)


@dataclass(slots=True)
class RowEdits:
    """Erasures and corrections, ready to be applied to one file.

    With `elements`, an erasure takes the subject's elements out of a row's list and leaves the row. `dated`
    says of whom it takes only older rows.
    """

    erase: frozenset[str]
    changes: ChangesOf
    reference: ReferenceOf
    elements: bool = False
    dated: Dated | None = None
    done: Edited = field(default_factory=Edited)
    _harmless: set[Subject] = field(default_factory=lambda: {None})

    def applied(self, reader: RowReader, content: Iterable[bytes]) -> Iterator[bytes]:
        """Yield what the file's content becomes. Raises LineTooLongError."""
        for block in reader.blocks(content):
            # Most blocks are about nobody: one comparison of sets tells.
            if self._harmless.issuperset(block.subjects):
                yield block.content
                continue
            touched = [
                n
                for n, subject in enumerate(block.subjects)
                if subject not in self._harmless and not self._is_harmless(subject)
            ]
            yield self._edited(reader, block, touched) if touched else block.content

    def _is_harmless(self, subject: Subject) -> bool:
        if isinstance(subject, Unreadable):
            return False
        for identifier in named(subject):
            ref = self.reference(identifier)
            if ref is not None and (ref in self.erase or ref in self.changes):
                return False
        if isinstance(subject, str) and len(subject) <= _SHORT:
            if len(self._harmless) >= _REMEMBERED:
                self._harmless = {None}
            self._harmless.add(subject)
        return True

    def _edited(self, reader: RowReader, block: Block, touched: Sequence[int]) -> bytes:
        rows = block.rows
        kept: list[bytes] = []
        start = 0
        row: bytes | None = None
        for position in touched:
            kept += rows[start:position]
            start = position + 1
            row = self._row(reader, block, position)
            if row is not None:
                kept.append(row)
        kept += rows[start:]
        if not kept:
            return b""
        # A file whose last line had no end keeps it so, unless that line went: the one before has its own.
        last_stays = start < len(rows) or row is not None
        return b"\n".join(kept) + (b"\n" if block.ended or not last_stays else b"")

    def _row(self, reader: RowReader, block: Block, position: int) -> bytes | None:
        """Return what becomes of a row, None where it goes; report one that cannot be read or changed."""
        row, subject = block.rows[position], block.subjects[position]
        refs = [ref for ref in map(self.reference, named(subject)) if ref is not None]
        gone = self._gone(reader, row, refs)
        if gone and not self.elements:
            self.done.rows_dropped += 1
            self.done.erased |= gone
            return None
        new = row
        try:
            if isinstance(subject, Unreadable):
                raise UnreadableRowError(subject.reason)
            if gone and isinstance(reader, JsonLines):
                new = reader.without(row, lambda identifier: self.reference(identifier) in gone) or row
                self.done.erased |= gone
            fields = [change for ref in refs if ref not in gone for change in self.changes.get(ref, ())]
            if fields:
                new = reader.corrected(new, fields) or new
        except UnreadableRowError as error:
            self._report(block, position, str(error))
        self.done.rows_changed += new != row
        return new

    def _gone(self, reader: RowReader, row: bytes, refs: Sequence[str]) -> frozenset[str]:
        asked = self.erase.intersection(refs)
        gone = self.dated.concerned(reader, row, asked) if self.dated else asked
        self.done.spared |= asked - gone
        return gone

    def _report(self, block: Block, position: int, reason: str) -> None:
        self.done.unparsed_count += 1
        if len(self.done.unparsed) < REPORTED_LINES:
            self.done.unparsed.append({"line": block.line_of(position), "reason": reason})
