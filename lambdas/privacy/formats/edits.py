"""What a run's requests do to the rows of a file: everything else passes as it is."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from privacy.customers.references import ReferenceOf
from privacy.formats.blocks import (
    NO_FIELD,
    Block,
    ElementReader,
    RowReader,
    Subject,
    Unreadable,
    UnreadableRowError,
    named,
)
from privacy.formats.paths import NO_ADDRESS
from privacy.formats.positions import RowPositions, Splice
from privacy.formats.proof import Piece, UnprovenError, Untouched
from privacy.formats.remembered import MOST, SHORT
from privacy.formats.row_times import Dated

REPORTED_LINES: Final = 100
"""Unreadable lines named one by one; all of them are counted."""

SURE: Final = frozenset({NO_FIELD, NO_ADDRESS})
"""Why a row is unreadable of which it is sure that it names whom it names, if not whom else."""

_NOT_THINNED: Final = "names somebody outside of the list's elements"

_MOST_SPLICES: Final = 20_000  # more are never kept: three bytes each at the least

ChangesOf = Mapping[str, Sequence[Mapping[str, Any]]]
"""Subject reference → the fields to set in its rows: one mapping a change, in the order of the requests."""

OwnerOf = Callable[[str], str | None]
"""Field → the subject field whose person alone it is about, or None."""


def nobody_alone(_field: str) -> None:
    """Return None: in rows with one subject field, every field is about whoever they name."""
    return


@dataclass(slots=True)
class Edited:
    """What was done to a file so far.

    `unparsed` are rows that could not be read or changed, each with a reason and its place; there are
    `unparsed_count` of them, of which not all are listed. `unattributed_count` of them are about nobody who
    is asked for, as far as can be told. `erased` are the references of those of whom something went, `spared`
    those of whom newer rows stay, `left` those who were to go and stand in rows that are reported: their
    elements could not be taken out. `unused_dropped` are values that stood in the file without being in any
    row, and went; `unnamed` those whom it named in such values alone.
    """

    rows_dropped: int = 0
    rows_changed: int = 0
    unparsed: list[dict[str, Any]] = field(default_factory=list)
    unparsed_count: int = 0
    unattributed_count: int = 0
    erased: set[str] = field(default_factory=set)
    spared: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    unused_dropped: int = 0
    unnamed: set[str] = field(default_factory=set)

    @property
    def differs(self) -> bool:
        """Whether the file became another one."""
        return bool(self.rows_dropped or self.rows_changed or self.unused_dropped)


class Concerned:
    """Finds rows by their subjects. `refs` are the references of everybody about whom something is asked.

    Most rows are about nobody of them: whose they are is remembered, and costs one look into a set.
    """

    def __init__(self, reference: ReferenceOf, refs: Iterable[str]) -> None:
        self._reference = reference
        self._refs = frozenset(refs)
        self._others: set[Subject] = {None}

    def places(self, subjects: Sequence[Subject]) -> list[int]:
        """Return at which places of the list one of them stands, or somebody who cannot be told."""
        others = self._others
        if others.issuperset(subjects):
            return []
        return [place for place, s in enumerate(subjects) if s not in others and self._is_concerned(s)]

    def _is_concerned(self, subject: Subject) -> bool:
        if not isinstance(subject, str):
            if isinstance(subject, Unreadable):
                return True
            others = self._others
            return any(s not in others and self._is_concerned(s) for s in named(subject))
        if self._reference(subject) in self._refs:
            return True
        if len(subject) <= SHORT:
            if len(self._others) >= MOST:
                self._others.clear()
                self._others.add(None)
            self._others.add(subject)
        return False


@dataclass(slots=True)
class RowEdits:
    """Erasures and corrections, ready to be applied to one file.

    With `elements`, an erasure takes the subject's elements out of a row's list and leaves the row. `dated`
    says of whom it takes only older rows. `splices` are the rows that changed or went, in the order of the
    file: None where they are too many, or where a row came to be somebody else's. `positions`, if given,
    collects where rows are in the new content. `owner_of` names, for a field to set, the subject field whose
    person alone it is about, None where it is about whoever the row names.
    """

    erase: frozenset[str]
    changes: ChangesOf
    reference: ReferenceOf
    elements: bool = False
    dated: Dated | None = None
    positions: RowPositions | None = None
    owner_of: OwnerOf = nobody_alone
    splices: list[Splice] | None = field(default_factory=list)
    done: Edited = field(default_factory=Edited)
    _shift: int = 0
    _untouched: Untouched = field(default_factory=Untouched)
    _concerned: Concerned = field(init=False)

    def __post_init__(self) -> None:
        self._concerned = Concerned(self.reference, self.erase | self.changes.keys())

    def proven(
        self, change: Callable[[Iterable[bytes]], Iterable[Piece]], content: Iterable[bytes]
    ) -> Iterator[Piece]:
        """Yield what `change` makes of a file's plain content with these edits.

        Raises UnprovenError, perhaps after some of it, where more of it differs than the rows that `done`
        counts; and what `change` raises.
        """
        yield from self._untouched.written(change(self._untouched.read(content)))
        if self._untouched.splices != self.done.rows_dropped + self.done.rows_changed:
            raise UnprovenError("other rows were written than were counted")

    def applied(self, reader: RowReader, content: Iterable[bytes]) -> Iterator[bytes]:
        """Take a file's plain content in pieces, and yield its new content. Raises LineTooLongError."""
        for block in reader.blocks(content):
            touched = self._concerned.places(block.subjects)
            offset = block.offset + self._shift
            after: dict[int, tuple[bytes | None, Subject]] = {}
            left = self._edited(reader, block, touched, after) if touched else block.content
            if self.positions is not None and left:
                rows, subjects = block.rows, block.subjects
                if after:
                    rows, subjects = _replaced(rows, subjects, after)
                self.positions.take(rows, subjects, offset, ended=left.endswith(b"\n"))
            yield left

    def become(
        self,
        reader: RowReader,
        row: bytes,
        subject: Subject,
        refs: Sequence[str],
        report: Callable[[str], None],
    ) -> bytes | None:
        """Return the row as it has to be, None where it has to go, and count that in `done`.

        `subject` is whose the row is, `refs` the same as references. `report` is told in words what was asked
        and cannot be done.
        """
        gone = self._gone(reader, row, refs)
        if gone and not self.elements:
            self.done.rows_dropped += 1
            self.done.erased |= gone
            return None
        new, left = row, gone
        fault = subject.reason if isinstance(subject, Unreadable) else None
        try:
            if fault is not None and fault not in SURE:
                raise UnreadableRowError(fault)
            if gone and isinstance(reader, ElementReader):
                thinned = reader.without(row, lambda identifier: self.reference(identifier) in gone)
                if thinned is None:
                    raise UnreadableRowError(_NOT_THINNED)
                new, left = thinned, frozenset()
                self.done.erased |= gone
                fault = fault and self._fault_of(reader, new)
            fields = [change for ref in refs if ref not in gone for change in self._changes(reader, row, ref)]
            if fields:
                new = reader.corrected(new, fields) or new
        except UnreadableRowError as error:
            fault = str(error)
            self.done.left |= left
        if fault is not None:
            report(fault)
        is_asked_for = gone or not self.changes.keys().isdisjoint(refs)
        self.done.unattributed_count += isinstance(subject, Unreadable) and not is_asked_for
        self.done.rows_changed += new != row
        return new

    def _fault_of(self, reader: RowReader, row: bytes) -> str | None:
        """Return why a row out of which elements were taken is still unreadable."""
        subjects = [subject for block in reader.blocks([row + b"\n"]) for subject in block.subjects]
        return next((subject.reason for subject in subjects if isinstance(subject, Unreadable)), None)

    def _changes(self, reader: RowReader, row: bytes, ref: str) -> Iterator[Mapping[str, Any]]:
        """Yield the fields to set for one of the people whom the row names. Raises UnreadableRowError."""
        for change in self.changes.get(ref, ()):
            owners = {name: self.owner_of(name) for name in change}
            where = {
                owner: owner is None or ref in map(self.reference, reader.values(row, owner))
                for owner in set(owners.values())
            }
            if fields := {name: value for name, value in change.items() if where[owners[name]]}:
                yield fields

    def _gone(self, reader: RowReader, row: bytes, refs: Sequence[str]) -> frozenset[str]:
        asked = self.erase.intersection(refs)
        gone = self.dated.concerned(reader, row, asked) if self.dated else asked
        self.done.spared |= asked - gone
        return gone

    def note(self, splice: Splice) -> None:
        """Add a row that changed or went to `splices`. In the order of the file."""
        self._untouched.expect(splice)
        self._shift += splice.new - splice.old
        if self.splices is not None:
            self.splices.append(splice)
            if len(self.splices) > _MOST_SPLICES:
                self.splices = None

    def subject_after(self, reader: RowReader, new: bytes, before: Subject) -> Subject:
        """Return whose a changed row is; `before` is whose it was.

        Where it has become somebody else's, `splices` is None from then on: no old position leads to it.
        """
        (block, *more) = reader.blocks([new + b"\n"])
        if more or block.rows != [new]:
            self.splices = None
            return Unreadable("is not one row")
        subject = block.subjects[0]
        if isinstance(subject, Unreadable) or not set(self.references(subject)) <= set(
            self.references(before)
        ):
            self.splices = None
        return subject

    def references(self, subject: Subject) -> list[str]:
        """Return the references of the people that a row names."""
        return [ref for ref in map(self.reference, named(subject)) if ref is not None]

    def _edited(
        self,
        reader: RowReader,
        block: Block,
        touched: Sequence[int],
        after: dict[int, tuple[bytes | None, Subject]],
    ) -> bytes:
        """Edit the rows at the places `touched`; return the block's content then.

        Add to `after`, by their place, the rows that changed or went (None), and whose they are.
        """
        rows, content = block.rows, memoryview(block.content)
        left: list[Piece] = []
        start = place = copied = 0  # the next row, where it begins in the content, what was taken of that
        for position in touched:
            place += sum(map(len, rows[start:position])) + position - start
            start = position + 1
            row, subject = rows[position], block.subjects[position]
            new = self.become(
                reader, row, subject, self.references(subject), partial(self._report, block, position)
            )
            end = place + len(row)
            behind = min(end + 1, len(content))  # its line feed; the last row of a file may have none
            if new != row:
                left.append(content[copied:place])
                copied, size = behind, 0
                after[position] = None, None
                if new is not None:
                    left += new, content[end:behind]
                    size = len(new) + behind - end
                    after[position] = new, self.subject_after(reader, new, subject)
                self.note(Splice(block.offset + place, behind - place, size))
            place = behind
        left.append(content[copied:])
        return b"".join(left)

    def _report(self, block: Block, position: int, reason: str) -> None:
        self.done.unparsed_count += 1
        if len(self.done.unparsed) < REPORTED_LINES:
            self.done.unparsed.append({"line": block.line_of(position), "reason": reason})


def _replaced(
    rows: Sequence[bytes], subjects: Sequence[Subject], after: Mapping[int, tuple[bytes | None, Subject]]
) -> tuple[list[bytes], list[Subject]]:
    """Return rows and whose they are, with those at some places replaced, or left out (None)."""
    new_rows, new_subjects = list(rows), list(subjects)
    for place in sorted(after, reverse=True):
        row, subject = after[place]
        if row is None:
            del new_rows[place], new_subjects[place]
        else:
            new_rows[place], new_subjects[place] = row, subject
    return new_rows, new_subjects
