"""Values that stand in a chunk's dictionary page and in none of its rows.

Writers that hold a column as categories (pandas, Polars, Arrow's dictionary type) put all of them into each
row group and each file, whoever is in its rows. Such a value is read by nobody who reads rows, and found by
everybody who looks at the bytes.

A dictionary page is read as what it is: a page of plain values. Of the rows, only those pages are decoded
that refer to the dictionary, and of text only the numbers in them.
"""

import io
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from privacy.parquet import thrift
from privacy.parquet.equality import bits, type_of_bits
from privacy.parquet.narrow import is_repeated, leaf_footer, name_of, required
from privacy.parquet.pages import (
    DICTIONARIES,
    DICTIONARY_HEADER,
    PAGE_BYTES,
    PAGE_VALUES,
    Pages,
    plain_header,
)
from privacy.parquet.source import (
    CHUNK_OFFSET,
    CHUNKS,
    CODEC,
    DATA_PAGE,
    DICTIONARY_PAGE,
    ENCODINGS,
    GROUP_BYTES,
    GROUP_ROWS,
    GROUPS,
    MAGIC,
    META,
    PACKED_BYTES,
    PATH,
    PLAIN_BYTES,
    ROWS,
    TYPE,
    VALUES,
    VERSION,
    Chunk,
    ParquetSource,
    leaf_ranges,
    list_of,
    metadata_of,
    opened,
    read_column,
    refusing_damage,
)
from privacy.parquet.thrift import I32, I64, LIST, STRUCT, List, Struct

_BYTE_ARRAY: Final = 6  # of Type
_NEEDED: Final = {TYPE, ENCODINGS, PATH, CODEC, VALUES, PLAIN_BYTES, PACKED_BYTES, DATA_PAGE, DICTIONARY_PAGE}


def unused_values(
    source: ParquetSource, group: int, leaf: int, different: int | None = None
) -> pa.Array | None:
    """Return the values of a chunk's dictionary that no row has, None where there are none.

    `different` says how many values the rows have, if that is known: often they are then as many.

    Raises DamagedContentError, and UnprovenError where the chunk's pages do not add up to its values.
    """
    chunk = source.chunks[group][leaf]
    if DICTIONARY_PAGE not in chunk.meta and not DICTIONARIES & set(list_of(chunk.meta, ENCODINGS)):
        return None
    pages = source.pages_of(chunk)
    if pages.dictionary is None:
        return None
    with refusing_damage():
        noted = pages.dictionary[0][DICTIONARY_HEADER][1][PAGE_VALUES][1]
        known = different is not None and different >= noted and pages.encodings <= DICTIONARIES
        if not noted or known:
            return None
        values = _in_dictionary(source, leaf, chunk, *pages.dictionary)
        used = _in_rows(source, group, leaf, chunk, pages)
        unused = values.filter(pc.invert(pc.is_in(bits(values), used)))
    return unused if len(unused) else None


def has_unused_values(source: ParquetSource, group: int, field: int) -> bool:
    """Return whether a field of a row group has values in a dictionary that no row has.

    Raises as `unused_values` does.
    """
    leaves = leaf_ranges(source.schema)[field]
    return any(unused_values(source, group, leaf) is not None for leaf in leaves)


def _in_dictionary(source: ParquetSource, leaf: int, chunk: Chunk, header: Struct, body: int) -> pa.Array:
    count: int = header[DICTIONARY_HEADER][1][PAGE_VALUES][1]
    content = MAGIC + thrift.write(plain_header(header, count))
    content += source.raw(body, body + header[PAGE_BYTES][1])
    meta = {
        **chunk.meta,
        ENCODINGS: (LIST, List(I32, [0])),
        VALUES: (I64, count),
        PACKED_BYTES: (I64, len(content) - len(MAGIC)),
        DATA_PAGE: (I64, len(MAGIC)),
    }
    del meta[DICTIONARY_PAGE]
    footer = required(leaf_footer(source, leaf, _footer(meta, count)))
    return _read(io.BytesIO(content), footer).combine_chunks()


def _in_rows(source: ParquetSource, group: int, leaf: int, chunk: Chunk, pages: Pages) -> pa.Array:
    """Return the bits of the values that the dictionary gives to rows, perhaps of others that rows have."""
    meta = {**chunk.meta, PACKED_BYTES: (I64, pages.end - chunk.start)}
    rows = source.rows_of(group)
    options = {}
    if pages.only_numbered and pages.numbered[1] and not is_repeated(source, leaf):
        end, rows = pages.numbered
        meta |= {VALUES: (I64, rows), PACKED_BYTES: (I64, end - chunk.start)}
        if chunk.meta[TYPE][1] == _BYTE_ARRAY:
            options = {"read_dictionary": [name_of(source, leaf)]}
    return _distinct(_read(source.file, leaf_footer(source, leaf, _footer(meta, rows)), **options))


def _footer(meta: Struct, rows: int) -> Struct:
    needed = {number: value for number, value in meta.items() if number in _NEEDED}
    described: Struct = {CHUNK_OFFSET: (I64, 0), META: (STRUCT, needed)}
    group: Struct = {
        CHUNKS: (LIST, List(STRUCT, [described])),
        GROUP_BYTES: (I64, meta[PACKED_BYTES][1]),
        GROUP_ROWS: (I64, rows),
    }
    return {VERSION: (I32, 2), ROWS: (I64, rows), GROUPS: (LIST, List(STRUCT, [group]))}


def _read(file: IO[bytes], footer: Struct, **options: Any) -> pa.ChunkedArray:  # noqa: ANN401 - Arrow's
    """Return the elements of a file's one column, whatever they are nested in."""
    values = read_column(opened(file, metadata_of(footer), **options), 0, range(1))
    while pa.types.is_nested(values.type):
        values = pc.struct_field(values, [0]) if pa.types.is_struct(values.type) else pc.list_flatten(values)
    return values


def _distinct(values: pa.ChunkedArray) -> pa.Array:
    if not pa.types.is_dictionary(values.type):
        return pa.chunked_array(map(bits, values.chunks), type_of_bits(values.type)).unique()
    used = [each.dictionary.take(each.indices.unique().drop_null()) for each in values.chunks]
    return pa.chunked_array(used, values.type.value_type).unique()
