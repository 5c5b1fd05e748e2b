"""What a run's requests do to a parquet file: rows go or change, everything else stays as it is.

One row group is in memory at a time, and of one that changes one column. A file in which nothing changes is
not written at all; a row group in which nothing changes is copied byte for byte.

Values that stand in dictionaries without being in any row (`privacy.parquet.dictionaries`) are a reason to
write the file, if they are personal: nobody can tell whose they are. What is written has none of them.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from privacy.customers.references import ReferenceOf
from privacy.formats.blocks import Subject, Unreadable, UnreadableRowError
from privacy.formats.blocks import named as named_by
from privacy.formats.compression import DamagedContentError
from privacy.formats.edits import REPORTED_LINES, SURE, ChangesOf, Concerned, Edited, OwnerOf, nobody_alone
from privacy.formats.paths import EACH, path_of
from privacy.parquet import columns
from privacy.parquet.dictionaries import has_unused_values, unused_values
from privacy.parquet.output import Changed, ParquetOutput
from privacy.parquet.source import ParquetSource, leaf_ranges, refusing_damage
from privacy.parquet.subjects import Named, ParquetRows, Step, fields_of, positions_of

_IN_METADATA: Final = "key-value metadata of the file name the subject"
_TELLING: Final = 6  # characters from which on an identifier in metadata is no chance
_NO_ELEMENTS: Final = "has the subject's field twice, so that no element can be taken out"


@dataclass(slots=True)
class ParquetEdits:
    """Erasures and corrections, ready to be applied to one file.

    The fields are those of `privacy.formats.readers.AskedOfFile`; `done` says what was done so far, and
    `erased_here` has the identifiers of those of whom something went.
    """

    subjects: Sequence[str]
    erase: frozenset[str]
    changes: ChangesOf
    reference: ReferenceOf
    elements: bool = False
    spare: frozenset[str] = frozenset()
    personal: frozenset[str] = frozenset()
    addresses: bool = False
    owner_of: OwnerOf = nobody_alone
    done: Edited = field(default_factory=Edited)
    erased_here: set[str] = field(default_factory=set)
    _concerned: Concerned = field(init=False)

    def __post_init__(self) -> None:
        self._concerned = Concerned(self.reference, self.erase | self.changes.keys() | self.spare)

    def apply(self, file: IO[bytes], write: Callable[[bytes], object]) -> bool:
        """Write what the file becomes; return False where nothing changes and nothing was written.

        Raises DamagedContentError, and UnprovenError where it is not proven that all else stays as it is.
        """
        try:
            return self._applied(file, write)
        except (IndexError, KeyError, TypeError):
            # Arrow passes over what is optional in the footer and of another type than the format says.
            raise DamagedContentError("parquet content is damaged") from None

    def _applied(self, file: IO[bytes], write: Callable[[bytes], object]) -> bool:
        source = ParquetSource(file)
        reader = ParquetRows(source, self.subjects, addresses=self.addresses)
        if reader.fault is not None:
            self.report(reader.fault)
            self.done.unattributed_count += 1
        personal = fields_of(source, [*self.subjects, *self.personal])
        output: ParquetOutput | None = None
        first_row = 1
        unused: set[str] = set()
        for group in range(len(source.groups)):
            edit = _GroupEdit(self, source, group, first_row)
            named = reader.named(group)
            edit.find(named)
            first_row += source.rows_of(group)
            unnamed = reader.unused(group, named)
            unused.update(self.references(unnamed))
            self.erased_here.update(self.erased_of(unnamed))
            if output is None:
                if not edit.changes_something and not edit.has_unused(personal):
                    continue
                output = ParquetOutput(source, write)
                for before in range(group):
                    # Nothing of these changes; the number of their first row does not matter.
                    _GroupEdit(self, source, before, 0).write(output)
            edit.write(output)
        if output is None:
            return False
        output.finish()
        if any(self._is_in_metadata(source, identifier) for identifier in self.erased_here):
            self.report(_IN_METADATA)
        if unused:
            self.done.erased |= unused & self.erase
            for group in range(len(source.groups)):
                for each in reader.named(group):
                    unused.difference_update(self.references(each.subjects))
            self.done.unnamed = unused
        return True

    def codes_concerned(self, subjects: Sequence[Subject]) -> list[int]:
        """Return at which places of the list somebody stands about whom something is asked.

        Also those at which it cannot be told who stands there.
        """
        return self._concerned.places(subjects)

    def erased_of(self, subjects: Iterable[Subject]) -> Iterator[str]:
        """Yield the identifiers among these of who is to be erased."""
        return (each for s in subjects for each in named_by(s) if self.reference(each) in self.erase)

    def references(self, subjects: Iterable[Subject]) -> Iterator[str]:
        """Yield the references of these."""
        return (ref for s in subjects for each in named_by(s) if (ref := self.reference(each)) is not None)

    def _is_in_metadata(self, source: ParquetSource, identifier: str) -> bool:
        if len(identifier) < _TELLING or identifier.isdecimal():
            return False
        text = identifier.encode()
        alone = re.compile(rb"(?<!\w)" + re.escape(text) + rb"(?!\w)")
        return any(text in value and alone.search(value) for value in source.key_values())

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
        self.columns: dict[int, Changed] = {}
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
            refs = list(edits.references(subjects_of_row))
            gone = edits.erase.intersection(refs)
            edits.erased_here.update(edits.erased_of(subjects_of_row))
            done.spared |= edits.spare.intersection(refs)
            if gone and not edits.elements:
                self._gone.append(row)
                done.rows_dropped += 1
                done.erased |= gone
                continue
            # With the row, or its element, the reason goes.
            staying = (s for s in subjects_of_row if not any(edits.erased_of([s])))
            faults = {s.reason for s in staying if isinstance(s, Unreadable)}
            fault = min(faults, default=None)
            try:
                if faults - SURE:
                    raise UnreadableRowError(min(faults - SURE))
                if gone:
                    if len(named) != len(edits.subjects):
                        raise UnreadableRowError(_NO_ELEMENTS)
                    thinned.append(row)
                    done.erased |= gone
                self._want(row, [ref for ref in refs if ref not in gone], subjects_of_row, wanted)
            except UnreadableRowError as error:
                fault = str(error)
                if row not in thinned[-1:]:
                    done.left |= gone
            if fault is not None:
                edits.report(fault, self._first_row + row)
            is_asked_for = gone or not edits.changes.keys().isdisjoint(refs)
            done.unattributed_count += bool(faults) and not is_asked_for
        if thinned:
            self._thin(named, thinned)
            changed.update(thinned)
        for path, new in wanted.items():
            changed |= self._set(path, new)
        done.rows_changed += len(changed)

    def has_unused(self, fields: Iterable[int]) -> bool:
        """Return whether one of these fields has values in a dictionary that no row has."""
        return any(has_unused_values(self._source, self._group, number) for number in fields)

    def write(self, output: ParquetOutput) -> None:
        """Write what the group becomes, without values that no row has; these are counted in `done`.

        Raises DamagedContentError and UnprovenError.
        """
        anew: set[int] = set()
        for number, leaves in enumerate(() if self._gone else leaf_ranges(self._source.schema)):
            for leaf in () if number in self.columns else leaves:
                values = unused_values(self._source, self._group, leaf)
                if values is not None:
                    self._edits.done.unused_dropped += len(values)
                    anew.add(number)
        if self.changes_something or anew:
            output.rewrite(self._group, self.keep(), self.columns, anew)
        else:
            output.copy(self._group)

    def _concerned(self, named: list[Named]) -> dict[int, dict[Subject, set[str]]]:
        """Return the rows with somebody in them who is asked for, or that cannot be read.

        Of each row who that is, and in which of the subject fields.
        """
        found: dict[int, dict[Subject, set[str]]] = {}
        for each in named:
            codes = self._edits.codes_concerned(each.subjects)
            if not codes:
                continue
            positions = positions_of(each.codes, codes)
            rows = each.row_numbers(positions)
            for row, code in zip(rows, each.codes.take(positions).to_pylist(), strict=True):
                fields = found.setdefault(row, {}).setdefault(each.subjects[code], set())
                fields.add(each.route.subject)
        return found

    def _want(
        self,
        row: int,
        refs: list[str],
        subjects: Mapping[Subject, set[str]],
        wanted: dict[str, dict[int, pa.Scalar]],
    ) -> None:
        """Note the values that a row's fields shall have. Raises UnreadableRowError, and notes none then.

        `subjects` are the people of the row, each with the subject fields in which they stand.
        """
        edits = self._edits
        values: dict[str, Any] = {}
        for ref in refs:
            its_own = {
                field for s, fields in subjects.items() if ref in edits.references([s]) for field in fields
            }
            for change in edits.changes.get(ref, ()):
                for path, value in change.items():
                    if (owner := edits.owner_of(path)) is None or owner in its_own:
                        values[path] = value
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
                self._change(number, columns.with_values(values, steps, differing), differing.keys())
        return set(differing)

    def _thin(self, named: Sequence[Named], rows: list[int]) -> None:
        """Take the elements of who is erased out of the rows' lists."""
        with refusing_damage():
            keeps: dict[tuple[int, tuple[Step, ...]], pa.Array] = {}
            changed: dict[int, set[int]] = {}
            for each in named:
                steps, number = each.route.steps, each.route.field
                last = max(place for place, step in enumerate(steps) if step == EACH)
                here, keep = (number, steps[: last + 1]), self._keep(each, rows)
                # Two fields of one list's elements: whoever stands in either takes the element along.
                keeps[here] = pc.and_(keeps[here], keep) if here in keeps else keep
                changed.setdefault(number, set()).update(
                    each.row_numbers(pc.indices_nonzero(pc.invert(keep)))
                )
            # A list in the elements of another comes first: the outer one keeps its length then.
            for (number, steps), keep in sorted(keeps.items(), key=lambda item: -item[0][1].count(EACH)):
                if changed[number]:
                    values = columns.without_elements(self._values(number), steps, keep)
                    self._change(number, values, changed[number])

    def _keep(self, named: Named, rows: list[int]) -> pa.Array:
        """Return which elements of the list stay: those outside the rows, and those of others."""
        gone = [code for code, s in enumerate(named.subjects) if any(self._edits.erased_of([s]))]
        of_gone = pc.is_in(named.codes, pa.array(gone, named.codes.type))
        return pc.invert(pc.and_(of_gone, pc.is_in(named.rows, pa.array(rows, pa.int64()))))

    def _values(self, number: int) -> pa.Array:
        """Return a field's values as changed so far."""
        changed = self.columns.get(number)
        if changed is None:
            values = self._source.column(self._group, leaf_ranges(self._source.schema)[number])
        else:
            values = changed.values
        with refusing_damage():
            return values.combine_chunks()

    def _change(self, number: int, values: pa.Array, rows: Iterable[int]) -> None:
        """Note a field's values, which changed in these rows."""
        before = self.columns[number].rows if number in self.columns else set()
        self.columns[number] = Changed(pa.chunked_array([values]), before.union(rows))
