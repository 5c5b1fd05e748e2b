"""Columns of a parquet row group changed in memory: values set, elements of lists taken out."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import accumulate
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from privacy.formats.blocks import UnreadableRowError
from privacy.formats.paths import EACH, Number
from privacy.parquet.subjects import Step

TWICE: Final = "file has the field twice, so that it cannot be set"
DOES_NOT_FIT: Final = "a new value does not fit the type of its column"


def converted(value: Any, field: pa.Field) -> pa.Scalar:  # noqa: ANN401 - any scalar of JSON
    """Return a value read by `loads_exactly` as one of the column's. Raises UnreadableRowError.

    Text goes into columns of text, and dates and times as ISO 8601 writes them; numbers go into numeric
    columns that can hold them, true and false into Boolean ones, null where the column takes it.
    """
    try:
        return _converted(value, field)
    except (pa.ArrowException, ArithmeticError, ValueError, OverflowError):
        raise UnreadableRowError(DOES_NOT_FIT) from None


def _converted(value: Any, field: pa.Field) -> pa.Scalar:  # noqa: ANN401 - any scalar of JSON
    kind, types = field.type, pa.types
    if value is None and field.nullable:
        return pa.scalar(None, kind)
    if isinstance(value, bool):
        if types.is_boolean(kind):
            return pa.scalar(value, kind)
    elif isinstance(value, Number):
        if types.is_integer(kind):
            return pa.scalar(int(value), kind)
        if types.is_floating(kind):
            return pa.scalar(float(value)).cast(kind)
        if types.is_decimal(kind):
            return pa.scalar(Decimal(value), kind)
    elif isinstance(value, str):
        if types.is_string(kind):
            return pa.scalar(value, kind)
        if types.is_binary(kind):
            return pa.scalar(value.encode("utf-8"), kind)
        if types.is_date(kind) or types.is_timestamp(kind):
            return pa.scalar(value).cast(kind)
    raise ValueError


def place_of(schema: pa.Schema, path: Sequence[str]) -> tuple[int, tuple[int, ...], pa.Field] | None:
    """Return the top field, the steps below it and the field itself at a path through structs, or None.

    Raises UnreadableRowError where two fields have one name: nobody can tell which of them is meant.
    """
    found = _only(schema.get_all_field_indices(path[0]))
    if found is None:
        return None
    field = schema.field(found)
    steps: list[int] = []
    for name in path[1:]:
        if not pa.types.is_struct(field.type):
            return None
        below = _only(field.type.get_all_field_indices(name))
        if below is None:
            return None
        steps.append(below)
        field = field.type.field(below)
    return found, tuple(steps), field


def _only(found: Sequence[int]) -> int | None:
    if len(found) > 1:
        raise UnreadableRowError(TWICE)
    return found[0] if found else None


def differing(
    values: pa.Array, steps: Sequence[int], wanted: Mapping[int, pa.Scalar]
) -> dict[int, pa.Scalar]:
    """Return those of the wanted values, by row, that are not there already and whose parent is there."""
    leaf, parent = values, None
    for step in steps:
        leaf, parent = pc.struct_field(leaf, [step]), leaf
    return {
        row: value
        for row, value in wanted.items()
        if (parent is None or parent[row].is_valid) and not leaf[row].equals(value)
    }


def with_values(values: pa.Array, steps: Sequence[int], new: Mapping[int, pa.Scalar]) -> pa.Array:
    """Return a column with values set by row, in the field that the steps lead to."""
    if steps:
        children = [values.field(number) for number in range(values.type.num_fields)]
        children[steps[0]] = with_values(children[steps[0]], steps[1:], new)
        return pa.StructArray.from_arrays(children, fields=list(values.type), mask=_nulls(values))
    order = list(range(len(values)))
    for position, row in enumerate(new, start=len(values)):
        order[row] = position
    added = pa.array([value.as_py() for value in new.values()], values.type)
    return pa.concat_arrays([values, added]).take(pa.array(order, pa.int64()))


def without_elements(values: pa.Array, steps: Sequence[Step], keep: pa.Array) -> pa.Array:
    """Return a column without some elements of the last list on the way.

    `keep` says of each of its elements, over all rows, whether it stays.
    """
    step, rest = steps[0], steps[1:]
    if step != EACH:
        children = [values.field(number) for number in range(values.type.num_fields)]
        children[int(step)] = without_elements(children[int(step)], rest, keep)
        return pa.StructArray.from_arrays(children, fields=list(values.type), mask=_nulls(values))
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_pylist()
    elements = pc.list_flatten(values)
    if EACH in rest:
        elements = without_elements(elements, rest, keep)
    else:
        for row in pc.list_parent_indices(values).filter(pc.invert(keep)).to_pylist():
            lengths[row] -= 1
        elements = elements.filter(keep)
    offsets = pa.array(accumulate(lengths, initial=0), pa.int32())
    return pa.ListArray.from_arrays(offsets, elements, type=values.type, mask=_nulls(values))


def mask_without(size: int, gone: Iterable[int]) -> pa.Array:
    """Return a mask of `size` places that is false at those that are gone."""
    bits = bytearray(b"\xff" * -(-size // 8))
    for place in gone:
        bits[place >> 3] &= ~(1 << (place & 7))
    return pa.Array.from_buffers(pa.bool_(), size, [None, pa.py_buffer(bytes(bits))])


def _nulls(values: pa.Array) -> pa.Array | None:
    return values.is_null() if values.null_count else None
