"""Parquet files as other writers made them: the pages and the footer of one that Arrow wrote, changed."""

import io
from collections.abc import Callable

from privacy.parquet import thrift
from privacy.parquet.source import (
    CREATED_BY,
    DATA_PAGE,
    DICTIONARY_PAGE,
    GROUPS,
    MAGIC,
    PACKED_BYTES,
    PLAIN_BYTES,
    ParquetSource,
    written_footer,
)
from privacy.parquet.thrift import BINARY, I64, LIST, STRUCT, List, Struct

Page = tuple[Struct, bytes]
"""A page's header and its body."""


def pages_of(content: bytes, group: int, leaf: int) -> list[Page]:
    """Return the pages of a chunk."""
    chunk = ParquetSource(io.BytesIO(content)).chunks[group][leaf]
    found: list[Page] = []
    place = chunk.start
    while place < chunk.end:
        header, length = thrift.read(content[place : place + 65536])
        body = place + length
        place = body + header[3][1]
        found.append((header, content[body:place]))
    return found


def rebuilt(
    content: bytes,
    *,
    created_by: str | None = None,
    pages: Callable[[int, int, list[Page]], list[Page]] = lambda _group, _leaf, found: found,
    meta: Callable[[Struct, list[Page]], object] = lambda _meta, _pages: None,
    footer: Callable[[Struct], object] = lambda _footer: None,
) -> bytes:
    """Return the file with its pages changed by `pages`, each chunk's metadata by `meta`, then its footer."""
    source = ParquetSource(io.BytesIO(content))
    out = bytearray(MAGIC)
    for number, chunks in enumerate(source.chunks):
        for leaf, chunk in enumerate(chunks):
            found = pages(number, leaf, pages_of(content, number, leaf))
            start = len(out)
            places = []
            for header, body in found:
                places.append(len(out))
                out += thrift.write(header) + body
            described = chunk.meta
            described[PACKED_BYTES] = I64, len(out) - start
            if DICTIONARY_PAGE in described:
                described[DICTIONARY_PAGE] = I64, places[0]
            described[DATA_PAGE] = I64, places[1 if DICTIONARY_PAGE in described else 0]
            meta(described, found)
    new: Struct = {**source.footer, GROUPS: (LIST, List(STRUCT, source.groups))}
    if created_by is not None:
        new[CREATED_BY] = BINARY, created_by.encode()
    footer(new)
    return bytes(out) + written_footer(new)


def without_dictionary_header(meta: Struct, pages: list[Page]) -> None:
    """Note a chunk's sizes as parquet-mr before 1.2.9 did: the dictionary page's header is not in them."""
    if DICTIONARY_PAGE in meta:
        header = len(thrift.write(pages[0][0]))
        for size in (PLAIN_BYTES, PACKED_BYTES):
            meta[size] = I64, meta[size][1] - header
