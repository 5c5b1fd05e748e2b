"""The pages of a column chunk, by their headers: how many values they hold together, and where they end.

A chunk is copied page by page as bytes, and that is enough for its values to stay what they were: what a
reader makes of a chunk depends on its pages, on the schema, on its part of the footer and on who wrote the
file (`created_by`, by which some readers work around old mistakes), and all of that is kept. What could go
wrong is where pages begin and end. Footers are wrong about it (parquet-mr before 1.2.9 left the dictionary
page's header out of sizes, DuckDB before 0.10 out of the data page's offset), and readers go on behind the
noted end until they have all values. So the pages are walked: where their values add up to the chunk's, they
are all there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from privacy.formats.proof import UnprovenError
from privacy.parquet.thrift import I32, Struct

# PageHeader
PAGE_TYPE: Final = 1
PAGE_PLAIN_BYTES: Final = 2
PAGE_BYTES: Final = 3
PAGE_CRC: Final = 4
DATA_HEADER: Final = 5
DICTIONARY_HEADER: Final = 7
DATA_HEADER_V2: Final = 8

DATA_PAGE_TYPE: Final = 0
DICTIONARY_PAGE_TYPE: Final = 2
DATA_PAGE_V2_TYPE: Final = 3

# DataPageHeader, DictionaryPageHeader, DataPageHeaderV2
PAGE_VALUES: Final = 1
_ENCODING: Final = 2
_ENCODING_V2: Final = 4

DICTIONARIES: Final = {2, 8}
"""Encodings of values by their number in a dictionary: PLAIN_DICTIONARY and RLE_DICTIONARY."""

_DO_NOT_ADD_UP: Final = "pages of a column do not add up to its values"


@dataclass(slots=True)
class Pages:
    """What the headers of a chunk's pages say together.

    `end` is where the last page ends, `encodings` those of the data pages. `dictionary` is the dictionary
    page's header and where its body begins, None where there is none. `numbered` are the data pages at the
    beginning that are encoded by the dictionary: where the last of them ends, and how many values they hold;
    `only_numbered` says whether all pages with that encoding are among them.
    """

    end: int
    values: int = 0
    encodings: set[int] = field(default_factory=set)
    has_v2: bool = False
    has_checksums: bool = False
    dictionary: tuple[Struct, int] | None = None
    first_data: int | None = None
    numbered: tuple[int, int] = (0, 0)
    only_numbered: bool = True


def walked(
    header_at: Callable[[int], tuple[Struct, int]], start: int, noted_end: int, values: int, limit: int
) -> Pages:
    """Return what the pages of a chunk come to that begins at `start`.

    `header_at` reads a header and returns its length too; `limit` is where no page can be any more. Raises
    UnprovenError where the pages do not hold just the `values` of the chunk, and DamagedContentError as
    `header_at` does.
    """
    pages = Pages(start)
    while pages.end < noted_end or pages.values < values:
        if pages.end >= limit:
            raise UnprovenError(_DO_NOT_ADD_UP)
        header, length = header_at(pages.end)
        _add(pages, header, length)
        if pages.values > values or pages.end > limit:
            raise UnprovenError(_DO_NOT_ADD_UP)
    return pages


def _add(pages: Pages, header: Struct, length: int) -> None:
    begin, body = pages.end, pages.end + length
    size: int = header[PAGE_BYTES][1]
    if size < 0:
        raise UnprovenError(_DO_NOT_ADD_UP)
    pages.end = body + size
    pages.has_checksums |= PAGE_CRC in header
    kind = header[PAGE_TYPE][1]
    if kind == DICTIONARY_PAGE_TYPE:
        pages.dictionary = header, body
    if kind not in {DATA_PAGE_TYPE, DATA_PAGE_V2_TYPE}:
        return
    pages.has_v2 |= kind == DATA_PAGE_V2_TYPE
    details: Struct = header[DATA_HEADER if kind == DATA_PAGE_TYPE else DATA_HEADER_V2][1]
    encoding = details[_ENCODING if kind == DATA_PAGE_TYPE else _ENCODING_V2][1]
    count: int = details[PAGE_VALUES][1]
    if encoding in DICTIONARIES:
        if pages.encodings <= DICTIONARIES:
            pages.numbered = pages.end, pages.numbered[1] + count
        else:
            pages.only_numbered = False
    if pages.first_data is None:
        pages.first_data = begin
    pages.encodings.add(encoding)
    pages.values += count


def plain_header(dictionary: Struct, values: int) -> Struct:
    """Return the header with which a dictionary page is a data page of its values."""
    details: Struct = {PAGE_VALUES: (I32, values), 2: (I32, 0), 3: (I32, 3), 4: (I32, 3)}
    sizes = {number: dictionary[number] for number in (PAGE_PLAIN_BYTES, PAGE_BYTES)}
    return {PAGE_TYPE: (I32, DATA_PAGE_TYPE), **sizes, DATA_HEADER: (12, details)}
