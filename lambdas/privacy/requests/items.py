"""Requests as items of the request table, all under `customer#<customer>`.

`request#<id>`, `subjects#<id>`, and the marker `pending#<id>` as long as the request has not ended.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

    Item = dict[str, AttributeValueTypeDef]


def key(customer: str, sk: str) -> "Item":
    """Return the primary key of a customer's item."""
    return {"pk": {"S": f"customer#{customer}"}, "sk": {"S": sk}}


def compact(value: Mapping[str, Any]) -> str:
    """Return the value as JSON text without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def creation(
    table: str, customer: str, request: Mapping[str, Any], refs: Sequence[str], erased_at: Sequence[str] = ()
) -> "list[TransactWriteItemTypeDef]":
    """Return the writes that put a request (as the API shows it) on record with its subjects and marker.

    `erased_at`: of a repeated erasure, for each subject the instant of the erasure that it repeats.
    """
    texts = {name: value for name, value in request.items() if name not in {"id", "subjects"}}
    again: Item = {"erased_at": {"L": [{"S": at} for at in erased_at]}} if erased_at else {}
    items: list[Item] = [
        {
            **key(customer, f"request#{request['id']}"),
            **{name: {"S": value} for name, value in texts.items()},
            "subjects": {"N": str(request["subjects"])},
        },
        {**key(customer, f"subjects#{request['id']}"), "refs": {"L": [{"S": ref} for ref in refs]}, **again},
        key(customer, f"pending#{request['id']}"),
    ]
    new = "attribute_not_exists(sk)"
    return [{"Put": {"TableName": table, "Item": item, "ConditionExpression": new}} for item in items]


def ending(
    table: str, customer: str, request_id: str, *, state: str, at: str, detail: Mapping[str, Any] | None
) -> "list[TransactWriteItemTypeDef]":
    """Return the writes that end a request which has not ended, and remove its marker."""
    update = "SET #state = :state, completed_at = :at" + (" REMOVE detail" if detail is None else "")
    values: Item = {
        ":state": {"S": state},
        ":at": {"S": at},
        ":pending": {"S": "pending"},
        ":running": {"S": "running"},
    }
    if detail is not None:
        update += ", detail = :detail"
        values[":detail"] = {"S": compact(detail)}
    return [
        {
            "Update": {
                "TableName": table,
                "Key": key(customer, f"request#{request_id}"),
                "UpdateExpression": update,
                "ConditionExpression": "#state IN (:pending, :running)",
                "ExpressionAttributeNames": {"#state": "state"},
                "ExpressionAttributeValues": values,
            }
        },
        {"Delete": {"TableName": table, "Key": key(customer, f"pending#{request_id}")}},
    ]


def postponement(
    table: str, customer: str, request_id: str, run_id: str, *, not_before: str, detail: Mapping[str, Any]
) -> "list[TransactWriteItemTypeDef]":
    """Return the writes that take a request back from its run, for a later one to go on with it."""
    return [
        {
            "Update": {
                "TableName": table,
                "Key": key(customer, f"request#{request_id}"),
                "UpdateExpression": "SET #state = :pending, detail = :detail REMOVE run_id",
                "ConditionExpression": "#state = :running AND run_id = :run_id",
                "ExpressionAttributeNames": {"#state": "state"},
                "ExpressionAttributeValues": {
                    ":pending": {"S": "pending"},
                    ":running": {"S": "running"},
                    ":run_id": {"S": run_id},
                    ":detail": {"S": compact(detail)},
                },
            }
        },
        {
            "Update": {
                "TableName": table,
                "Key": key(customer, f"pending#{request_id}"),
                "UpdateExpression": "SET not_before = :not_before",
                "ExpressionAttributeValues": {":not_before": {"S": not_before}},
            }
        },
    ]


def reopening(table: str, customer: str, request_id: str, run_id: str) -> "list[TransactWriteItemTypeDef]":
    """Return the writes that make a request which ended failed in this run pending again, with its marker.

    The run's id goes too: a step of that run which is made again must not take the request for its own.
    """
    return [
        {
            "Update": {
                "TableName": table,
                "Key": key(customer, f"request#{request_id}"),
                "UpdateExpression": "SET #state = :pending, redriven_from = :run_id,"
                " first_failed_in = if_not_exists(first_failed_in, :run_id)"
                " REMOVE run_id, completed_at, detail",
                "ConditionExpression": "#state = :failed AND run_id = :run_id",
                "ExpressionAttributeNames": {"#state": "state"},
                "ExpressionAttributeValues": {
                    ":pending": {"S": "pending"},
                    ":failed": {"S": "failed"},
                    ":run_id": {"S": run_id},
                },
            }
        },
        {"Put": {"TableName": table, "Item": key(customer, f"pending#{request_id}")}},
    ]
