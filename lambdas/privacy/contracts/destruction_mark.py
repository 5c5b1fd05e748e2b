"""The mark in the registry that a customer's data is being destroyed: set once, never taken back.

Everybody heeds it: the API refuses the customer, no run starts, and no step destroys anything without it. It
is set together with a look at the contract, so that a hold or a renewal that was written before is heeded.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from privacy.aws import clients as aws_clients
from privacy.aws.conditions import ConditionMayFail
from privacy.aws.retries import ATTEMPTS, pause
from privacy.aws.transactions import CONDITION_FAILED, transact
from privacy.contracts import marked_vault
from privacy.contracts.marked_vault import MarkedVault
from privacy.customers.customer import Destruction
from privacy.customers.registry import EVERYTHING, Entry, begun_of, destruction_key, destruction_of, entry_key
from privacy.timestamps import timestamp

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

    Attributes = Mapping[str, AttributeValueTypeDef]

What = Literal["bucket", "table", "key"]
"""What a vault is made of."""

_COUNTED: Final = ("versions", "markers", "uploads")
_AS_READ: Final = (
    "contract_starts",
    "contract_ends",
    "grace_days",
    "key_deletion_days",
    "hold",
    "bucket",
    "table",
    "key_arn",
    "user_pool",
    "clients",
)
"""Attributes of a customer's entry that the mark goes by: none may have changed when it is set."""

_log: Final = logging.getLogger("privacy")


@dataclass(frozen=True, slots=True)
class Mark:
    """What the mark says.

    `vault` is None where an earlier version of this program has set it and nobody has started again since.
    `begun` is what a step has found, and found to be the customer's, before it destroyed it. `refused` counts
    versions that S3 refused to delete, by its code; `deleted` how much was deleted at least, by kind.
    `first_key_deletion` is when the key was first said to go (RFC 3339).
    """

    destruction: Destruction
    vault: MarkedVault | None
    begun: frozenset[str]
    refused: Mapping[str, int]
    deleted: Mapping[str, int]
    first_key_deletion: str | None


def read(table: str, customer_id: str) -> Mark | None:
    """Return the customer's mark (strongly consistent), or None where it has none."""
    item = (
        aws_clients.dynamodb()
        .get_item(TableName=table, Key=_key(customer_id), ConsistentRead=True)
        .get("Item", {})
    )
    if not item:
        return None
    return Mark(
        destruction=destruction_of(item),
        vault=marked_vault.of(customer_id, item),
        begun=frozenset(begun_of(item)),
        refused=json.loads(item["refused"]["S"]) if "refused" in item else {},
        deleted={kind: int(item[kind]["N"]) for kind in _COUNTED if kind in item},
        first_key_deletion=item.get("first_key_deletion", {}).get("S"),
    )


def begin(table: str, entry: Entry, now: datetime, *, earlier: bool = False) -> bool:
    """Set the mark, and note in it what is destroyed; where it stands already, it stays as it is.

    Returns False, and sets nothing, where the customer's entry is not as it was read any more: a hold, a
    renewal. Mark and look at the entry are one transaction. Of a mark that notes nothing, set by an `earlier`
    version, state and moment stay, and it is noted that the steps of that version may have met everything.
    """
    writes = [_setting(table, entry, now, earlier=earlier), _unchanged(table, entry)]
    for attempt in range(ATTEMPTS):
        mark, contract = transact(aws_clients.dynamodb(), writes) or ("", "")
        if contract == CONDITION_FAILED:
            return False
        if not mark or mark == CONDITION_FAILED:
            return True
        pause(attempt)
    raise MarkBusyError


class MarkBusyError(Exception):
    """Other writers of the mark or the contract kept getting in the way. Trying again later helps."""


def _setting(table: str, entry: Entry, now: datetime, *, earlier: bool) -> "TransactWriteItemTypeDef":
    facts = {**marked_vault.noted(entry.customer), **({"begun": {"SS": list(EVERYTHING)}} if earlier else {})}
    return {
        "Update": {
            "TableName": table,
            "Key": _key(entry.customer.id),
            "UpdateExpression": (
                "SET #state = if_not_exists(#state, :destroying), since = if_not_exists(since, :since), "
                + ", ".join(f"{name} = :{name}" for name in facts)
            ),
            "ConditionExpression": "attribute_not_exists(key_arn)",
            "ExpressionAttributeNames": {"#state": "state"},
            "ExpressionAttributeValues": {
                ":destroying": {"S": "destroying"},
                ":since": {"S": timestamp(now)},
                **{f":{name}": value for name, value in facts.items()},
            },
        }
    }


