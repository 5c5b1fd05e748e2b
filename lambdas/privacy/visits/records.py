"""Database records of some subjects: deleted, or patched, as a run's requests ask."""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from privacy import timestamps
from privacy.aws.failures import error_name
from privacy.aws.retries import pause
from privacy.aws.transactions import CONDITION_FAILED, transact
from privacy.formats import json_values
from privacy.formats.blocks import UnreadableRowError
from privacy.formats.edits import REPORTED_LINES
from privacy.vault import items as vault_items
from privacy.vault.sessions import Vault
from privacy.visits.items import Visits
from privacy.visits.visit import Visit

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_log: Final = logging.getLogger("privacy")

_MOST_BYTES: Final = 396 * 1024  # DynamoDB's 400 KB an item, less its keys and other attributes
_ATTEMPTS: Final = 5
_FIRST_PAUSE: Final = 0.05  # seconds


class RecordChangedError(Exception):
    """Somebody else kept writing the record. Visiting again helps."""


class RunOverError(Exception):
    """The visit's run has ended: what is there now may be new, and is none of the visit's business."""


@dataclass(frozen=True, slots=True)
class RecordChange:
    """Fields that a correction sets in a dataset's record, or (`record_id` None) in all the subject's."""

    dataset: str
    record_id: str | None
    fields: Mapping[str, Any]

    def is_about(self, item: "vault_items.Item") -> bool:
        """Return whether the change is about this record."""
        return item["dataset"]["S"] == self.dataset and self.record_id in {None, item["record_id"]["S"]}


@dataclass(slots=True)
class RecordsOutcome:
    """What a visit did to records.

    `unparsed` are records that could not be changed, each with its dataset, a digest of its id and the
    reason; there are `unparsed_count` of them, of which not all are listed.
    """

    records_deleted: int = 0
    records_changed: int = 0
    unparsed: list[dict[str, str]] = field(default_factory=list)
    unparsed_count: int = 0

    def report(self, item: "vault_items.Item", reason: str) -> None:
        """Add a record that stays as it is, and why."""
        self.unparsed_count += 1
        if len(self.unparsed) < REPORTED_LINES:
            self.unparsed.append({**_place(item), "reason": reason})

    def noted(self) -> dict[str, Any]:
        """Return the outcome as the visit's item keeps it."""
        return asdict(self)


def visit_records(
    visits: Visits, visit: Visit, changes: Mapping[str, Sequence[RecordChange]]
) -> RecordsOutcome:
    """Delete the records of the visit's erased subjects, patch those of the others.

    `changes` are the corrections by subject reference, in the order they were asked for. An erasure goes
    before any of them: in whichever order they came, no record is left. A record that cannot be changed
    stays as it is and is reported. Doing it again changes nothing more; the outcome is that of all attempts
    together. Raises RecordChangedError or ClientError where some failed, once all the others are done, and
    RunOverError at once.
    """
    vault = visits.vault
    outcome = RecordsOutcome(visit.tally.get("records_deleted", 0), visit.tally.get("records_changed", 0))
    deleted = visits.counting(visit.number, "records_deleted")
    changed = visits.counting(visit.number, "records_changed")
    failures = _Failures(visits, visit.number)
    for ref in sorted(visit.erase):
        limit = visit.limits.get(ref)
        for item in vault_items.query(vault, vault_items.subject_pk(ref), first="record#"):
            if limit is not None and not limit.takes_record(item["updated_at"]["S"]):
                continue
            with failures.going_on(item):
                outcome.records_deleted += _delete(vault, ref, item["sk"]["S"], deleted)
    for ref in sorted({ref for _, ref in visit.correct} - (visit.erase - visit.limits.keys())):
        for item in vault_items.query(vault, vault_items.subject_pk(ref), first="record#"):
            wanted = [change.fields for change in changes[ref] if change.is_about(item)]
            if not wanted:
                continue
            with failures.going_on(item):
                try:
                    outcome.records_changed += _patch(vault, item, wanted, changed)
                except UnreadableRowError as error:
                    outcome.report(item, str(error))
    failures.raise_first()
    return outcome


