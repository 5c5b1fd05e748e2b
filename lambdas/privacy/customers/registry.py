"""The registry: which client and which bucket belong to which customer, and the customers' contracts.

The stack's program writes it, the functions read it; only how far the destruction of a customer's data has
come is written by the functions that destroy it. It holds no personal data.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from privacy.aws import clients as aws_clients

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

CACHE_SECONDS: Final = 60.0
"""How long an entry is believed without asking again: a changed contract counts after a minute."""


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """How a dataset's csv files are written; `columns` is None where each file begins with a header."""

    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """One of a customer's datasets: where it lies and which of its fields are personal.

    `prefix` is None for `records`, which live in the vault's table. `subject` is the field that identifies
    the subject of a row: a dotted path in `jsonl`, where `[]` after a name stands for every element of a
    list; the name of a column in `csv`. `personal` maps a field to its kind. `remove` says what an erasure
    takes from a row that names several subjects in a list: the `row`, or only the `element`. `as_of` is the
    field with the row's own time, where there is one. `index` says how a run finds subjects: by `events`, or
    by a `scan` of all files. `archived` says what becomes of files that cannot be read before S3 has brought
    them back: `report` or `restore`.
    """

    name: str
    format: str
    prefix: str | None
    subject: str | None
    personal: Mapping[str, str]
    remove: str = "row"
    csv: CsvDialect | None = None
    as_of: str | None = None
    index: str = "events"
    archived: str = "report"


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
    `key_deletion`, and `destroyed` when that is gone, too. Times are RFC 3339 texts. There is no way back.
    """

    state: Literal["destroying", "scheduled", "destroyed"]
    since: str
    key_deletion: str | None = None


@dataclass(slots=True)
class Registry:
    """Reads the registry table, remembering each entry for `CACHE_SECONDS`."""

    table: str
    clock: Callable[[], float] = time.monotonic
    _entries: dict[str, tuple[float, "dict[str, AttributeValueTypeDef]"]] = field(default_factory=dict)

    def program(self, client_id: str) -> Program | None:
        """Return the program that holds this OAuth2 client id, or None where no customer has it."""
        item = self._item(f"client#{client_id}")
        return Program(item["customer"]["S"], item["program"]["S"]) if item else None

    def customer(self, customer_id: str) -> Customer | None:
        """Return the customer of that id, or None."""
        item = self._item(f"customer#{customer_id}")
        return _customer(item) if item else None

    def customer_of_bucket(self, bucket: str) -> Customer | None:
        """Return the customer whose vault has this bucket, or None."""
        item = self._item(f"bucket#{bucket}")
        return self.customer(item["customer"]["S"]) if item else None

    def destruction(self, customer_id: str) -> Destruction | None:
        """Return how far the destruction of the customer's data has come, or None where it has not begun.

        Strongly consistent: whoever is told None may still work with the vault.
        """
        item = self._item(destruction_key(customer_id), consistent=True)
        if not item:
            return None
        key_deletion = item.get("key_deletion", {}).get("S")
        return Destruction(item["state"]["S"], item["since"]["S"], key_deletion)  # type: ignore[arg-type]  # ours

    def customer_ids(self) -> list[str]:
        """Return the ids of every customer of the region."""
        item = self._item("customers")
        ids: list[str] = json.loads(item["ids"]["S"]) if item else []
        return ids

    def _item(self, pk: str, *, consistent: bool = False) -> "dict[str, AttributeValueTypeDef]":
        now = self.clock()
        known = self._entries.get(pk)
        if known and now - known[0] < CACHE_SECONDS:
            return known[1]
        item = (
            aws_clients.dynamodb()
            .get_item(TableName=self.table, Key={"pk": {"S": pk}}, ConsistentRead=consistent)
            .get("Item", {})
        )
        # Absence is asked again each time: a customer just added must not wait, and the keys
        # come from verified tokens and from the stack's own buckets, so they are few.
        if item:
            self._entries[pk] = (now, item)
        return item


def destruction_key(customer_id: str) -> str:
    """Return the key of the item that says how far the destruction of the customer's data has come."""
    return f"destruction#{customer_id}"


def _customer(item: "Mapping[str, AttributeValueTypeDef]") -> Customer:
    return Customer(
        id=item["customer"]["S"],
        bucket=item["bucket"]["S"],
        table=item["table"]["S"],
        key_arn=item["key_arn"]["S"],
        contract_starts=date.fromisoformat(item["contract_starts"]["S"]),
        contract_ends=date.fromisoformat(item["contract_ends"]["S"]),
        grace_days=int(item["grace_days"]["N"]),
        subject_id=item["subject_id"]["S"],
        terminated=item.get("contract_status", {}).get("S") == "terminated",
        hold=item.get("hold", {}).get("S"),
        key_deletion_days=int(item.get("key_deletion_days", {}).get("N", "30")),
        user_pool=item.get("user_pool", {}).get("S", ""),
        clients=tuple(json.loads(item.get("clients", {}).get("S", "[]"))),
        datasets=tuple(
            Dataset(
                name=entry["name"],
                format=entry["format"],
                prefix=entry["prefix"],
                subject=entry["subject"],
                personal=entry["personal"],
                remove=entry.get("remove", "row"),
                csv=_dialect(entry["csv"]) if entry.get("csv") else None,
                as_of=entry.get("as_of"),
                index=entry.get("index", "events"),
                archived=entry.get("archived", "report"),
            )
            for entry in json.loads(item["datasets"]["S"])
        ),
    )


def _dialect(entry: Mapping[str, Any]) -> CsvDialect:
    columns = entry["columns"]
    return CsvDialect(
        delimiter=entry["delimiter"],
        quote=entry["quote"],
        encoding=entry["encoding"],
        columns=None if columns is None else tuple(columns),
    )
