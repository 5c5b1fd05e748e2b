"""Database records of some subjects: deleted, or patched, as a run's requests ask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from privacy import timestamps
from privacy.aws.retries import pause
from privacy.aws.transactions import CONDITION_FAILED, transact
from privacy.formats import json_values
from privacy.vault import items as vault_items
from privacy.vault.sessions import Vault
from privacy.visits.items import Visits
from privacy.visits.visit import Visit

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

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
    """What a visit did to records."""

    records_deleted: int = 0
    records_changed: int = 0

    def noted(self) -> dict[str, Any]:
        """Return the outcome as the visit's item keeps it."""
        return {"records_deleted": self.records_deleted, "records_changed": self.records_changed}


def visit_records(
    visits: Visits, visit: Visit, changes: Mapping[str, Sequence[RecordChange]]
) -> RecordsOutcome:
    """Delete the records of the visit's erased subjects, patch those of the others.

    `changes` are the corrections by subject reference, in the order they were asked for. An erasure goes
    before any of them: in whichever order they came, no record is left. Doing it again changes nothing
    more; the outcome is that of all attempts together. Raises RecordChangedError and RunOverError.
    """
    vault = visits.vault
    outcome = RecordsOutcome(**visit.tally)
    deleted = visits.counting(visit.number, "records_deleted")
    changed = visits.counting(visit.number, "records_changed")
    for ref in sorted(visit.erase):
        limit = visit.limits.get(ref)
        for item in vault_items.query(vault, vault_items.subject_pk(ref), first="record#"):
            if limit is not None and not limit.takes_record(item["updated_at"]["S"]):
                continue
            outcome.records_deleted += _delete(vault, ref, item["sk"]["S"], deleted)
    for ref in sorted({ref for _, ref in visit.correct} - (visit.erase - visit.limits.keys())):
        for item in vault_items.query(vault, vault_items.subject_pk(ref), first="record#"):
            wanted = [change.fields for change in changes[ref] if change.is_about(item)]
            outcome.records_changed += bool(wanted) and _patch(vault, item, wanted, changed)
    return outcome


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

    Returns whether the record differs now. One that was deleted or moved meanwhile is left alone.
    """
    found: vault_items.Item | None = item
    for attempt in range(_ATTEMPTS):
        if found is None:
            return False
        fields = json_values.loads_exactly(found["fields"]["S"])
        differs = [json_values.set_fields(fields, change) for change in changes]
        if not any(differs):
            return False
        record: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": vault.customer.table,
                "Key": vault_items.key(found["pk"]["S"], found["sk"]["S"]),
                "UpdateExpression": "SET #fields = :fields, revision = :next, updated_at = :at",
                "ConditionExpression": "revision = :revision",
                "ExpressionAttributeNames": {"#fields": "fields"},
                "ExpressionAttributeValues": {
                    ":fields": {"S": json_values.dumps_exactly(fields).decode()},
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
