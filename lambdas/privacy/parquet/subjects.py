"""Whose the rows of a parquet file are: of a row group, only the subject's columns are read and decoded.

Values repeat, so each different one is looked at once, and rows are found by comparing numbers in Arrow.
"""

import math
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from privacy.customers.references import ReferenceOf
from privacy.formats.blocks import Subject, Unreadable
from privacy.formats.compression import DamagedContentError
from privacy.formats.paths import EACH, Path, path_of, printed
from privacy.formats.readers import Subjects
from privacy.parquet.source import (
    ELSEWHERE,
    ENCRYPTED,
    ParquetSource,
    leaf_ranges,
    leaves_of,
    refusing_damage,
)
from privacy.unattributed import Reason, Unattributed

Step = int | str
"""A struct's field by its number, or EACH."""

NO_COLUMN: Final = "file without the subject's column"
_NOT_SINGLE: Final = "subject field is not a single value"
_NOT_UTF8: Final = Unreadable("not UTF-8")
_UUID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Route:
    """A way to the subject in a file's schema: the field, the steps inside it, and parquet's column."""

    field: int
    steps: tuple[Step, ...]
    leaf: int
    is_uuid: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """What stands at one route in a row group.

    `subjects` are the different values, None where a value names nobody; `codes` says for each element which
    of them it has (null: none), and `rows` in which row of the group it stands (None: one a row).
    """

    route: Route
    subjects: list[Subject]
    codes: pa.Array
    rows: pa.Array | None

    def row_numbers(self, positions: pa.Array) -> list[int]:
        """Return the rows, from 0, in which elements at these positions stand."""
        numbers: list[int] = (positions if self.rows is None else self.rows.take(positions)).to_pylist()
        return numbers


class ParquetRows:
    """Reads one parquet file's subjects. `fault` says why nobody's rows can be told, else it is None."""

    def __init__(self, source: ParquetSource, subject: str) -> None:
        self._source: Final = source
        faults: set[str] = set()
        self.routes: Final = _routes(source, path_of(subject), faults)
        if not self.routes and not faults:
            faults.add(NO_COLUMN)
        self.fault: Final = min(faults, default=None)

    def named(self, group: int) -> list[Named]:
        """Return who stands in a row group. Raises DamagedContentError."""
        with refusing_damage():
            return [self._named(group, route) for route in self.routes]

    def _named(self, group: int, route: Route) -> Named:
        values = self._source.column(group, range(route.leaf, route.leaf + 1)).combine_chunks()
        values, rows = _elements(values, route.steps)
        encoded = values.dictionary_encode()
        subjects: list[Subject] = encoded.dictionary.to_pylist()
        if not pa.types.is_string(values.type):
            subjects = [_subject(value, is_uuid=route.is_uuid) for value in subjects]
        return Named(route, subjects, encoded.indices, rows)


def subjects_of(file: IO[bytes], subject: str, reference: ReferenceOf) -> Subjects:
    """Return how many rows of a file each subject has, and what of it nobody can attribute.

    A file that is damaged, or has no field of the name `subject`, counts as one unreadable row. Of one with
    damaged row groups the others are read.
    """
    try:
        source = ParquetSource(file)
        reader = ParquetRows(source, subject)
    except DamagedContentError as error:
        return Subjects(unreadable=1, unattributed=Unattributed(_reason(error), "all", str(error)))
    found = Subjects()
    if reader.fault is not None:
        found.unreadable = 1
        reason: Reason = "no-field" if reader.fault == NO_COLUMN else "unreadable-rows"
        found.unattributed = Unattributed(reason, "all", reader.fault)
    first_row = 1
    for group in range(len(source.groups)):
        rows = source.rows_of(group)
        try:
            of_group, faulty = count(reader.named(group), reference)
            found.rows += of_group
            if faulty:
                found.unattributed = _joined(
                    found, Unattributed("unreadable-rows", "rows", None, faulty, first_row)
                )
            found.unreadable += faulty
        except DamagedContentError as error:
            found.unattributed = _joined(
                found, Unattributed(_reason(error), "rows", str(error), rows, first_row)
            )
            found.unreadable += 1
        first_row += rows
    return found


def _joined(found: Subjects, more: Unattributed) -> Unattributed:
    """Return what of a file could not be attributed so far together with what of a row group could not."""
    before = found.unattributed
    if before is None:
        return more
    # Damage says more than values that are no text.
    gravest = more if before.reason == "unreadable-rows" and before.part == "rows" else before
    rows = None if before.rows is None or more.rows is None else before.rows + more.rows
    return replace(gravest, rows=rows, line=before.line)


