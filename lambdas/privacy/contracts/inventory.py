"""What is in a vault: how many versions, bytes, items. Counts only; nothing of it is read."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from botocore.exceptions import ClientError

from privacy.aws.time_left import RESERVE_MILLISECONDS
from privacy.vault.deletions import unfinished_uploads
from privacy.vault.sessions import Vault


@dataclass(slots=True)
class Files:
    """What the bucket holds; `complete` is False where there was no time to list all of it.

    A bucket that is not there has the state `GONE`, and holds nothing.
    """

    versions: int = 0
    bytes: int = 0
    delete_markers: int = 0
    unfinished_uploads: int = 0
    complete: bool = True
    state: Literal["THERE", "GONE"] = "THERE"


def of_bucket(vault: Vault, remaining: Callable[[], int]) -> Files:
    """Count all versions, markers and uploads, for as long as the function has time."""
    files = Files()
    try:
        files.complete = _count(vault, files, remaining)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise
        return Files(state="GONE")
    return files


def _count(vault: Vault, files: Files, remaining: Callable[[], int]) -> bool:
    """Add up what the bucket holds; return whether there was time for all of it."""
    for listed in vault.s3.get_paginator("list_object_versions").paginate(Bucket=vault.customer.bucket):
        files.versions += len(listed.get("Versions", []))
        files.bytes += sum(version["Size"] for version in listed.get("Versions", []))
        files.delete_markers += len(listed.get("DeleteMarkers", []))
        if remaining() < RESERVE_MILLISECONDS:
            return False
    for _ in unfinished_uploads(vault):
        files.unfinished_uploads += 1
        if remaining() < RESERVE_MILLISECONDS:
            return False
    return True


def of_table(vault: Vault) -> dict[str, Any]:
    """Return the table's state with items and bytes as DynamoDB last counted them (every six hours).

    The state of a table that is not there is `GONE`.
    """
    try:
        table = vault.dynamodb.describe_table(TableName=vault.customer.table)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return {"state": "GONE"}
    return {
        "state": table["TableStatus"],
        "items_counted_last": table.get("ItemCount", 0),
        "bytes_counted_last": table.get("TableSizeBytes", 0),
    }


def of_vault(vault: Vault, remaining: Callable[[], int]) -> dict[str, Any]:
    """Return what a destruction would destroy."""
    customer = vault.customer
    return {
        "bucket": {"name": customer.bucket, **asdict(of_bucket(vault, remaining))},
        "table": {"name": customer.table, **of_table(vault)},
        "key": {"arn": customer.key_arn, "deletion_days": customer.key_deletion_days},
        "clients": len(customer.clients),
    }
