"""A parquet file put together anew: what stays is copied as it is, a changed column is written by Arrow.

Arrow writes each changed column of a row group as a small file of its own, in memory, with the codec, the
kinds of encoding, the page version and the extras that the column had; its pages then take their place among
the copied ones. The footer is the old one (schema, key-value metadata, version, created_by) but for the row
groups.

Nothing is taken for right because it was written. Each small file is read again as the new file will be, by
the old schema and `created_by`, and has to give the values that were to be written. Of copied chunks the
pages have to add up to the values (`privacy.parquet.pages` says why that is enough). A column that Arrow
would store as another type than the file has is not begun.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from privacy.formats.proof import UnprovenError
from privacy.parquet import thrift
from privacy.parquet.columns import mask_without
from privacy.parquet.equality import reads_as, same
from privacy.parquet.narrow import bare_footer, field_footer
from privacy.parquet.pages import Pages
from privacy.parquet.source import (
    BLOOM,
    BLOOM_BYTES,
    CHUNK_KEY_VALUES,
    CHUNKS,
    CODEC,
    COLUMN_INDEX,
    COLUMN_INDEX_BYTES,
    GROUP_BYTES,
    GROUP_OFFSET,
    GROUP_PACKED_BYTES,
    GROUP_ROWS,
    GROUPS,
    MAGIC,
    META,
    OFFSET_INDEX,
    OFFSET_INDEX_BYTES,
    ORDINAL,
    PACKED_BYTES,
    PAGE_OFFSET,
    PAGES,
    PATH,
    PLAIN_BYTES,
    ROWS,
    SORTING,
    STATISTICS,
    Chunk,
    ParquetSource,
    leaf_ranges,
    list_of,
    metadata_of,
    moved,
    opened,
    read_column,
    refusing_damage,
    struct_of,
    written_footer,
)
from privacy.parquet.thrift import I16, I32, I64, LIST, STRUCT, List, Struct

_NOT_WRITABLE: Final = "parquet column of a type that cannot be written back"
_NOT_READ_BACK: Final = "parquet column that does not read as it was written"
_OTHERS_CHANGED: Final = "parquet column in which more rows changed than were to change"
_INT96: Final = "INT96"
_CODECS: Final = {0: "NONE", 1: "SNAPPY", 2: "GZIP", 4: "BROTLI", 5: "LZ4", 6: "ZSTD", 7: "LZ4"}
_ENCODINGS: Final = {5: "DELTA_BINARY_PACKED", 6: "DELTA_LENGTH_BYTE_ARRAY", 7: "DELTA_BYTE_ARRAY"} | {
    9: "BYTE_STREAM_SPLIT"
}
_FIXED_LENGTH: Final = "FIXED_LEN_BYTE_ARRAY"


@dataclass(slots=True)
class Changed:
    """A field's new values, all rows of a row group, and the rows in which they are not the old ones."""

    values: pa.ChunkedArray
    rows: set[int]


@dataclass(frozen=True, slots=True)
class _Storage:
    """The options with which Arrow stores a field's columns as they are, and what it makes of them.

    With `is_bare` it has to be given the plain values: it would store what they stand for otherwise.
    """

    options: dict[str, Any]
    columns: list[pq.ColumnSchema]
    is_bare: bool


@dataclass(slots=True)
class _Placed:
    """A chunk in the new file, with the indexes of its pages, which go behind all row groups."""

    described: Struct
    column_index: bytes | None = None
    offset_index: Struct | None = None


