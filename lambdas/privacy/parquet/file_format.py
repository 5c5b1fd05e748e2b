"""The format `parquet` as the table of formats has it. Arrow is imported when such a file is met."""

from typing import IO, Final

from privacy.customers.references import ReferenceOf
from privacy.formats.readers import AskedOfFile, FileEdits, RowsOnDisk, Subjects


def _subjects(file: IO[bytes], subject: str, reference: ReferenceOf) -> Subjects:
    from privacy.parquet.subjects import subjects_of  # Arrow is large: only who meets such a file waits

    return subjects_of(file, subject, reference)


def _edits(asked: AskedOfFile) -> FileEdits:
    from privacy.parquet.edits import ParquetEdits  # Arrow is large: only who meets such a file waits

    return ParquetEdits(
        asked.subject,
        asked.erase,
        asked.changes,
        asked.reference,
        elements=asked.elements,
        spare=asked.spare,
    )


PARQUET: Final = RowsOnDisk(_subjects, _edits, elements=True)
