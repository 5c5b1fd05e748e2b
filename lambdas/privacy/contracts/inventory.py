"""What is in a vault: how many versions, bytes, items. Counts only; nothing of it is read."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError

from privacy.aws.time_left import RESERVE_MILLISECONDS
from privacy.vault.sessions import Vault


@dataclass(slots=True)
class Files:
    """What the bucket holds; `complete` is False where there was no time to list all of it."""

    versions: int = 0
    bytes: int = 0
    delete_markers: int = 0
    unfinished_uploads: int = 0
    complete: bool = True


def of_bucket(vault: Vault, remaining: Callable[[], int]) -> Files:
    """Count all versions, markers and uploads, for as long as the function has time."""
    files, bucket = Files(), vault.customer.bucket
    for listed in vault.s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        files.versions += len(listed.get("Versions", []))
        files.bytes += sum(version["Size"] for version in listed.get("Versions", []))
        files.delete_markers += len(listed.get("DeleteMarkers", []))
        if remaining() < RESERVE_MILLISECONDS:
            files.complete = False
            return files
    for uploads in vault.s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        files.unfinished_uploads += len(uploads.get("Uploads", []))
    return files


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
