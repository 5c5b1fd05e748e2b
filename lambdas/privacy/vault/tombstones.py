"""Tombstones: which subjects were erased when, so that what arrives later for an earlier time goes, too."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from privacy.aws.conditions import ConditionMayFail
from privacy.vault.items import batch_get, get, key, subject_pk
from privacy.vault.sessions import Vault

ERASED: Final = "erased"

_LAST_ERASURE: Final = ("vault", "last-erasure")


@dataclass(frozen=True, slots=True)
class Tombstone:
    """That a subject was erased: by which request, and at which instant."""

    request: str
    erased_at: str


def last_erasure(vault: Vault) -> str:
    """Return the instant of the vault's last erasure (strongly consistent), or the empty text."""
    item = get(vault, *_LAST_ERASURE)
    return item["erased_at"]["S"] if item else ""


def note_erasure(vault: Vault, at: str) -> None:
    """Set the instant of the vault's last erasure, unless a later one is there."""
    with ConditionMayFail():
        vault.dynamodb.update_item(
            TableName=vault.customer.table,
            Key=key(*_LAST_ERASURE),
            UpdateExpression="SET erased_at = :at",
            ConditionExpression="attribute_not_exists(sk) OR erased_at < :at",
            ExpressionAttributeValues={":at": {"S": at}},
        )


def put_tombstone_back(vault: Vault, ref: str, erased_at: str, request_id: str) -> None:
    """Leave a tombstone that a restoration took away, unless the same or a later one is there."""
    with ConditionMayFail():
        vault.dynamodb.update_item(
            TableName=vault.customer.table,
            Key=key(subject_pk(ref), ERASED),
            UpdateExpression="SET erased_at = :at, #request = :request",
            ConditionExpression="attribute_not_exists(sk) OR erased_at < :at",
            ExpressionAttributeNames={"#request": "request"},
            ExpressionAttributeValues={":at": {"S": erased_at}, ":request": {"S": request_id}},
        )


def erased_at(vault: Vault, ref: str) -> str:
    """Return the instant at which the subject was last erased (strongly consistent), or the empty text."""
    item = get(vault, subject_pk(ref), ERASED)
    return item["erased_at"]["S"] if item else ""


def tombstones(vault: Vault, refs: Iterable[str]) -> dict[str, Tombstone]:
    """Return the tombstones (strongly consistent) of those of the subjects that were erased."""
    return {
        item["pk"]["S"].removeprefix("subject#"): Tombstone(item["request"]["S"], item["erased_at"]["S"])
        for item in batch_get(vault, [key(subject_pk(ref), ERASED) for ref in sorted(refs)])
    }


def erased_since(vault: Vault, refs: Iterable[str], uploaded_at: str) -> dict[str, Tombstone]:
    """Return the tombstones of those of the subjects that were erased at or after `uploaded_at`.

    They are the late arrivals: what was uploaded before an erasure and is found after it is erased, too.
    """
    if last_erasure(vault) < uploaded_at:
        return {}
    found = tombstones(vault, refs)
    return {ref: erased for ref, erased in found.items() if erased.erased_at >= uploaded_at}
