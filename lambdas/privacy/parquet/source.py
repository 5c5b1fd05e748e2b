"""A parquet file as it lies on the disk: its footer with every field, and its row groups decoded.

Arrow reads the columns, by the footer alone: what the file's own metadata says about Arrow types is left out,
so that every column comes as its plain type (no dictionaries, whose unused values would be written again).
What is not decoded is copied as it is, and for that the footer is read here as well, in full
(https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift).
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from privacy.formats.compression import DamagedContentError
from privacy.formats.proof import UnprovenError
from privacy.parquet import pages, thrift
from privacy.parquet.pages import Pages
from privacy.parquet.thrift import BINARY, I64, STRUCT, List, MalformedThriftError, Struct

MAGIC: Final = b"PAR1"
ENCRYPTED: Final = "parquet content is encrypted"
ELSEWHERE: Final = "parquet content lies in another file"
"""Why a file is refused: it repeats the footers of others, statistics too, as Spark's `_metadata` does."""

_ENCRYPTED_MAGIC: Final = b"PARE"
_TAIL: Final = 8  # length of the footer and magic
_HEADERS: Final = (512, 64 * 1024, 16 * 1024 * 1024)
"""Bytes read to find the header of a page or a bloom filter: most are short, some have long statistics."""

_DAMAGE: Final = (
    *(pa.ArrowException, MalformedThriftError, EOFError, OSError),
    *(IndexError, KeyError, RecursionError, TypeError, ValueError),
)

# FileMetaData
VERSION: Final = 1
SCHEMA: Final = 2
ROWS: Final = 3
GROUPS: Final = 4
KEY_VALUES: Final = 5
CREATED_BY: Final = 6
_ENCRYPTION: Final = 8

# RowGroup
CHUNKS: Final = 1
GROUP_BYTES: Final = 2
GROUP_ROWS: Final = 3
SORTING: Final = 4
GROUP_OFFSET: Final = 5
GROUP_PACKED_BYTES: Final = 6
ORDINAL: Final = 7

# ColumnChunk
_FILE_PATH: Final = 1
CHUNK_OFFSET: Final = 2
META: Final = 3
OFFSET_INDEX: Final = 4
OFFSET_INDEX_BYTES: Final = 5
COLUMN_INDEX: Final = 6
COLUMN_INDEX_BYTES: Final = 7
_CRYPTO: Final = 8

# ColumnMetaData
TYPE: Final = 1
ENCODINGS: Final = 2
PATH: Final = 3
CODEC: Final = 4
VALUES: Final = 5
PLAIN_BYTES: Final = 6
PACKED_BYTES: Final = 7
CHUNK_KEY_VALUES: Final = 8
DATA_PAGE: Final = 9
INDEX_PAGE: Final = 10
DICTIONARY_PAGE: Final = 11
STATISTICS: Final = 12
BLOOM: Final = 14
BLOOM_BYTES: Final = 15

# OffsetIndex, PageLocation, BloomFilterHeader
PAGES: Final = 1
PAGE_OFFSET: Final = 1
_BLOOM_BITSET: Final = 1


@contextmanager
def refusing_damage() -> Iterator[None]:
    """Turn what Arrow and the footer's reader raise about a file's content into DamagedContentError.

    Their own texts may quote the content.
    """
    try:
        yield
    except pa.ArrowNotImplementedError:
        raise DamagedContentError("parquet content of a kind that cannot be read or written") from None
    except _DAMAGE:
        raise DamagedContentError("parquet content is damaged") from None


@dataclass(frozen=True, slots=True)
class Chunk:
    """One column chunk: its part of the footer, and where its pages begin and end in the file."""

    described: Struct
    start: int
    end: int

    @property
    def meta(self) -> Struct:
        """The chunk's ColumnMetaData."""
        return struct_of(self.described, META)


