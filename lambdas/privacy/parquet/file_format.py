"""The format `parquet` as the table of formats has it. Arrow is imported when such a file is met."""

from typing import IO, Final

from privacy.customers.customer import Dataset
from privacy.customers.references import ReferenceOf
from privacy.formats.readers import AskedOfFile, FileEdits, RowsOnDisk, Subjects, subject_fields


def _subjects(file: IO[bytes], dataset: Dataset, reference: ReferenceOf) -> Subjects:
    from privacy.parquet.subjects import subjects_of  # Arrow is large: only who meets such a file waits

    addresses = dataset.names_by_address
    return subjects_of(file, subject_fields(dataset), dataset.personal, reference, addresses=addresses)


def _edits(asked: AskedOfFile) -> FileEdits:
    from privacy.parquet.edits import ParquetEdits  # Arrow is large: only who meets such a file waits

    return ParquetEdits(
        asked.subjects,
        asked.erase,
        asked.changes,
        asked.reference,
        elements=asked.elements,
        spare=asked.spare,
        personal=asked.personal,
        addresses=asked.addresses,
        owner_of=asked.owner_of,
    )


PARQUET: Final = RowsOnDisk(_subjects, _edits, elements=True)
