"""Database records: items in the vault's table, in the partition of the subject they are about."""

import json
import logging
import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from privacy.api import problems
from privacy.api.problems import ProblemError
from privacy.aws.retries import ATTEMPTS, pause
from privacy.aws.transactions import CONDITION_FAILED, transact
from privacy.timestamps import instant
from privacy.vault.items import POINTER, key, record_name, subject_pk
from privacy.vault.sessions import Vault
from privacy.vault.tombstones import ERASED

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

_log: Final = logging.getLogger("privacy")

MAX_FIELDS_BYTES: Final = 256 * 1024
"""A record is one table item, of which DynamoDB takes 400 KB."""


def put_record(
    vault: Vault, dataset: str, record_id: str, ref: str, fields: Mapping[str, Any], now: datetime
) -> None:
    """Store the record under the subject, in place of what it was before, whoever's it was.

    `now` is when the call began. Where the subject was erased at or after it, the erasure takes the record as
    if it had come just before: it is not stored, and what it replaces goes.

    Raises ProblemError: 413 for fields that are too large, 409 where other calls kept writing it.
    """
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > MAX_FIELDS_BYTES:
        raise ProblemError(problems.TOO_LARGE, f"Fields take at most {MAX_FIELDS_BYTES} bytes.")
    table, name = vault.customer.table, record_name(dataset, record_id)
    record: dict[str, AttributeValueTypeDef] = {
        **key(subject_pk(ref), name),
        "dataset": {"S": dataset},
        "record_id": {"S": record_id},
        "fields": {"S": text},
        "updated_at": {"S": instant(now)},
    }
    for attempt in range(ATTEMPTS):
        owner = _owner(vault, name)
        # Different at every write: a correction notices one that comes between its read and its write.
        record["revision"] = {"N": str(time.time_ns())}
        moves = _moves(table, name, ref, owner)
        put: TransactWriteItemTypeDef = {"Put": {"TableName": table, "Item": record}}
        # In one transaction: a call that died before it looked at the tombstone would have left the record.
        refused = transact(vault.dynamodb, [*moves, put, _not_erased_since(table, ref, now)])
        if not refused:
            return
        if refused[-1] == CONDITION_FAILED and _replaced(vault, name, owner, now):
            _log.info("record came after its subject's erasure: customer=%s", vault.customer.id)
            return
        pause(attempt)
    raise ProblemError(problems.CONFLICT, "Send the record again.")


def _not_erased_since(table: str, ref: str, now: datetime) -> "TransactWriteItemTypeDef":
    """Return the check that the subject was not erased at or after `now`."""
    return {
        "ConditionCheck": {
            "TableName": table,
            "Key": key(subject_pk(ref), ERASED),
            "ConditionExpression": "attribute_not_exists(sk) OR erased_at < :now",
            "ExpressionAttributeValues": {":now": {"S": instant(now)}},
        }
    }


def _replaced(vault: Vault, name: str, owner: str | None, now: datetime) -> bool:
    """Remove the record that one from `now` would have replaced, but no newer one.

    Returns False, and removes nothing, where it has another owner by now.
    """
    if owner is None:
        return True
    table = vault.customer.table
    pointer: TransactWriteItemTypeDef = {
        "Delete": {
            "TableName": table,
            "Key": key(name, POINTER),
            "ConditionExpression": "#ref = :owner",
            "ExpressionAttributeNames": {"#ref": "ref"},
            "ExpressionAttributeValues": {":owner": {"S": owner}},
        }
    }
    record: TransactWriteItemTypeDef = {
        "Delete": {
            "TableName": table,
            "Key": key(subject_pk(owner), name),
            "ConditionExpression": "attribute_not_exists(sk) OR updated_at <= :now",
            "ExpressionAttributeValues": {":now": {"S": instant(now)}},
        }
    }
    refused = transact(vault.dynamodb, [pointer, record])
    return not refused or refused[-1] == CONDITION_FAILED


def _owner(vault: Vault, name: str) -> str | None:
    answer = vault.dynamodb.get_item(
        TableName=vault.customer.table, Key=key(name, POINTER), ConsistentRead=True
    )
    return answer["Item"]["ref"]["S"] if "Item" in answer else None


def _moves(table: str, name: str, ref: str, owner: str | None) -> "list[TransactWriteItemTypeDef]":
    """Return the writes that make the subject the record's owner, if the owner is still the one read."""
    pointer: TransactWriteItemTypeDef = {
        "Put": {
            "TableName": table,
            "Item": {**key(name, POINTER), "ref": {"S": ref}},
            "ConditionExpression": "attribute_not_exists(sk)",
        }
    }
    if owner is None:
        return [pointer]
    # A pointer that has gone meanwhile went together with the record: nothing is left to move.
    pointer["Put"]["ConditionExpression"] = "attribute_not_exists(sk) OR #ref = :owner"
    pointer["Put"]["ExpressionAttributeNames"] = {"#ref": "ref"}
    pointer["Put"]["ExpressionAttributeValues"] = {":owner": {"S": owner}}
    if owner == ref:
        return [pointer]
    return [pointer, {"Delete": {"TableName": table, "Key": key(subject_pk(owner), name)}}]
