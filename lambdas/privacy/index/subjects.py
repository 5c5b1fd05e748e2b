"""Whose an object is, or whose its rows are: identifiers in the data, turned into subject references."""

import logging
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from functools import lru_cache
from typing import Final

from privacy.customers.references import ReferenceOf, is_blank, subject_reference
from privacy.customers.registry import CsvDialect, Dataset
from privacy.formats import compression
from privacy.formats.blocks import RowReader
from privacy.formats.csv_rows import CsvRows
from privacy.formats.jsonl import JsonLines
from privacy.formats.positions import INDEX_BYTES, RowPositions
from privacy.vault.objects import StoredObject
from privacy.vault.sessions import Vault

_log: Final = logging.getLogger("privacy")
_REFERENCE: Final = re.compile(r"[0-9a-f]{64}")
_REMEMBERED: Final = 65_536  # rows of one person stand together more often than not
_SHORT: Final = 256  # characters of an identifier that is remembered


class DatasetUnknownError(Exception):
    """The customer's configuration no longer has the dataset, or does not say how to read it."""


@dataclass(slots=True)
class Subjects:
    """The subjects of an object with the number of their rows, and how many lines could not be read.

    `positions` say where the rows are; None where there are none, or not all of them are known.
    """

    rows: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    positions: RowPositions | None = None


def reference_of(vault: Vault) -> ReferenceOf:
    """Return the function that turns this vault's identifiers into references, remembering recent ones."""
    secret = vault.subject_secret()
    subject_id = vault.customer.subject_id

    def reference(identifier: str) -> str | None:
        if is_blank(identifier, subject_id):
            return None
        return subject_reference(secret, identifier, subject_id)

    remembered = lru_cache(maxsize=_REMEMBERED)(reference)
    return lambda identifier: (remembered if len(identifier) <= _SHORT else reference)(identifier)


def subjects(vault: Vault, dataset: Dataset, stored: StoredObject) -> Subjects:
    """Return whose an object is: of its rows, read to the end, or as a whole (`object`).

    Of a file whose compression is damaged, whose the rows before the damage are: their requests then find
    the file, and say so. Raises DatasetUnknownError, LineTooLongError and, for a file of parquet,
    scratch.ObjectTooLargeError.
    """
    if dataset.format == "object":
        ref = subject_of_object(vault, stored)
        return Subjects(Counter({ref: 1} if ref else {}))
    if dataset.format == "parquet" and dataset.subject is not None:
        from privacy.parquet import (
            edits as parquet_edits,  # Arrow is large: only who meets such a file waits for it
        )

        return Subjects(*parquet_edits.subjects(stored, dataset.subject, reference_of(vault)))
    reader = reader_of(dataset)
    positions = RowPositions(reference_of(vault), INDEX_BYTES)
    _, content = compression.unpacked(stored.chunks())
    for block in reader.blocks(_undamaged(content, positions)):
        positions.take(block.rows, block.subjects, block.offset, ended=block.ended)
    return found_by(positions, reader)


def found_by(positions: RowPositions, reader: RowReader) -> Subjects:
    """Return whose rows were found by reading a file to its end."""
    positions.see_head(reader.head)
    known = positions if positions.complete else None
    return Subjects(positions.rows, positions.unreadable, known)


def _undamaged(content: Iterator[bytes], positions: RowPositions) -> Iterator[bytes]:
    try:
        yield from content
    except compression.DamagedContentError:
        positions.note_unreadable(1)


def check_readable(dataset: Dataset) -> None:
    """Raise DatasetUnknownError unless the dataset says how to read its files of rows."""
    if dataset.format != "parquet" or dataset.subject is None:
        reader_of(dataset)


def reader_of(dataset: Dataset) -> RowReader:
    """Return what reads one of the dataset's files. Raises DatasetUnknownError."""
    if dataset.subject is None:
        raise DatasetUnknownError
    if dataset.format == "jsonl":
        return JsonLines(dataset.subject)
    if dataset.format == "csv":
        return CsvRows(dataset.subject, dataset.csv or CsvDialect())
    raise DatasetUnknownError


def subject_of_object(vault: Vault, stored: StoredObject) -> str | None:
    """Return the reference of the subject an object belongs to, from its metadata, or None.

    Uploads made through the API carry the reference. An identifier that somebody put there directly is
    turned into one, with a warning: identifiers do not belong in metadata.
    """
    value = stored.metadata.get("subject")
    if value is None or _REFERENCE.fullmatch(value):
        return value
    _log.warning("object metadata held an identifier, not a reference: customer=%s", vault.customer.id)
    return reference_of(vault)(_decoded(value))


def _decoded(value: str) -> str:
    """Undo RFC 2047, in which S3 returns metadata that is not plain ASCII."""
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, UnicodeError):
        return value
