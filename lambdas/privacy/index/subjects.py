"""Whose an object is, or whose its rows are: identifiers in the data, turned into subject references."""

import logging
import re
from collections import Counter
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from functools import lru_cache
from typing import Final

from privacy.customers import sealed_references
from privacy.customers.customer import Dataset
from privacy.customers.references import ReferenceOf, is_blank, is_too_long, subject_reference
from privacy.customers.sealed_references import SealBrokenError
from privacy.formats import compression
from privacy.formats.blocks import LineTooLongError, RowReader
from privacy.formats.positions import INDEX_BYTES, RowPositions
from privacy.formats.readers import (
    RowsInStream,
    RowsOnDisk,
    Subjects,
    WholeFiles,
    found_by,
)
from privacy.formats.remembered import MOST, SHORT
from privacy.index.file_formats import format_of
from privacy.index.left_over import LeftOver
from privacy.unattributed import Unattributed
from privacy.vault.objects import StoredObject
from privacy.vault.scratch import ObjectTooLargeError, on_disk
from privacy.vault.sessions import Vault
from privacy.vault.side_files import holds_nobody

_log: Final = logging.getLogger("privacy")
_REFERENCE: Final = re.compile(r"[0-9a-f]{64}")
_SEALED: Final = frozenset({"x-amz-key", "x-amz-key-v2", "x-amz-cek-alg"})
"""Metadata of what a program encrypted before it sent it (Amazon S3 Encryption Client Developer Guide)."""

SEAL_BROKEN: Final = "its sealed subject reference is none of this vault: upload it again"


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
    match format_of(dataset):
        case WholeFiles():
            return _as_a_whole(vault, stored)
        case _ if holds_nobody(stored):
            return Subjects()
        case _ if is_sealed_by_sender(stored):
            return Subjects(unreadable=1, unattributed=Unattributed("encrypted", "all"))
        case RowsOnDisk(subjects=subjects_of):
            reference = reference_of(vault)
            with on_disk(stored, lambda _: None) as file:
                return subjects_of(file, dataset, reference)
        case RowsInStream() as rows:
            return _in_stream(rows.reader(dataset), stored, reference_of(vault))


def unattributed(vault: Vault, dataset: Dataset, stored: StoredObject) -> Unattributed | None:
    """Return what of an object nobody can attribute, whatever its size. Raises DatasetUnknownError."""
    try:
        return subjects(vault, dataset, stored).unattributed
    except ObjectTooLargeError:
        return Unattributed("too-large", "all")


def is_sealed_by_sender(stored: StoredObject) -> bool:
    """Return whether a program encrypted the object before it sent it."""
    return not _SEALED.isdisjoint(stored.metadata)


def _as_a_whole(vault: Vault, stored: StoredObject) -> Subjects:
    try:
        refs = subjects_of_object(vault, stored)
    except SealBrokenError:
        return Subjects(unreadable=1, unattributed=Unattributed("no-subject", "all", SEAL_BROKEN))
    if not refs and stored.size:
        return Subjects(unreadable=1, unattributed=Unattributed("no-subject", "all"))
    return Subjects(Counter(refs))


def _in_stream(reader: RowReader, stored: StoredObject, reference: ReferenceOf) -> Subjects:
    positions = RowPositions(reference, INDEX_BYTES)
    left = LeftOver()
    _, content = compression.opened(reader, stored.chunks())
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


def subjects_of_object(vault: Vault, stored: StoredObject) -> frozenset[str]:
    """Return the references of the subject an object belongs to, from its metadata; none where it tells none.

    Uploads made through the API carry it sealed, which is one reference; older ones carry the reference
    itself. An identifier that somebody put there directly is turned into one, with a warning: identifiers do
    not belong in metadata. What looks like a plain reference may be an identifier all the same, such as a
    digest: then the object is found by both. Raises SealBrokenError for a sealed reference that this vault
    has not made: nobody knows whose it is.
    """
    value = stored.metadata.get("subject")
    if value is None:
        return frozenset()
    if sealed_references.is_sealed(value):
        try:
            return frozenset({sealed_references.opened(vault.subject_secret(), value)})
        except SealBrokenError:
            _log.warning("sealed reference of an object does not open: customer=%s", vault.customer.id)
            raise
    given = frozenset({value} if _REFERENCE.fullmatch(value) else ())
    if not given:
        _log.warning("object metadata held an identifier, not a reference: customer=%s", vault.customer.id)
    identifier = _decoded(value)
    made = None if is_too_long(identifier) else reference_of(vault)(identifier)
    return given | ({made} if made is not None else set())


def _decoded(value: str) -> str:
    """Undo RFC 2047, in which S3 returns metadata that is not plain ASCII."""
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, UnicodeError):
        return value
