"""Whose the rows of a parquet file are: of a row group, only the subject's columns are read and decoded.

Values repeat, so each different one is looked at once, and rows are found by comparing numbers in Arrow.
"""

import math
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from privacy.customers.addresses import may_be_address
from privacy.customers.numbers import shortest
from privacy.customers.references import ReferenceOf, is_too_long
from privacy.formats.blocks import Subject, Unreadable
from privacy.formats.blocks import named as named_by
from privacy.formats.compression import DamagedContentError
from privacy.formats.paths import EACH, NO_ADDRESS, TOO_LONG, Path, path_of, printed
from privacy.formats.proof import UnprovenError
from privacy.formats.readers import Subjects
from privacy.parquet.dictionaries import has_unused_values, unused_values
from privacy.parquet.source import (
    ELSEWHERE,
    ENCRYPTED,
    ParquetSource,
    leaf_ranges,
    leaves_of,
    refusing_damage,
)
from privacy.unattributed import UNUSED_VALUES, Reason, Unattributed

Step = int | str
"""A struct's field by its number, or EACH."""

NO_COLUMN: Final = "file without the subject's column"
_NOT_SINGLE: Final = "subject field is not a single value"
_NOT_UTF8: Final = Unreadable("not UTF-8")
_TOO_LONG: Final = Unreadable(TOO_LONG)
_UUID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Route:
    """A way to a subject field in a file's schema: the top field, the steps inside it, parquet's column."""

    subject: str
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

    def __init__(self, source: ParquetSource, subjects: Sequence[str], *, addresses: bool) -> None:
        self._source: Final = source
        self._addresses: Final = addresses
        faults: set[str] = set()
        self.routes: Final = [route for subject in subjects for route in _routes(source, subject, faults)]
        self.fault: Final = min(faults, default=None)

    def named(self, group: int) -> list[Named]:
        """Return who stands in a row group. Raises DamagedContentError."""
        with refusing_damage():
            return [self._named(group, route) for route in self.routes]

    def unused(self, group: int, named: Sequence[Named]) -> list[Subject]:
        """Return whom a row group names in dictionaries alone: nobody's rows, but the bytes are there.

        `named` is who stands in its rows. Raises DamagedContentError, and UnprovenError where that cannot be
        told.
        """
        found: list[Subject] = []
        for each in named:
            values = unused_values(self._source, group, each.route.leaf, len(each.subjects))
            if values is not None:
                found += self._subjects(values, each.route)
        return found

    def _named(self, group: int, route: Route) -> Named:
        values = self._source.column(group, range(route.leaf, route.leaf + 1)).combine_chunks()
        values, rows = _elements(values, route.steps)
        encoded = values.dictionary_encode()
        return Named(route, self._subjects(encoded.dictionary, route), encoded.indices, rows)

    def _subjects(self, values: pa.Array, route: Route) -> list[Subject]:
        """Return the subjects that different values name. One that nobody could ask for is Unreadable, and
        where addresses are to stand, one that is none."""
        found = _subjects(values, is_uuid=route.is_uuid)
        if not self._addresses:
            return found
        return [
            Unreadable(NO_ADDRESS, (s,)) if isinstance(s, str) and not may_be_address(s) else s for s in found
        ]


def subjects_of(
    file: IO[bytes],
    subjects: Sequence[str],
    personal: Collection[str],
    reference: ReferenceOf,
    *,
    addresses: bool = False,
) -> Subjects:
    """Return whose the rows of a file are, and what of it nobody can attribute.

    That is also so of values of the `personal` fields that no row has. Who stands in a dictionary alone has
    no row, and is there all the same. A file that is damaged, or lacks one of the fields `subjects`, counts
    as one unreadable row. Of one with damaged row groups the others are read. With `addresses`, whoever is
    named otherwise than by an e-mail address has a row that cannot be read.
    """
    try:
        source = ParquetSource(file)
        reader = ParquetRows(source, subjects, addresses=addresses)
        fields = fields_of(source, personal)
    except DamagedContentError as error:
        return Subjects(unreadable=1, unattributed=Unattributed(_reason(error), "all", str(error)))
    found = Subjects(unreadable=int(reader.fault is not None))
    first_row = 1
    has_unused = False
    for group in range(len(source.groups)):
        rows = source.rows_of(group)
        try:
            named = reader.named(group)
            of_group, faulty = count(named, reference)
            found.rows.update(of_group)
            if faulty:
                found.unattributed = _joined(
                    found, Unattributed("unreadable-rows", "rows", _detail(named), faulty, first_row)
                )
            found.unreadable += faulty
            unused = reader.unused(group, named)
            refs = (reference(identifier) for s in unused for identifier in named_by(s))
            found.rows.update(dict.fromkeys(filter(None, refs), 0))
            has_unused |= bool(unused) or any(has_unused_values(source, group, n) for n in fields)
        except (DamagedContentError, UnprovenError) as error:
            found.unattributed = _joined(
                found, Unattributed(_reason(error), "rows", str(error), rows, first_row)
            )
            found.unreadable += 1
        first_row += rows
    if reader.fault is not None:
        reason: Reason = "no-field" if reader.fault == NO_COLUMN else "unreadable-rows"
        found.unattributed = Unattributed(reason, "rows" if found.rows else "all", reader.fault)
    if has_unused:
        left = found.unattributed
        found.unattributed = UNUSED_VALUES if left is None else replace(left, unused=True)
    return found