def _unchanged(table: str, entry: Entry) -> "TransactWriteItemTypeDef":
    there = {name: entry.item[name] for name in _AS_READ if name in entry.item}
    conditions = [
        f"#{name} = :{name}" if name in there else f"attribute_not_exists(#{name})" for name in _AS_READ
    ]
    return {
        "ConditionCheck": {
            "TableName": table,
            "Key": {"pk": {"S": entry_key(entry.customer.id)}},
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeNames": {f"#{name}": name for name in _AS_READ},
            "ExpressionAttributeValues": {f":{name}": value for name, value in there.items()},
        }
    }


def take_up(table: str, customer_id: str, execution: str) -> None:
    """Note which execution works on the destruction now, so that the watch sees when it has ended."""
    _write(table, customer_id, "SET execution = :execution", {":execution": {"S": execution}})


def found(table: str, customer_id: str, what: What) -> None:
    """Note that a step has found it, and found it to be the customer's."""
    _write(table, customer_id, "ADD begun :what", {":what": {"SS": [what]}})


def refuse(table: str, customer_id: str, refused: Mapping[str, int]) -> None:
    """Note how many versions S3 refuses to delete, by its code: none where it is empty."""
    text = json.dumps(refused, sort_keys=True)
    _write(table, customer_id, "SET refused = :refused", {":refused": {"S": text}})


def count(table: str, customer_id: str, deleted: Mapping[str, int]) -> None:
    """Add to the mark how much was deleted, by kind.

    A call whose answer was lost is not in it, so these are at least as many.
    """
    some = {kind: number for kind, number in deleted.items() if number}
    if not some:
        return
    addition: TransactWriteItemTypeDef = {
        "Update": {
            "TableName": table,
            "Key": _key(customer_id),
            "UpdateExpression": "ADD " + ", ".join(f"{kind} :{kind}" for kind in some),
            "ConditionExpression": "attribute_exists(#state)",
            "ExpressionAttributeNames": {"#state": "state"},
            "ExpressionAttributeValues": {f":{kind}": {"N": str(number)} for kind, number in some.items()},
        }
    }
    for attempt in range(ATTEMPTS):
        # A transaction has a token: made again because its answer was lost, it adds nothing.
        reasons = transact(aws_clients.dynamodb(), [addition])
        if not reasons or reasons[0] == CONDITION_FAILED:
            return
        pause(attempt)
    # Fewer than were deleted is true, too: not worth a failed step.
    _log.warning("deleted and not counted: customer=%s", customer_id)


def schedule(table: str, customer_id: str, key_deletion: str) -> None:
    """Note that nothing is left but the key, which goes at `key_deletion` (RFC 3339).

    Nothing is noted where the order to delete it was taken back meanwhile.
    """
    _write(
        table,
        customer_id,
        "SET #state = :scheduled, key_deletion = :at, "
        "first_key_deletion = if_not_exists(first_key_deletion, :at)",
        {
            ":scheduled": {"S": "scheduled"},
            ":at": {"S": key_deletion},
            ":destroyed": {"S": "destroyed"},
            ":key": {"S": "key"},
        },
        condition="attribute_exists(#state) AND #state <> :destroyed AND contains(begun, :key)",
    )


def schedule_without_key(table: str, customer_id: str, seen_at: str) -> None:
    """Note that nothing is left, the key neither; `seen_at` (RFC 3339) is its end where none is known."""
    _write(
        table,
        customer_id,
        "SET #state = :scheduled, key_deletion = if_not_exists(key_deletion, :at), "
        "first_key_deletion = if_not_exists(first_key_deletion, :at)",
        {":scheduled": {"S": "scheduled"}, ":at": {"S": seen_at}, ":destroyed": {"S": "destroyed"}},
        condition="attribute_exists(#state) AND #state <> :destroyed",
    )


def keep_key(table: str, customer_id: str, now: datetime) -> None:
    """Note that the order to delete the key was taken back, because of a hold.

    The stack's program sees by `kept_at` that the key is none to be made anew.
    """
    _write(
        table,
        customer_id,
        "SET #state = :destroying, kept_at = :now REMOVE key_deletion DELETE begun :key",
        {
            ":destroying": {"S": "destroying"},
            ":destroyed": {"S": "destroyed"},
            ":now": {"S": timestamp(now)},
            ":key": {"SS": ["key"]},
        },
        condition="attribute_exists(#state) AND #state <> :destroyed",
    )


def finish(table: str, customer_id: str) -> None:
    """Note that the key is gone, too."""
    _write(table, customer_id, "SET #state = :destroyed", {":destroyed": {"S": "destroyed"}})


def _write(
    table: str,
    customer_id: str,
    update: str,
    values: "Attributes",
    *,
    condition: str = "attribute_exists(#state)",
) -> None:
    # Where it does not hold, the destruction has come further: what this call would note is noted.
    with ConditionMayFail():
        aws_clients.dynamodb().update_item(
            TableName=table,
            Key=_key(customer_id),
            UpdateExpression=update,
            ConditionExpression=condition,
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues=values,
        )


def _key(customer_id: str) -> "Attributes":
    return {"pk": {"S": destruction_key(customer_id)}}
