"""Whose an object is, or whose its rows are: identifiers in the data, turned into subject references."""

import logging
import re
from collections import Counter
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from functools import lru_cache
from typing import Final

from privacy.customers.customer import Dataset
from privacy.customers.references import ReferenceOf, is_blank, subject_reference
from privacy.formats import compression
from privacy.formats.blocks import LineTooLongError, RowReader
from privacy.formats.left_over import LeftOver
from privacy.formats.positions import INDEX_BYTES, RowPositions
from privacy.formats.readers import (
    RowsOnDisk,
    Subjects,
    WholeFiles,
    found_by,
    subject_field,
)
from privacy.formats.remembered import MOST, SHORT
from privacy.index.file_formats import format_of
from privacy.unattributed import Unattributed
from privacy.vault.objects import StoredObject
from privacy.vault.scratch import on_disk
from privacy.vault.sessions import Vault

_log: Final = logging.getLogger("privacy")
_REFERENCE: Final = re.compile(r"[0-9a-f]{64}")
_SEALED: Final = frozenset({"x-amz-key", "x-amz-key-v2", "x-amz-cek-alg"})
"""Metadata of what a program encrypted before it sent it (Amazon S3 Encryption Client Developer Guide)."""


def reference_of(vault: Vault) -> ReferenceOf:
    """Return the function that turns this vault's identifiers into references, remembering recent ones."""
    secret = vault.subject_secret()
    subject_id = vault.customer.subject_id

    def reference(identifier: str) -> str | None:
        if is_blank(identifier, subject_id):
            return None
        return subject_reference(secret, identifier, subject_id)

    remembered = lru_cache(maxsize=MOST)(reference)
    return lambda identifier: (remembered if len(identifier) <= SHORT else reference)(identifier)


def subjects(vault: Vault, dataset: Dataset, stored: StoredObject) -> Subjects:
    """Return whose an object is: of its rows, read to the end, or as a whole (`object`).

    And what of it nobody can attribute. Of a file that is damaged, or has a line that is too long, whose the
    rows before that are: their requests then find the file, and say so. An object without content holds
    nobody, but may be somebody's. Raises DatasetUnknownError and, for a file of parquet,
    scratch.ObjectTooLargeError.
    """
    file_format = format_of(dataset)
    if isinstance(file_format, WholeFiles):
        ref = subject_of_object(vault, stored)
        if ref is None and stored.size:
            return Subjects(unreadable=1, unattributed=Unattributed("no-subject", "all"))
        return Subjects(Counter({ref: 1} if ref else {}))
    if not stored.size:
        return Subjects()
    if not _SEALED.isdisjoint(stored.metadata):
        return Subjects(unreadable=1, unattributed=Unattributed("encrypted", "all"))
    if isinstance(file_format, RowsOnDisk):
        with on_disk(stored, lambda _: None) as file:
            return file_format.subjects(file, subject_field(dataset), reference_of(vault))
    return _in_stream(file_format.reader(dataset), stored, reference_of(vault))


def _in_stream(reader: RowReader, stored: StoredObject, reference: ReferenceOf) -> Subjects:
    positions = RowPositions(reference, INDEX_BYTES)
    left = LeftOver()
    _, content = compression.unpacked(stored.chunks())
    try:
        for block in reader.blocks(left.watched(content)):
            before = positions.unreadable
            positions.take(block.rows, block.subjects, block.offset, ended=block.ended)
            left.take(block, some=positions.unreadable > before)
    except LineTooLongError:
        left.cut("line-too-long")
    if left.is_cut:
        positions.note_unreadable(1)
    found = found_by(positions, reader)
    found.unattributed = left.found(somebody=bool(found.rows))
    return found


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