def fields_of(source: ParquetSource, paths: Iterable[str]) -> set[int]:
    """Return the numbers of the fields of the schema in which something stands at one of the paths."""
    return {number for path in paths for number in source.schema.get_all_field_indices(path_of(path)[0])}


def _detail(named: Sequence[Named]) -> str:
    """Return why there are rows in a row group that cannot be read."""
    return min(s.reason for each in named for s in each.subjects if isinstance(s, Unreadable))


def _joined(found: Subjects, more: Unattributed) -> Unattributed:
    """Return what of a file could not be attributed so far together with what of a row group could not."""
    before = found.unattributed
    if before is None:
        return more
    # Damage says more than values that are no text.
    gravest = more if before.reason == "unreadable-rows" and before.part == "rows" else before
    rows = None if before.rows is None or more.rows is None else before.rows + more.rows
    return replace(gravest, rows=rows, line=before.line)


def _reason(error: Exception) -> Reason:
    reasons: dict[str, Reason] = {ENCRYPTED: "encrypted", ELSEWHERE: "summary-file"}
    return reasons.get(str(error), "damaged")


def count(named: Sequence[Named], reference: ReferenceOf) -> tuple[Counter[str], int]:
    """Return how many rows of a row group each subject has, and how many rows cannot be read."""
    found: Counter[str] = Counter()
    unreadable: set[int] = set()
    numbers: dict[str, int] = {}
    several: list[tuple[pa.Array, pa.Array]] = []  # the rows, and the numbers of who stands in them
    for each in named:
        refs = [next(map(reference, named_by(s)), None) for s in each.subjects]
        faulty = [code for code, subject in enumerate(each.subjects) if isinstance(subject, Unreadable)]
        if faulty:
            unreadable.update(each.row_numbers(positions_of(each.codes, faulty)))
        if len(named) == 1 and each.rows is None:
            for entry in pc.value_counts(each.codes.drop_null()).to_pylist():
                if (ref := refs[entry["values"]]) is not None:
                    found[ref] += entry["counts"]
            continue
        people = pa.array(
            [None if ref is None else numbers.setdefault(ref, len(numbers)) for ref in refs], pa.int64()
        ).take(each.codes)
        kept = pc.indices_nonzero(people.is_valid())
        rows = kept if each.rows is None else each.rows.take(kept)
        several.append((rows.cast(pa.int64()), people.take(kept)))
    if numbers:
        found += _rows_of_each(several, list(numbers))
    return found, len(unreadable)


def _rows_of_each(several: Sequence[tuple[pa.Array, pa.Array]], refs: Sequence[str]) -> Counter[str]:
    """Return how many rows each has, who may stand in one of them more than once."""
    size = len(refs)
    pairs = pa.chunked_array([pc.add(pc.multiply(rows, size), people) for rows, people in several]).unique()
    people = pc.subtract(pairs, pc.multiply(pc.divide(pairs, size), size))
    return Counter({refs[each["values"]]: each["counts"] for each in people.value_counts().to_pylist()})


def positions_of(codes: pa.Array, wanted: Sequence[int]) -> pa.Array:
    """Return at which positions one of these codes stands."""
    return pc.indices_nonzero(pc.is_in(codes, pa.array(wanted, codes.type)))


def _routes(source: ParquetSource, subject: str, faults: set[str]) -> list[Route]:
    path = path_of(subject)
    ranges = leaf_ranges(source.schema)
    found = []
    for number in source.schema.get_all_field_indices(path[0]):
        for steps, place in _below(source.schema.field(number).type, path[1:], faults):
            leaf = ranges[number].start + place
            logical = source.arrow.schema.column(leaf).logical_type.type
            found.append(Route(subject, number, steps, leaf, is_uuid=logical == "UUID"))
    if not found and not faults:
        faults.add(NO_COLUMN)
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


def _subjects(values: pa.Array, *, is_uuid: bool) -> list[Subject]:
    """Return the subjects that different values name. One that nobody could ask for is Unreadable."""
    found = _found(values, is_uuid=is_uuid)
    return [_TOO_LONG if isinstance(s, str) and is_too_long(s) else s for s in found]


def _found(values: pa.Array, *, is_uuid: bool) -> list[Subject]:
    if pa.types.is_floating(values.type):
        return list(map(_number, values.to_pylist(), values.cast(pa.string()).to_pylist()))
    if pa.types.is_string(values.type):
        try:
            texts: list[Subject] = values.to_pylist()
        except UnicodeDecodeError:
            values = values.cast(pa.binary())
        else:
            return texts
    return [_subject(value, is_uuid=is_uuid) for value in values.to_pylist()]


def _subject(value: Any, *, is_uuid: bool) -> Subject:  # noqa: ANN401 - any value of a column
    if isinstance(value, bytes):
        if is_uuid and len(value) == _UUID_BYTES:
            return str(uuid.UUID(bytes=value))
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return _NOT_UTF8
    if isinstance(value, Decimal):
        return shortest(format(value, "f"))
    return printed(value)


def _number(value: float | None, spelled: str) -> str | None:
    """Print a floating-point number, which its type spells so, by the rule for all formats.

    A whole one prints as the number that it holds, to the last digit: ids in a column with nulls often are
    floats.
    """
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return str(int(value)) if value.is_integer() else shortest(spelled)
