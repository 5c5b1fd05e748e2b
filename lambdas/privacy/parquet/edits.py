"""What a run's requests do to a parquet file: rows go or change, everything else stays as it is.

One row group is in memory at a time, and of one that changes one column. A file in which nothing changes is
not written at all; a row group in which nothing changes is copied byte for byte.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from privacy.customers.references import ReferenceOf
from privacy.formats.blocks import Subject, Unreadable, UnreadableRowError
from privacy.formats.edits import REPORTED_LINES, ChangesOf, Concerned, Edited
from privacy.formats.paths import EACH, path_of
from privacy.parquet import columns
from privacy.parquet.output import ParquetOutput
from privacy.parquet.source import ParquetSource, leaf_ranges, refusing_damage
from privacy.parquet.subjects import Named, ParquetRows, positions_of

_NO_ELEMENTS: Final = "has the subject's field twice, so that no element can be taken out"


@dataclass(slots=True)
class ParquetEdits:
    """Erasures and corrections, ready to be applied to one file.

    The fields are those of `privacy.formats.readers.AskedOfFile`; `done` says what was done so far.
    """

    subject: str
    erase: frozenset[str]
    changes: ChangesOf
    reference: ReferenceOf
    elements: bool = False
    spare: frozenset[str] = frozenset()
    done: Edited = field(default_factory=Edited)
    _concerned: Concerned = field(init=False)

    def __post_init__(self) -> None:
        self._concerned = Concerned(self.reference, self.erase | self.changes.keys() | self.spare)

    def apply(self, file: IO[bytes], write: Callable[[bytes], object]) -> bool:
        """Write what the file becomes; return False where nothing changes and nothing was written.

        Raises DamagedContentError.
        """
        source = ParquetSource(file)
        reader = ParquetRows(source, self.subject)
        if reader.fault is not None:
            self.report(reader.fault)
            self.done.unattributed_count += 1
        output: ParquetOutput | None = None
        first_row = 1
        for group in range(len(source.groups)):
            edit = _GroupEdit(self, source, group, first_row)
            edit.find(reader.named(group))
            first_row += source.rows_of(group)
            if not edit.changes_something:
                if output is not None:
                    output.copy(group)
                continue
            if output is None:
                output = ParquetOutput(source, write)
                for before in range(group):
                    output.copy(before)
            output.rewrite(group, edit.keep(), edit.columns.get)
        if output is None:
            return False
        output.finish()
        return True

    def codes_concerned(self, subjects: Sequence[Subject]) -> list[int]:
        """Return at which places of the list somebody stands about whom something is asked.

        Also those at which it cannot be told who stands there.
        """
        return self._concerned.places(subjects)

    def report(self, reason: str, row: int | None = None) -> None:
        """Note what cannot be read or changed: a row by its number, from 1, or the file as a whole."""
        self.done.unparsed_count += 1
        if len(self.done.unparsed) < REPORTED_LINES:
            self.done.unparsed.append({"reason": reason} if row is None else {"row": row, "reason": reason})


class _GroupEdit:
    """What is to be done to one row group."""

    def __init__(self, edits: ParquetEdits, source: ParquetSource, group: int, first_row: int) -> None:
        self._edits = edits
        self._source = source
        self._group = group
        self._first_row = first_row
        self._gone: list[int] = []
        self.columns: dict[int, pa.ChunkedArray] = {}
        """New values of changed fields, all rows of the group."""

    @property
    def changes_something(self) -> bool:
        """Whether any row of the group goes or changes."""
        return bool(self._gone or self.columns)

    def keep(self) -> pa.Array | None:
        """Return which rows stay, None where all do."""
        if not self._gone:
            return None
        return columns.mask_without(self._source.rows_of(self._group), self._gone)

    def find(self, named: list[Named]) -> None:
        """Find out, by who stands where in the group, which rows go and which values change.

        Notes it here and counts it in the edits' `done`. Raises DamagedContentError.
        """
        with refusing_damage():
            concerned = self._concerned(named)
        if not concerned:
            return
        edits, done = self._edits, self._edits.done
        thinned: list[int] = []
        wanted: dict[str, dict[int, pa.Scalar]] = {}
        changed: set[int] = set()
        for row, subjects_of_row in sorted(concerned.items()):
            refs = [ref for s in subjects_of_row if isinstance(s, str) if (ref := edits.reference(s))]
            gone = edits.erase.intersection(refs)
            done.spared |= edits.spare.intersection(refs)
            if gone and not edits.elements:
                self._gone.append(row)
                done.rows_dropped += 1
                done.erased |= gone
                continue
            fault = next((s for s in subjects_of_row if isinstance(s, Unreadable)), None)
            try:
                if fault is not None:
                    raise UnreadableRowError(fault.reason)
                if gone:
                    if len(named) != 1:
                        raise UnreadableRowError(_NO_ELEMENTS)
                    thinned.append(row)
                    done.erased |= gone
                self._want(row, [ref for ref in refs if ref not in gone], wanted)
            except UnreadableRowError as error:
                edits.report(str(error), self._first_row + row)
                is_asked_for = gone or not edits.changes.keys().isdisjoint(refs)
                done.unattributed_count += fault is not None and not is_asked_for
        if thinned:
            self._thin(named[0], thinned)
            changed.update(thinned)
        for path, new in wanted.items():
            changed |= self._set(path, new)
        done.rows_changed += len(changed)

    def _concerned(self, named: list[Named]) -> dict[int, list[Subject]]:
        """Return the rows with somebody in them who is asked for, or that cannot be read, and who it is."""
        found: dict[int, list[Subject]] = {}
        for each in named:
            codes = self._edits.codes_concerned(each.subjects)
            if not codes:
                continue
            positions = positions_of(each.codes, codes)
            rows = each.row_numbers(positions)
            for row, code in zip(rows, each.codes.take(positions).to_pylist(), strict=True):
                of_row = found.setdefault(row, [])
                if each.subjects[code] not in of_row:
                    of_row.append(each.subjects[code])
        return found

    def _want(self, row: int, refs: list[str], wanted: dict[str, dict[int, pa.Scalar]]) -> None:
        """Note the values that a row's fields shall have. Raises UnreadableRowError, and notes none then."""
        values: dict[str, Any] = {}
        for ref in refs:
            for change in self._edits.changes.get(ref, ()):
                values |= change
        scalars = {
            path: columns.converted(value, place[2])
            for path, value in values.items()
            if (place := columns.place_of(self._source.schema, path_of(path))) is not None
        }
        for path, scalar in scalars.items():
            wanted.setdefault(path, {})[row] = scalar

    def _set(self, path: str, new: dict[int, pa.Scalar]) -> set[int]:
        """Set a field's values; return the rows in which something changed."""
        place = columns.place_of(self._source.schema, path_of(path))
        if place is None:
            return set()
        number, steps, _ = place
        values = self._values(number)
        with refusing_damage():
            differing = columns.differing(values, steps, new)
            if differing:
                self.columns[number] = pa.chunked_array([columns.with_values(values, steps, differing)])
        return set(differing)

    def _thin(self, named: Named, rows: list[int]) -> None:
        """Take the elements of who is erased out of the rows' lists."""
        edits, steps = self._edits, named.route.steps
        gone = [
            code
            for code, s in enumerate(named.subjects)
            if isinstance(s, str) and edits.reference(s) in edits.erase
        ]
        with refusing_damage():
            of_gone = pc.is_in(named.codes, pa.array(gone, named.codes.type))
            in_rows = pc.is_in(named.rows, pa.array(rows, pa.int64()))
            keep = pc.invert(pc.and_(of_gone, in_rows))
            last = max(place for place, step in enumerate(steps) if step == EACH)
            values = self._values(named.route.field)
            self.columns[named.route.field] = pa.chunked_array(
                [columns.without_elements(values, steps[: last + 1], keep)]
            )

    def _values(self, number: int) -> pa.Array:
        """Return a field's values as changed so far."""
        values = self.columns.get(number)
        if values is None:
            values = self._source.column(self._group, leaf_ranges(self._source.schema)[number])
        with refusing_damage():
            return values.combine_chunks()
