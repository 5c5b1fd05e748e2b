"""What a format of files is: one object that says how such files are read and changed, of one of three kinds.

Each format's own module makes its object (`csv_rows.CSV`); `privacy.index.file_formats` has the table of all.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, Protocol

from privacy.customers.customer import Dataset
from privacy.customers.references import ReferenceOf
from privacy.formats.blocks import RowReader
from privacy.formats.edits import ChangesOf, Edited, OwnerOf, nobody_alone
from privacy.formats.positions import RowPositions
from privacy.unattributed import Unattributed


class DatasetUnknownError(Exception):
    """The customer's configuration no longer has the dataset, or does not say how to read it."""


@dataclass(slots=True)
class Subjects:
    """The subjects of an object with the number of their rows, and how many lines could not be read.

    `positions` say where the rows are; None where there are none, or not all of them are known. With
    `has_unused` the file holds personal values that no row has, so that nobody can tell whose they are.
    `unattributed` is what of the object nobody can attribute; None where that is nothing.
    """

    rows: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    positions: RowPositions | None = None
    unattributed: Unattributed | None = None


@dataclass(frozen=True, slots=True)
class AskedOfFile:
    """What a visit asks of the rows of one file that lies on the disk.

    `subjects` are the fields that name the people of a row, `reference` turns what stands there into a
    reference. `erase` are those whose rows go; with `elements` only their elements of a row's list. `changes`
    are the fields to set. `spare` are those who are erased elsewhere and whose rows here stay. `personal` are
    the fields with personal data: a file may hold values of them that no row has. With `addresses` a row's
    people are named by e-mail addresses. `owner_of` is as in RowEdits.
    """

    subjects: Sequence[str]
    erase: frozenset[str]
    changes: ChangesOf
    reference: ReferenceOf
    elements: bool = False
    spare: frozenset[str] = frozenset()
    personal: frozenset[str] = frozenset()
    addresses: bool = False
    owner_of: OwnerOf = nobody_alone


class FileEdits(Protocol):
    """Changes one file; `done` says what was done to its rows."""

    done: Edited

    def apply(self, file: IO[bytes], write: Callable[[bytes], object], /) -> bool:
        """Write what the file becomes; return False where nothing changes and nothing was written.

        Raises DamagedContentError.
        """


@dataclass(frozen=True, slots=True)
class WholeFiles:
    """The format of files that are one subject's as a whole.

    An object's metadata say whose it is. The content is never read, and an erasure takes all of it.
    """


@dataclass(frozen=True, slots=True)
class RowsInStream:
    """A format whose rows are read and changed one after the other, of files that may be compressed.

    `reader_for` makes the reader of one file from the fields that name a row's people, and the dataset. The
    index keeps where the rows are, and a dataset may say which field is a row's own time (`as_of`). With
    `elements` the reader is an ElementReader, and a dataset may say `remove: element`.
    """

    reader_for: Callable[[Sequence[str], Dataset], RowReader]
    elements: bool = False

    def reader(self, dataset: Dataset) -> RowReader:
        """Return what reads one of the dataset's files. Raises DatasetUnknownError."""
        return self.reader_for(subject_fields(dataset), dataset)


@dataclass(frozen=True, slots=True)
class RowsOnDisk:
    """A format whose files have to lie on the function's disk while they are read and changed.

    `subjects` returns whose the rows of one of a dataset's files are, and what of it nobody can attribute;
    `edits` makes what changes one file. Nobody keeps where rows are, and no row has a time of its own. With
    `elements` a dataset may say `remove: element`.
    Large libraries are imported by these two when they are called.
    """

    subjects: Callable[[IO[bytes], Dataset, ReferenceOf], Subjects]
    edits: Callable[[AskedOfFile], FileEdits]
    elements: bool = False


FileFormat = WholeFiles | RowsInStream | RowsOnDisk


def subject_fields(dataset: Dataset) -> Sequence[str]:
    """Return the fields that name the people of a row. Raises DatasetUnknownError where there are none."""
    if not dataset.subjects:
        raise DatasetUnknownError
    return dataset.subjects


def found_by(positions: RowPositions, reader: RowReader) -> Subjects:
    """Return whose rows were found by reading a file to its end."""
    positions.see_head(reader.head)
    known = positions if positions.complete else None
    return Subjects(positions.rows, positions.unreadable, known)