def _reason(error: DamagedContentError) -> Reason:
    return {ENCRYPTED: "encrypted", ELSEWHERE: "summary-file"}.get(str(error), "damaged")  # type: ignore[return-value]


def count(named: Sequence[Named], reference: ReferenceOf) -> tuple[Counter[str], int]:
    """Return how many rows of a row group each subject has, and how many rows cannot be read."""
    found: Counter[str] = Counter()
    unreadable: set[int] = set()
    several: set[tuple[int, str]] = set()
    for each in named:
        refs = [reference(s) if isinstance(s, str) else None for s in each.subjects]
        faulty = [code for code, subject in enumerate(each.subjects) if isinstance(subject, Unreadable)]
        if faulty:
            unreadable.update(each.row_numbers(positions_of(each.codes, faulty)))
        if len(named) == 1 and each.rows is None:
            for entry in pc.value_counts(each.codes.drop_null()).to_pylist():
                if (ref := refs[entry["values"]]) is not None:
                    found[ref] += entry["counts"]
            continue
        kept = pc.indices_nonzero(each.codes.is_valid())
        codes = each.codes.take(kept).to_pylist()
        several.update(
            (row, ref)
            for row, code in zip(each.row_numbers(kept), codes, strict=True)
            if (ref := refs[code]) is not None
        )
    found.update(ref for _, ref in several)
    return found, len(unreadable)


def positions_of(codes: pa.Array, wanted: Sequence[int]) -> pa.Array:
    """Return at which positions one of these codes stands."""
    return pc.indices_nonzero(pc.is_in(codes, pa.array(wanted, codes.type)))


def _routes(source: ParquetSource, path: Path, faults: set[str]) -> list[Route]:
    ranges = leaf_ranges(source.schema)
    found = []
    for number in source.schema.get_all_field_indices(path[0]):
        for steps, place in _below(source.schema.field(number).type, path[1:], faults):
            leaf = ranges[number].start + place
            logical = source.arrow.schema.column(leaf).logical_type.type
            found.append(Route(number, steps, leaf, is_uuid=logical == "UUID"))
    return found


def _below(kind: pa.DataType, path: Path, faults: set[str]) -> list[tuple[tuple[Step, ...], int]]:
    """Return the steps to every leaf at the path, each with its number among the type's leaves."""
    if pa.types.is_null(kind):
        return [((), 0)]  # nothing but nulls, which name nobody wherever they stand
    if not path:
        if not _is_single(kind):
            faults.add(_NOT_SINGLE)
            return []
        return [((), 0)]
    step, rest = path[0], path[1:]
    if step == EACH:
        if not pa.types.is_list(kind):
            faults.add("list of the subject field is not a list")
            return []
        return [((EACH, *steps), place) for steps, place in _below(kind.value_type, rest, faults)]
    if not pa.types.is_struct(kind):
        faults.add("parent of the subject field is not an object")
        return []
    found: list[tuple[tuple[Step, ...], int]] = []
    before = 0
    for number in range(kind.num_fields):
        field = kind.field(number)
        if field.name == step:
            found += [((number, *steps), before + place) for steps, place in _below(field.type, rest, faults)]
        before += leaves_of(field.type)
    return found


def _is_single(kind: pa.DataType) -> bool:
    types = pa.types
    return any(
        test(kind)
        for test in (
            *(types.is_string, types.is_binary, types.is_fixed_size_binary),
            *(types.is_integer, types.is_floating, types.is_decimal, types.is_boolean),
        )
    )


def _elements(values: pa.Array, steps: Sequence[Step]) -> tuple[pa.Array, pa.Array | None]:
    """Return the elements that the steps lead to, and the row of each (None: one a row)."""
    rows: pa.Array | None = None
    for step in steps:
        if step == EACH:
            parents = pc.list_parent_indices(values)
            rows = parents if rows is None else rows.take(parents)
            values = pc.list_flatten(values)
        else:
            # The column was read alone: each struct has just this field. It is null where the struct is.
            values = pc.struct_field(values, [0])
    return values, rows


def _subject(value: Any, *, is_uuid: bool) -> Subject:  # noqa: ANN401 - any value of a column
    if isinstance(value, bytes):
        if is_uuid and len(value) == _UUID_BYTES:
            return str(uuid.UUID(bytes=value))
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return _NOT_UTF8
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Decimal):
        return _shortest(format(value, "f"))
    return printed(value)


def _shortest(digits: str) -> str:
    shortest = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return "0" if shortest == "-0" else shortest


def _number(value: float) -> str | None:
    """Print a floating-point number, a whole one as such: ids in a column with nulls often are floats."""
    if math.isnan(value):
        return None
    if value.is_integer():
        return str(int(value))
    return repr(value)
