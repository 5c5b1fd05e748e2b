"""Index entries of one object: the versions they are about, and how they go without newer ones going, too."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from privacy import vault_items
from privacy.transactions import ATTEMPTS, CONDITION_FAILED, pause, transact
from privacy.vault import Vault

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_TRANSACTION_LIMIT: Final = 100  # writes in one TransactWriteItems


def versions_of(vault: Vault, object_key: str, refs: Iterable[str]) -> dict[str, str]:
    """Return the version of the object that each subject's entry is about; who has none is left out."""
    keys = [vault_items.key(vault_items.subject_pk(ref), vault_items.object_sk(object_key)) for ref in refs]
    return {
        item["pk"]["S"].removeprefix("subject#"): item["version_id"]["S"]
        for item in vault_items.batch_get(vault, keys)
    }


def drop(vault: Vault, object_key: str, entries: Mapping[str, str]) -> None:
    """Delete the entries (subject reference → version) that are still about that version.

    An upload that was indexed meanwhile has put its own in their place: those stay. Raises TableBusyError.
    """
    waiting = sorted(entries.items())
    for start in range(0, len(waiting), _TRANSACTION_LIMIT):
        chunk = waiting[start : start + _TRANSACTION_LIMIT]
        for attempt in range(ATTEMPTS):
            refused = transact(vault.dynamodb, [_deletion(vault, object_key, *entry) for entry in chunk])
            chunk = [e for e, reason in zip(chunk, refused, strict=False) if reason != CONDITION_FAILED]
            if not chunk:
                break
            pause(attempt)
        else:
            raise vault_items.TableBusyError


def _deletion(vault: Vault, object_key: str, ref: str, version_id: str) -> "TransactWriteItemTypeDef":
    return {
        "Delete": {
            "TableName": vault.customer.table,
            "Key": vault_items.key(vault_items.subject_pk(ref), vault_items.object_sk(object_key)),
            "ConditionExpression": "attribute_not_exists(pk) OR version_id = :version_id",
            "ExpressionAttributeValues": {":version_id": {"S": version_id}},
        }
    }
