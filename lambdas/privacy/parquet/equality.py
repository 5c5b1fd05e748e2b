"""Whether values are the same, bit for bit: also those that are not equal to themselves (NaN)."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from privacy.parquet.source import metadata_of, opened
from privacy.parquet.thrift import Struct

_ROWS_AT_ONCE = 8_192  # of which most kinds are still in the processor's cache when they are compared


def reads_as(content: pa.Buffer, footer: Struct, wanted: pa.ChunkedArray, **options: Any) -> bool:  # noqa: ANN401 - Arrow's
    """Return whether a file of one field reads as these values, some rows at a time.

    `footer` is what to go by in place of the file's own.
    """
    try:
        reader = opened(pa.BufferReader(content), metadata_of(footer), **options)
        rows = 0
        for batch in reader.iter_batches(_ROWS_AT_ONCE, use_threads=False):
            if not same(batch.column(0), wanted.slice(rows, len(batch))):
                return False
            rows += len(batch)
    except (pa.ArrowException, OSError):
        return False
    return rows == len(wanted)


def same(one: pa.Array | pa.ChunkedArray, other: pa.Array | pa.ChunkedArray) -> bool:
    """Return whether two columns have the same type and the same values, row by row."""
    return one.type == other.type and _same(_whole(one), _whole(other))


def bits(values: pa.Array) -> pa.Array:
    """Return floating-point numbers as whole ones that differ where their bits do; others as they are."""
    return values.view(type_of_bits(values.type))


def type_of_bits(kind: pa.DataType) -> pa.DataType:
    """Return the type that `bits` have."""
    kinds = {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}
    return kinds[kind.bit_width] if pa.types.is_floating(kind) else kind


def _same(one: pa.Array, other: pa.Array) -> bool:
    kind, types = one.type, pa.types
    if not _has_numbers_with_points(kind):
        return bool(one.equals(other))
    if not one.is_null().equals(other.is_null()):
        return False
    if types.is_floating(kind):
        return bool(bits(one.drop_null()).equals(bits(other.drop_null())))
    if types.is_struct(kind):
        return all(
            _same(pc.struct_field(one, [n]), pc.struct_field(other, [n])) for n in range(kind.num_fields)
        )
    if types.is_map(kind):
        entries = pa.list_(pa.struct([kind.key_field, kind.item_field]))
        return _same(one.cast(entries), other.cast(entries))
    lengths = [pc.list_value_length(each) for each in (one, other)]
    return bool(lengths[0].equals(lengths[1])) and _same(pc.list_flatten(one), pc.list_flatten(other))


def _has_numbers_with_points(kind: pa.DataType) -> bool:
    if pa.types.is_nested(kind):
        return any(_has_numbers_with_points(kind.field(number).type) for number in range(kind.num_fields))
    return bool(pa.types.is_floating(kind))


def _whole(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    if not isinstance(values, pa.ChunkedArray):
        return values
    return values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()