class ParquetOutput:
    """Writes the new file, piece by piece, in the order of the source's row groups."""

    def __init__(self, source: ParquetSource, write: Callable[[bytes], object]) -> None:
        self._source: Final = source
        self._write: Final = write
        self._ranges: Final = leaf_ranges(source.schema)
        self._size = 0
        self._groups: list[Struct] = []
        self._placed: list[list[_Placed]] = []
        self._storages: dict[int, _Storage] = {}
        self._bare: Final = opened(source.file, metadata_of(bare_footer(source)))
        self._put(MAGIC)

    def copy(self, group: int) -> None:
        """Add a row group as it is."""
        start = self._size
        placed = [self._copied(chunk) for chunk in self._source.chunks[group]]
        self._end_group(group, start, placed, self._source.rows_of(group))

    def rewrite(
        self, group: int, keep: pa.Array | None, changed: Mapping[int, Changed], anew: Collection[int] = ()
    ) -> None:
        """Add a row group with the rows that stay (None: all of them). Without any it is left out.

        `changed` has the fields with new values, `anew` are those to be written again although no value
        changes. Raises DamagedContentError, and UnprovenError where it is not proven that all else is as it
        was.
        """
        rows = self._source.rows_of(group) if keep is None else keep.true_count
        if not rows:
            return
        start = self._size
        placed: list[_Placed] = []
        unsorted: set[int] = set()
        for field, leaves in enumerate(self._ranges):
            new = changed.get(field)
            if new is None and keep is None and field not in anew:
                placed += [self._copied(self._source.chunks[group][leaf]) for leaf in leaves]
                continue
            if new is not None:
                unsorted.update(leaves)
            placed += self._encoded(group, field, new, keep)
        self._end_group(group, start, placed, rows, unsorted)

    def finish(self) -> None:
        """Add what stands behind the row groups. Raises DamagedContentError where Arrow would read else."""
        for placed in self._placed:
            for chunk in placed:
                if chunk.column_index is not None:
                    chunk.described[COLUMN_INDEX] = I64, self._size
                    chunk.described[COLUMN_INDEX_BYTES] = I32, len(chunk.column_index)
                    self._put(chunk.column_index)
        for placed in self._placed:
            for chunk in placed:
                if chunk.offset_index is not None:
                    content = thrift.write(chunk.offset_index)
                    chunk.described[OFFSET_INDEX] = I64, self._size
                    chunk.described[OFFSET_INDEX_BYTES] = I32, len(content)
                    self._put(content)
        for group, placed in zip(self._groups, self._placed, strict=True):
            group[CHUNKS] = LIST, List(STRUCT, [chunk.described for chunk in placed])
        footer: Struct = {
            **self._source.footer,
            ROWS: (I64, sum(group[GROUP_ROWS][1] for group in self._groups)),
            GROUPS: (LIST, List(STRUCT, self._groups)),
        }
        with refusing_damage():
            metadata_of(footer)
        self._put(written_footer(footer))

    def _put(self, content: bytes) -> None:
        self._write(content)
        self._size += len(content)

    def _copied(self, chunk: Chunk) -> _Placed:
        return self._add(chunk, self._source)

    def _add(self, chunk: Chunk, source: ParquetSource) -> _Placed:
        raw = source.raw
        by = self._size - chunk.start
        placed = _Placed(moved(chunk, by))
        described = placed.described
        end = source.pages_of(chunk).end
        self._put(raw(chunk.start, end))
        meta = struct_of(described, META)
        meta[PACKED_BYTES] = I64, end - chunk.start
        if BLOOM in meta:
            start, length = meta[BLOOM][1], source.bloom_bytes(meta)
            meta[BLOOM] = I64, self._size
            meta[BLOOM_BYTES] = I32, length
            self._put(raw(start, start + length))
        if COLUMN_INDEX in described:
            start = described[COLUMN_INDEX][1]
            placed.column_index = raw(start, start + described[COLUMN_INDEX_BYTES][1])
        if OFFSET_INDEX in described:
            start = described[OFFSET_INDEX][1]
            with refusing_damage():
                index, _ = thrift.read(raw(start, start + described[OFFSET_INDEX_BYTES][1]))
                for page in list_of(index, PAGES):
                    page[PAGE_OFFSET] = I64, page[PAGE_OFFSET][1] + by
            placed.offset_index = index
        return placed

    def _encoded(
        self, group: int, field: int, changed: Changed | None, keep: pa.Array | None
    ) -> list[_Placed]:
        leaves = self._ranges[field]
        chunks = [self._source.chunks[group][leaf] for leaf in leaves]
        values, reading = self._read(group, leaves)
        storage = self._storage_of(field)
        stored: pa.ChunkedArray | None = None
        if storage.is_bare:
            if changed is not None:
                raise UnprovenError(_NOT_WRITABLE)
            with refusing_damage():
                stored = read_column(self._bare, group, leaves)
        with refusing_damage():
            if changed is not None:
                others = mask_without(len(values), changed.rows)
                if not same(values.filter(others), changed.values.filter(others)):
                    raise UnprovenError(_OTHERS_CHANGED)
                values = changed.values
            if keep is not None:
                values = values.filter(keep)
                stored = None if stored is None else stored.filter(keep)
        made = self._proven(field, values, values if stored is None else stored, reading, chunks)
        placed = []
        for old, new in zip(chunks, made.chunks[0], strict=True):
            each = self._add(new, made)
            meta = struct_of(each.described, META)
            meta[PATH] = old.meta[PATH]
            if CHUNK_KEY_VALUES in old.meta:
                meta[CHUNK_KEY_VALUES] = old.meta[CHUNK_KEY_VALUES]
            placed.append(each)
        return placed

    def _proven(
        self,
        field: int,
        values: pa.ChunkedArray,
        stored: pa.ChunkedArray,
        reading: Mapping[str, Any],
        chunks: Sequence[Chunk],
    ) -> ParquetSource:
        """Return a file of the field alone, which will read as these values in the new file.

        `stored` are the values as Arrow has to write them. Raises UnprovenError.

        Readers take pages of version 2 for compressed whatever they say themselves, if the file is by Arrow
        before 3.0: where that makes them unreadable, they are written as version 1.
        """
        schema = pa.schema([self._source.schema.field(field).with_type(stored.type)])
        options = self._options(self._storage_of(field), self._ranges[field], chunks, len(values))
        for version in dict.fromkeys([options["data_page_version"], "1.0"]):
            with refusing_damage():
                content = _file_of(stored, schema, options | {"data_page_version": version})
                made = ParquetSource(pa.BufferReader(content))
                footer = field_footer(self._source, field, made.footer)
            if len(made.groups) == 1 and reads_as(content, footer, values, **reading):
                return made
        raise UnprovenError(_NOT_READ_BACK)

    def _read(self, group: int, leaves: range) -> tuple[pa.ChunkedArray, dict[str, Any]]:
        """Return a field's values, and how Arrow has to read it so that it can write it."""
        values = self._source.column(group, leaves)
        if not any(self._source.arrow.schema.column(leaf).physical_type == _INT96 for leaf in leaves):
            return values, {}
        # INT96 has nanoseconds and any year, Arrow's nanoseconds end in 2262: beyond, it takes microseconds.
        microseconds = {"coerce_int96_timestamp_unit": "us"}
        coarse = self._source.column(group, leaves, **microseconds)
        with refusing_damage():
            if values.cast(coarse.type, safe=False).equals(coarse):
                return values, {}
            again = coarse.cast(values.type, safe=False)
            if again.equals(values):
                return coarse, microseconds
        raise UnprovenError(_NOT_WRITABLE)

    def _options(
        self, storage: _Storage, leaves: range, chunks: Sequence[Chunk], rows: int
    ) -> dict[str, Any]:
        """Return how Arrow has to write a field so that its columns are stored as they were."""
        were = [self._source.arrow.schema.column(leaf) for leaf in leaves]
        will_be = storage.columns
        paths = [each.path for each in will_be]
        pages: list[Pages] = [self._source.pages_of(chunk) for chunk in chunks]
        dictionaries = [path for path, each in zip(paths, pages, strict=True) if each.dictionary]
        encodings = {
            path: _ENCODINGS[number]
            for path, each in zip(paths, pages, strict=True)
            for number in sorted(each.encodings)
            if number in _ENCODINGS and path not in dictionaries
        }
        # What is smallest and largest depends on the logical type: of another type it would be wrong.
        statistics = [
            path
            for path, chunk, old, new in zip(paths, chunks, were, will_be, strict=True)
            if STATISTICS in chunk.meta and str(old.logical_type) == str(new.logical_type)
        ]
        return {
            **storage.options,
            "compression": {p: _codec(chunk) for p, chunk in zip(paths, chunks, strict=True)},
            "use_dictionary": dictionaries,
            "column_encoding": encodings or None,
            "write_statistics": statistics,
            "data_page_version": "2.0" if any(each.has_v2 for each in pages) else "1.0",
            "write_page_checksum": any(each.has_checksums for each in pages),
            "write_page_index": any(OFFSET_INDEX in chunk.described for chunk in chunks),
            "bloom_filter_options": {
                path: {"ndv": rows} for path, chunk in zip(paths, chunks, strict=True) if BLOOM in chunk.meta
            }
            or None,
        }

    def _storage_of(self, field: int) -> _Storage:
        """Return how Arrow stores a field's columns as they are. Raises UnprovenError where it cannot."""
        if field not in self._storages:
            were = [self._source.arrow.schema.column(leaf) for leaf in self._ranges[field]]
            with refusing_damage():
                found = _storage_of(self._source.schema.field(field), were, is_bare=False) or _storage_of(
                    self._bare.schema_arrow.field(field), were, is_bare=True
                )
            if found is None:
                raise UnprovenError(_NOT_WRITABLE)
            self._storages[field] = found
        return self._storages[field]

    def _end_group(
        self, group: int, start: int, placed: list[_Placed], rows: int, unsorted: Collection[int] = ()
    ) -> None:
        metas = [struct_of(each.described, META) for each in placed]
        described = dict(self._source.groups[group])
        described[GROUP_ROWS] = I64, rows
        described[GROUP_BYTES] = I64, sum(meta[PLAIN_BYTES][1] for meta in metas)
        if GROUP_OFFSET in described:
            described[GROUP_OFFSET] = I64, start
        if GROUP_PACKED_BYTES in described:
            described[GROUP_PACKED_BYTES] = I64, sum(meta[PACKED_BYTES][1] for meta in metas)
        if ORDINAL in described:
            described[ORDINAL] = I16, len(self._groups)
        if SORTING in described and unsorted:
            # A new value may stand out of the order.
            sorted_by = list_of(described, SORTING)
            first = next((n for n, by in enumerate(sorted_by) if by[1][1] in unsorted), len(sorted_by))
            if first:
                described[SORTING] = LIST, List(STRUCT, sorted_by[:first])
            else:
                del described[SORTING]
        self._groups.append(described)
        self._placed.append(placed)


