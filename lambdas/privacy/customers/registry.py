"""The registry: which client and which bucket belong to which customer, and the customers' contracts.

The stack's program writes it, the functions read it; only how far the destruction of a customer's data has
come, and the sealed secret of a vault, are written by functions. It holds no personal data.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final, Self

from privacy import environment
from privacy.aws import clients as aws_clients
from privacy.customers.customer import CsvDialect, Customer, Dataset, Destruction, Program

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

CACHE_SECONDS: Final = 60.0
"""How long an entry is believed without asking again: a changed contract counts after a minute."""


@dataclass(slots=True)
class Registry:
    """Reads the registry table, remembering each entry for `CACHE_SECONDS`."""

    table: str
    clock: Callable[[], float] = time.monotonic
    _entries: dict[str, tuple[float, "dict[str, AttributeValueTypeDef]"]] = field(default_factory=dict)

    @classmethod
    def from_environment(cls) -> Self:
        """Return the region's registry. Raises MissingEnvironmentVariableError."""
        return cls(environment.read(environment.REGISTRY_TABLE))

    def program(self, client_id: str) -> Program | None:
        """Return the program that holds this OAuth2 client id, or None where no customer has it."""
        item = self._item(f"client#{client_id}")
        return Program(item["customer"]["S"], item["program"]["S"]) if item else None

    def customer(self, customer_id: str, *, consistent: bool = False) -> Customer | None:
        """Return the customer of that id, or None; `consistent` where it may just have been written."""
        item = self._item(entry_key(customer_id), consistent=consistent)
        return _customer(item) if item else None

    def entry(self, customer_id: str) -> "Entry | None":
        """Return the customer's entry, or None: strongly consistent, and asked anew.

        For whoever destroys: a hold that was answered is seen.
        """
        item = self._read(entry_key(customer_id), consistent=True)
        return Entry(item) if item else None

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
        return destruction_of(item)

    def sealed_secret(self, customer_id: str) -> bytes | None:
        """Return the sealed secret behind the references of the customer's vault, as it is kept here.

        Strongly consistent. None where none is kept: see `privacy.vault.subject_secret`.
        """
        kept = self.kept_secret(customer_id)
        return kept.ciphertext if kept else None

    def kept_secret(self, customer_id: str) -> "KeptSecret | None":
        """Return the sealed secret with what is noted of it: strongly consistent, and asked anew."""
        item = self._read(secret_key(customer_id), consistent=True)
        return _kept_secret(item) if item else None

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
        item = self._read(pk, consistent=consistent)
        # Absence is asked again each time: a customer just added must not wait, and the keys
        # come from verified tokens and from the stack's own buckets, so they are few.
        if item:
            self._entries[pk] = (now, item)
        return item

    def _read(self, pk: str, *, consistent: bool) -> "dict[str, AttributeValueTypeDef]":
        return (
            aws_clients.dynamodb()
            .get_item(TableName=self.table, Key={"pk": {"S": pk}}, ConsistentRead=consistent)
            .get("Item", {})
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """The item of the registry that says what is so of a customer."""

    item: "Mapping[str, AttributeValueTypeDef]"

    @property
    def customer(self) -> Customer:
        """The customer that it describes."""
        return _customer(self.item)

    @property
    def held(self) -> bool:
        """Whether a hold stands: nothing else of the item is looked at."""
        return "hold" in self.item


@dataclass(frozen=True, slots=True)
class KeptSecret:
    """The sealed secret of a vault, as the registry keeps it.

    `key_arn` is the key that opens it, None where that is not noted: then it is the vault's. `before` is the
    one in whose place it was made, sealed under a key that the vault has no more.
    """

    ciphertext: bytes
    key_arn: str | None
    before: bytes | None


def _kept_secret(item: "Mapping[str, AttributeValueTypeDef]") -> KeptSecret:
    return KeptSecret(
        ciphertext=bytes(item["ciphertext"]["B"]),
        key_arn=item.get("key_arn", {}).get("S"),
        before=bytes(item["before"]["B"]) if "before" in item else None,
    )


def entry_key(customer_id: str) -> str:
    """Return the key of the customer's entry."""
    return f"customer#{customer_id}"


def destruction_key(customer_id: str) -> str:
    """Return the key of the item that says how far the destruction of the customer's data has come."""
    return f"destruction#{customer_id}"


def destruction_of(item: "Mapping[str, AttributeValueTypeDef]") -> Destruction:
    """Return how far the destruction has come that the item is about."""
    return Destruction(
        state=item["state"]["S"],  # type: ignore[arg-type]  # ours
        since=item["since"]["S"],
        key_deletion=item.get("key_deletion", {}).get("S"),
        execution=item.get("execution", {}).get("S"),
        key_ordered="key" in begun_of(item),
    )


EVERYTHING: Final = ("bucket", "key", "table")
"""What a vault is made of, as a mark names it."""


def begun_of(item: "Mapping[str, AttributeValueTypeDef]") -> Sequence[str]:
    """Return what of the vault steps have met, as the mark says.

    An earlier version noted neither that nor the vault: its steps may have met, and destroyed, everything.
    """
    if "key_arn" in item:
        return item.get("begun", {}).get("SS", ())
    return [what for what in EVERYTHING if what != "key" or "kept_at" not in item]


def secret_key(customer_id: str) -> str:
    """Return the key of the item that keeps the sealed secret of the customer's vault."""
    return f"secret#{customer_id}"


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
        datasets=tuple(map(dataset_of_entry, json.loads(item["datasets"]["S"]))),
    )


def dataset_of_entry(entry: Mapping[str, Any]) -> Dataset:
    """Return the dataset that an entry of a customer's item describes.

    Entries that were written before a dataset could have several subject fields have one `subject` or none.
    """
    subject = entry["subject"]
    return Dataset(
        name=entry["name"],
        format=entry["format"],
        prefix=entry["prefix"],
        subjects=tuple(entry.get("subjects", () if subject is None else (subject,))),
        personal=entry["personal"],
        remove=entry.get("remove", "row"),
        csv=_dialect(entry["csv"]) if entry.get("csv") else None,
        as_of=entry.get("as_of"),
        index=entry.get("index", "events"),
        archived=entry.get("archived", "report"),
        accepted=(entry.get("unattributed") or {}).get("reason"),
    )


def _dialect(entry: Mapping[str, Any]) -> CsvDialect:
    columns = entry["columns"]
    return CsvDialect(
        delimiter=entry["delimiter"],
        quote=entry["quote"],
        encoding=entry["encoding"],
        columns=None if columns is None else tuple(columns),
        comment=entry.get("comment"),
        escape=entry.get("escape"),
        header=entry.get("header", "exact"),
    )


class UnknownCustomerError(Exception):
    """The run is about a customer that the registry does not know."""
