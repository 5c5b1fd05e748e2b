"""The formats that a dataset of files may have, by their names in the config. A new one is a line here."""

from typing import Final

from privacy.customers.customer import Dataset
from privacy.formats.blocks import RowReader
from privacy.formats.csv_rows import CSV
from privacy.formats.jsonl import JSON_LINES
from privacy.formats.readers import (
    DatasetUnknownError,
    FileFormat,
    RowsInStream,
    WholeFiles,
    subject_fields,
)
from privacy.parquet.file_format import PARQUET
from privacy.vault import objects as vault_objects
from privacy.vault.objects import StoredObject
from privacy.vault.sessions import Vault

FORMATS: Final[dict[str, FileFormat]] = {
    "jsonl": JSON_LINES,
    "csv": CSV,
    "parquet": PARQUET,
    "object": WholeFiles(),
}
"""Not among them are `records`: they lie in the vault's table, not in files."""


def format_of(dataset: Dataset) -> FileFormat:
    """Return the format of the dataset's files.

    Raises DatasetUnknownError where there is no such format, or no field says whose a row is.
    """
    found = FORMATS.get(dataset.format)
    if found is None:
        raise DatasetUnknownError
    if not isinstance(found, WholeFiles):
        subject_fields(dataset)
    return found


def reader_of(dataset: Dataset) -> RowReader:
    """Return what reads the rows of one of the dataset's files in a stream. Raises DatasetUnknownError."""
    found = format_of(dataset)
    if not isinstance(found, RowsInStream):
        raise DatasetUnknownError
    return found.reader(dataset)


def open_current(vault: Vault, dataset: Dataset, key: str) -> StoredObject | None:
    """Open a file's current version as far as it takes to tell whose it is; None where there is none.

    Raises DatasetUnknownError, and ObjectArchivedError where its content is needed and archived.
    """
    if isinstance(format_of(dataset), WholeFiles):
        return vault_objects.describe(vault, key)
    return vault_objects.read(vault, key)


def open_version(vault: Vault, dataset: Dataset, key: str, version_id: str) -> StoredObject | None:
    """Open one version of a file as far as it takes to tell whose it is; None where that version is gone.

    Raises DatasetUnknownError, and ObjectArchivedError where its content is needed and archived.
    """
    if isinstance(format_of(dataset), WholeFiles):
        return vault_objects.describe_version(vault, key, version_id)
    return vault_objects.read_version(vault, key, version_id)