def _file_of(values: pa.ChunkedArray, schema: pa.Schema, options: dict[str, Any]) -> pa.Buffer:
    out = pa.BufferOutputStream()
    with pq.ParquetWriter(out, schema, **options) as writer:
        writer.write_table(pa.table([values], schema=schema), row_group_size=max(len(values), 1))
    return out.getvalue()


def _storage_of(field: pa.Field, were: Sequence[pq.ColumnSchema], *, is_bare: bool) -> _Storage | None:
    """Return how Arrow stores a field's columns as they are, None where it does not."""
    options: dict[str, Any] = {
        "store_schema": False,
        "use_deprecated_int96_timestamps": any(each.physical_type == _INT96 for each in were),
        "store_decimal_as_integer": any(
            each.physical_type in {"INT32", "INT64"} and each.logical_type.type == "DECIMAL" for each in were
        ),
    }
    empty = _file_of(pa.chunked_array([], field.type), pa.schema([field]), options)
    made = pq.ParquetFile(pa.BufferReader(empty)).schema
    will_be = [made.column(number) for number in range(len(made))]
    same_storage = [_stored_as(each) for each in were] == [_stored_as(each) for each in will_be]
    return _Storage(options, will_be, is_bare=is_bare) if same_storage else None


def _stored_as(column: pq.ColumnSchema) -> tuple[Any, ...]:
    return (
        column.physical_type,
        # Of other types some writers note one as well, which means nothing.
        column.length if column.physical_type == _FIXED_LENGTH else None,
        column.max_definition_level,
        column.max_repetition_level,
    )


def _codec(chunk: Chunk) -> str:
    codec = _CODECS.get(chunk.meta[CODEC][1])
    if codec is None:
        raise UnprovenError(_NOT_WRITABLE)
    return codec
