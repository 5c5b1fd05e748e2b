"""What reads the rows of a dataset's files, and whose rows were found in one."""

from collections import Counter
from dataclasses import dataclass, field

from privacy.customers.customer import CsvDialect, Dataset
from privacy.formats.blocks import RowReader
from privacy.formats.csv_rows import CsvRows
from privacy.formats.jsonl import JsonLines
from privacy.formats.positions import RowPositions


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


def found_by(positions: RowPositions, reader: RowReader) -> Subjects:
    """Return whose rows were found by reading a file to its end."""
    positions.see_head(reader.head)
    known = positions if positions.complete else None
    return Subjects(positions.rows, positions.unreadable, known)


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
