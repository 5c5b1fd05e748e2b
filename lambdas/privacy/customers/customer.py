"""A customer as plain values: its vault, its contract, its datasets and its programs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from typing import Literal


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """How a dataset's csv files are written; `columns` is None where each file begins with a header.

    Without a `quote`, quotes mean nothing. Lines that begin with `comment` are nobody's; an `escape` takes
    the meaning of the character behind it. `header` says how names of columns are compared with those in the
    config: `exact`, or `caseless` (and without spaces around them). `utf-16` takes a byte order mark.
    """

    delimiter: str = ","
    quote: str | None = '"'
    encoding: str = "utf-8"
    columns: tuple[str, ...] | None = None
    comment: str | None = None
    escape: str | None = None
    header: str = "exact"


@dataclass(frozen=True, slots=True)
class Dataset:
    """One of a customer's datasets: where it lies and which of its fields are personal.

    `prefix` is None for `records`, which live in the vault's table. `subjects` are the fields that identify
    the people of a row, each of them by itself (sender and recipient); none where there are no rows. A field
    is a dotted path, where `[]` after a name stands for every element of a list; in `csv` it is the name of a
    column. `personal` maps a field to its kind. `remove` says what an erasure
    takes from a row that names several subjects in a list: the `row`, or only the `element`. `as_of` is the
    field with the row's own time, where there is one. `index` says how a run finds subjects: by `events`, or
    by a `scan` of all files. `archived` says what becomes of files that cannot be read before S3 has brought
    them back: `report` or `restore`. `accepted` is why answers need not wait for what nobody can attribute
    in its files, where the customer says so.
    """

    name: str
    format: str
    prefix: str | None
    subjects: tuple[str, ...]
    personal: Mapping[str, str]
    remove: str = "row"
    csv: CsvDialect | None = None
    as_of: str | None = None
    index: str = "events"
    archived: str = "report"
    accepted: str | None = None

    @property
    def has_whole_files(self) -> bool:
        """Whether each file is one subject's as a whole: it has no rows, and no fields to correct."""
        return self.format == "object"

    @property
    def names_by_address(self) -> bool:
        """Whether whoever a row names is named by an e-mail address, as the kinds of the fields say."""
        return bool(self.subjects) and all(self.personal.get(subject) == "email" for subject in self.subjects)

    @property
    def has_columns(self) -> bool:
        """Whether a field is the name of a column, in which a dot means nothing, and not a path."""
        return self.format == "csv"

    def owner_of(self, field: str) -> str | None:
        """Return the subject field whose person alone a field is about, or None: it is about the whole row.

        Where a row has several subject fields, `from.name` goes with `from.email`: no other of them has as
        many of its parents. Columns of a csv file have no parents.
        """
        if len(self.subjects) == 1 or self.has_columns:
            return None
        shared = {subject: _shared_parents(field, subject) for subject in self.subjects}
        most = max(shared.values(), default=0)
        nearest = [subject for subject, parents in shared.items() if parents == most]
        return nearest[0] if most and len(nearest) == 1 else None


def _shared_parents(field: str, other: str) -> int:
    pairs = zip(field.split(".")[:-1], other.split(".")[:-1], strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer (the controller) and its vault in this region.

    `hold` is why nothing is destroyed for now. Between the order to delete the vault's key and the key's end
    lie `key_deletion_days`. `clients` are the ids of its OAuth2 clients in the `user_pool`.
    """

    id: str
    bucket: str
    table: str
    key_arn: str
    contract_starts: date
    contract_ends: date
    grace_days: int
    subject_id: str
    datasets: tuple[Dataset, ...]
    terminated: bool = False
    hold: str | None = None
    key_deletion_days: int = 30
    user_pool: str = ""
    clients: tuple[str, ...] = ()

    def dataset(self, name: str) -> Dataset | None:
        """Return the dataset of that name, or None."""
        return next((dataset for dataset in self.datasets if dataset.name == name), None)

    def dataset_of(self, key: str) -> Dataset | None:
        """Return the dataset below whose prefix an object key lies, or None. Prefixes do not overlap."""
        return next((d for d in self.datasets if d.prefix and key.startswith(d.prefix)), None)

    def contract_started(self, at: datetime) -> bool:
        """Return whether the contract has begun: from 00:00:00 UTC of its first day."""
        return at.date() >= self.contract_starts

    def contract_ended(self, at: datetime) -> bool:
        """Return whether the contract is over: after the last second (UTC) of its last day."""
        return at.date() > self.contract_ends

    @property
    def destruction(self) -> datetime:
        """When the data is to be destroyed: the midnight (UTC) after the last grace day."""
        day = self.contract_ends + timedelta(days=1 + self.grace_days)
        return datetime(day.year, day.month, day.day, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Program:
    """A customer's program: one OAuth2 client."""

    customer: str
    name: str


@dataclass(frozen=True, slots=True)
class Destruction:
    """How far the destruction of a customer's data has come.

    `destroying` from the freeze on, `scheduled` when nothing is left but the key, whose end is
    `key_deletion`, and `destroyed` when that is gone, too. Times are RFC 3339 texts. There is no way back
    but one: a hold that comes while the key waits makes `destroying` of `scheduled`, until it is lifted.

    `execution` is the ARN of the execution that was the last to take it up. `key_ordered` says whether the
    key's deletion was ordered, or was about to be.
    """

    state: Literal["destroying", "scheduled", "destroyed"]
    since: str
    key_deletion: str | None = None
    execution: str | None = None
    key_ordered: bool = False