@dataclass(slots=True)
class _Failures:
    """Failures of single records, kept until the visit's other records are done."""

    visits: Visits
    number: int
    first: Exception | None = None

    @contextmanager
    def going_on(self, item: "vault_items.Item") -> Iterator[None]:
        try:
            yield
        except (RecordChangedError, ClientError) as error:
            self.first = self.first or error
            _log.error(
                "record failed: customer=%s run=%s visit=%d dataset=%s record=%s error=%s",
                self.visits.vault.customer.id,
                self.visits.run_id,
                self.number,
                *_place(item).values(),
                error_name(error),
            )

    def raise_first(self) -> None:
        if self.first is not None:
            raise self.first


def _place(item: "vault_items.Item") -> dict[str, str]:
    """Name the record without its id, which may hold personal data: the customer can make the digest too."""
    digest = hashlib.sha256(item["record_id"]["S"].encode()).hexdigest()[:12]
    return {"dataset": item["dataset"]["S"], "record": digest}


def _delete(vault: Vault, ref: str, name: str, counting: "TransactWriteItemTypeDef") -> bool:
    """Delete the record and the pointer to its subject together, and count it; return whether it was there.

    Where the pointer names another subject by now, the record was moved to that one, and is gone here.
    """
    table = vault.customer.table
    pointer: TransactWriteItemTypeDef = {
        "Delete": {
            "TableName": table,
            "Key": vault_items.key(name, vault_items.POINTER),
            "ConditionExpression": "attribute_not_exists(pk) OR #ref = :ref",
            "ExpressionAttributeNames": {"#ref": "ref"},
            "ExpressionAttributeValues": {":ref": {"S": ref}},
        }
    }
    record: TransactWriteItemTypeDef = {
        "Delete": {
            "TableName": table,
            "Key": vault_items.key(vault_items.subject_pk(ref), name),
            "ConditionExpression": "attribute_exists(pk)",
        }
    }
    for attempt in range(_ATTEMPTS):
        refused = transact(vault.dynamodb, [pointer, record, counting])
        if not refused:
            return True
        if refused[-1] == CONDITION_FAILED:
            raise RunOverError
        if CONDITION_FAILED in refused:
            vault.dynamodb.delete_item(
                TableName=table, Key=vault_items.key(vault_items.subject_pk(ref), name)
            )
            return False
        pause(attempt, first_seconds=_FIRST_PAUSE)
    raise RecordChangedError


def _patch(
    vault: Vault,
    item: "vault_items.Item",
    changes: Sequence[Mapping[str, Any]],
    counting: "TransactWriteItemTypeDef",
) -> bool:
    """Set fields in one record, over exactly the revision that was read, and count it.

    Returns whether the record differs now. One that was deleted or moved meanwhile is left alone. Raises
    UnreadableRowError where it cannot be written as asked, RecordChangedError where others kept writing it.
    """
    found: vault_items.Item | None = item
    for attempt in range(_ATTEMPTS):
        if found is None:
            return False
        fields = json_values.loads_exactly(found["fields"]["S"])
        differs = [json_values.set_fields(fields, change) for change in changes]
        if not any(differs):
            return False
        text = json_values.dumps_exactly(fields).decode()
        if len(text.encode()) > _MOST_BYTES:
            raise UnreadableRowError("would be larger than a record may be")
        record: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": vault.customer.table,
                "Key": vault_items.key(found["pk"]["S"], found["sk"]["S"]),
                "UpdateExpression": "SET #fields = :fields, revision = :next, updated_at = :at",
                "ConditionExpression": "revision = :revision",
                "ExpressionAttributeNames": {"#fields": "fields"},
                "ExpressionAttributeValues": {
                    ":fields": {"S": text},
                    ":revision": {"N": found["revision"]["N"]},
                    ":next": {"N": str(int(found["revision"]["N"]) + 1)},
                    ":at": {"S": timestamps.instant(datetime.now(UTC))},
                },
            }
        }
        refused = transact(vault.dynamodb, [record, counting])
        if not refused:
            return True
        if refused[-1] == CONDITION_FAILED:
            raise RunOverError
        pause(attempt, first_seconds=_FIRST_PAUSE)
        found = vault_items.get(vault, found["pk"]["S"], found["sk"]["S"])
    raise RecordChangedError