class ParquetSource:
    """An open parquet file. Raises DamagedContentError where it is not one, or an encrypted one."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file: Final = file
        self.footer: Final = self._read_footer()
        with refusing_damage():
            if _ENCRYPTION in self.footer:
                raise DamagedContentError(ENCRYPTED)
            self.groups: Final[list[Struct]] = list_of(self.footer, GROUPS)
            self.chunks: Final = [[_chunk(each) for each in list_of(group, CHUNKS)] for group in self.groups]
            plain = {number: field for number, field in self.footer.items() if number != KEY_VALUES}
            self.arrow: Final = opened(file, metadata_of(plain))
            self.schema: Final[pa.Schema] = self.arrow.schema_arrow

    def rows_of(self, group: int) -> int:
        """Return how many rows a row group has."""
        rows: int = self.groups[group][GROUP_ROWS][1]
        return rows

    def column(self, group: int, leaves: range, **options: Any) -> pa.ChunkedArray:  # noqa: ANN401 - Arrow's
        """Return a field of a row group, decoded, as far as it consists of these leaves."""
        reader = self.arrow
        if options:
            reader = opened(self.file, reader.metadata, **options)
        with refusing_damage():
            return read_column(reader, group, leaves)

    def key_values(self) -> Iterator[bytes]:
        """Yield what writers have noted beside the schema, of the file and of its chunks."""
        metas = [self.footer, *(chunk.meta for chunks in self.chunks for chunk in chunks)]
        with refusing_damage():
            for meta, number in zip(metas, chain([KEY_VALUES], repeat(CHUNK_KEY_VALUES)), strict=False):
                for entry in list_of(meta, number) if number in meta else ():
                    yield from (text for _, text in entry.values())

    def raw(self, start: int, end: int) -> bytes:
        """Return the file's bytes between two places. Raises DamagedContentError."""
        content = b""
        if 0 <= start <= end:
            self.file.seek(start)
            content = self.file.read(end - start)
        if len(content) != end - start:
            raise DamagedContentError("parquet content ends too early")
        return content

    def header_at(self, place: int) -> tuple[Struct, int]:
        """Return the header of a page or a bloom filter, and its length. Raises MalformedThriftError."""
        for most in _HEADERS[:-1]:
            self.file.seek(place)
            try:
                return thrift.read(self.file.read(most))
            except MalformedThriftError:
                continue
        self.file.seek(place)
        return thrift.read(self.file.read(_HEADERS[-1]))

    def pages_of(self, chunk: Chunk) -> Pages:
        """Return what a chunk's pages come to. Raises UnprovenError where they are not its values."""
        try:
            values: int = chunk.meta[VALUES][1]
            return pages.walked(self.header_at, chunk.start, chunk.end, values, self._end)
        except _DAMAGE:
            raise UnprovenError("pages of a column cannot be told apart") from None

    def bloom_bytes(self, meta: Struct) -> int:
        """Return the length of a chunk's bloom filter, which older writers do not note."""
        if BLOOM_BYTES in meta:
            noted: int = meta[BLOOM_BYTES][1]
            return noted
        with refusing_damage():
            header, length = self.header_at(meta[BLOOM][1])
            bitset: int = header[_BLOOM_BITSET][1]
            return length + bitset

    def _read_footer(self) -> Struct:
        self.file.seek(0, io.SEEK_END)
        size = self.file.tell()
        tail = self.raw(size - _TAIL, size)
        if tail.endswith(_ENCRYPTED_MAGIC):
            raise DamagedContentError(ENCRYPTED)
        if not tail.endswith(MAGIC):
            raise DamagedContentError("not a parquet file")
        length = int.from_bytes(tail[:4], "little")
        self._end = size - _TAIL - length  # of all pages, at the latest
        with refusing_damage():
            return thrift.read(self.raw(self._end, size - _TAIL))[0]


def opened(file: IO[bytes], metadata: pq.FileMetaData, **options: Any) -> pq.ParquetFile:  # noqa: ANN401 - Arrow's
    """Return Arrow's reader of a file, which goes by this metadata whatever the file's own says."""
    return pq.ParquetFile(
        file,
        metadata=metadata,
        pre_buffer=False,
        page_checksum_verification=True,
        arrow_extensions_enabled=False,
        **options,
    )


def read_column(reader: pq.ParquetFile, group: int, leaves: range) -> pa.ChunkedArray:
    """Return a field of a row group, decoded, as far as it consists of these leaves."""
    table = reader.reader.read_row_group(group, column_indices=list(leaves), use_threads=False)
    return table.column(0)


def metadata_of(footer: Struct) -> pq.FileMetaData:
    """Return what Arrow makes of a footer."""
    return pq.read_metadata(io.BytesIO(MAGIC + written_footer(footer)))


def written_footer(footer: Struct) -> bytes:
    """Return a footer as it ends a file."""
    content = thrift.write(footer)
    return content + len(content).to_bytes(4, "little") + MAGIC


def list_of(struct: Struct, number: int) -> list[Any]:
    """Return the values of a list field."""
    found = struct[number][1]
    if not isinstance(found, List):
        raise MalformedThriftError
    return found.values


def struct_of(struct: Struct, number: int) -> Struct:
    """Return a struct field."""
    found: Struct = struct[number][1]
    return found


def leaves_of(kind: pa.DataType) -> int:
    """Return how many columns of parquet a type is stored in."""
    if pa.types.is_nested(kind):
        return sum(leaves_of(kind.field(number).type) for number in range(kind.num_fields))
    return 1


def leaf_ranges(schema: pa.Schema) -> list[range]:
    """Return which of parquet's columns each field of a schema is stored in."""
    found = []
    place = 0
    for field in schema:
        count = leaves_of(field.type)
        found.append(range(place, place + count))
        place += count
    return found


def _chunk(described: Struct) -> Chunk:
    if _CRYPTO in described or META not in described:
        raise DamagedContentError(ENCRYPTED)
    if described.get(_FILE_PATH, (BINARY, b""))[1]:
        raise DamagedContentError(ELSEWHERE)
    meta = struct_of(described, META)
    data = meta[DATA_PAGE][1]
    dictionary = meta.get(DICTIONARY_PAGE, (I64, 0))[1]
    # Writers note a page at 0 where there is none.
    start = min((place for place in (dictionary, data) if place > 0), default=0)
    return Chunk(described, start, start + meta[PACKED_BYTES][1])


def moved(chunk: Chunk, by: int) -> Struct:
    """Return a chunk's part of the footer with all that points to its pages pointing further on."""
    meta = dict(chunk.meta)
    for number in (DATA_PAGE, INDEX_PAGE, DICTIONARY_PAGE):
        if meta.get(number, (I64, 0))[1] > 0:
            meta[number] = I64, meta[number][1] + by
    described = {**chunk.described, META: (STRUCT, meta)}
    if described[CHUNK_OFFSET][1] > 0:
        described[CHUNK_OFFSET] = I64, described[CHUNK_OFFSET][1] + by
    return described
