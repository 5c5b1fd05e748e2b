"""The mark in the registry that a customer's data is being destroyed: set once, never taken back.

Everybody heeds it: the API refuses the customer, no run starts, and no step destroys anything without it.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from privacy.aws import clients as aws_clients
from privacy.aws.conditions import ConditionMayFail
from privacy.aws.retries import ATTEMPTS, pause
from privacy.aws.transactions import CONDITION_FAILED, transact
from privacy.customers.registry import destruction_key
from privacy.timestamps import timestamp

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

_log: Final = logging.getLogger("privacy")


def begin(table: str, customer_id: str, now: datetime) -> None:
    """Set the mark; where it stands already, it stays as it is."""
    _write(
        table,
        customer_id,
        "SET #state = :destroying, since = :since",
        {":destroying": {"S": "destroying"}, ":since": {"S": timestamp(now)}},
        condition="attribute_not_exists(#state)",
    )


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


def deleted(table: str, customer_id: str) -> dict[str, int]:
    """Return how much was counted as deleted, by kind."""
    item = aws_clients.dynamodb().get_item(TableName=table, Key=_key(customer_id), ConsistentRead=True)
    return {kind: int(value["N"]) for kind, value in item.get("Item", {}).items() if "N" in value}


def schedule(table: str, customer_id: str, key_deletion: str) -> None:
    """Note that nothing is left but the key, which goes at `key_deletion` (RFC 3339)."""
    _write(
        table,
        customer_id,
        "SET #state = :scheduled, key_deletion = :at",
        {":scheduled": {"S": "scheduled"}, ":at": {"S": key_deletion}, ":destroyed": {"S": "destroyed"}},
        condition="attribute_exists(#state) AND #state <> :destroyed",
    )


def finish(table: str, customer_id: str) -> None:
    """Note that the key is gone, too."""
    _write(
        table,
        customer_id,
        "SET #state = :destroyed",
        {":destroyed": {"S": "destroyed"}},
        condition="attribute_exists(#state)",
    )


def _write(
    table: str,
    customer_id: str,
    update: str,
    values: "Mapping[str, AttributeValueTypeDef]",
    *,
    condition: str,
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


def _key(customer_id: str) -> "Mapping[str, AttributeValueTypeDef]":
    return {"pk": {"S": destruction_key(customer_id)}}
