"""What each purpose may do in a vault, and in the ledger: bounds that session policies narrow to a customer.

Each action stands here and nowhere else: a session policy names a customer's resources and leaves the actions
to the role. So no action has a wildcard.

The roles hold no right to use a key. Every vault's key policy names them with its conditions, which IAM
could only widen (a condition in a role's policy does nothing where the key policy names the role directly).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ..naming import RegionNames
from .documents import Conditions, Statement

Purpose = Literal[
    "begin",
    "ingest",
    "intake",
    "index",
    "plan",
    "visit",
    "verify",
    "reindex",
    "close",
    "replay",
    "destroy",
    "witness",
    "keep",
    "export",
    "fetch",
    "list",
]

EXPORTS: Final = "exports/"
"""Prefix of a vault's bucket below which exports lie."""

LEDGER: Final = "ledger"
"""Kind of evidence that says who was erased when: the first part of its keys."""


@dataclass(frozen=True, kw_only=True)
class VaultRights:
    """Actions of one purpose, by the kind of resource they act on.

    `partition` is the only one of the table that they act on; None where it may be any.
    """

    why: str
    objects: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    bucket: tuple[str, ...] = ()
    uploads_listing: tuple[str, ...] = ()
    table: tuple[str, ...] = ()
    objects_index: tuple[str, ...] = ()
    ledger: tuple[str, ...] = ()
    ledger_listing: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    partition: str | None = None


PURPOSES: Final[Mapping[Purpose, VaultRights]] = {
    "begin": VaultRights(
        why="Make a new vault's subject secret, and see that nobody was ever referred to under another one.",
        table=("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan"),
    ),
    "ingest": VaultRights(
        why="Put records under their subjects, and sign uploads of files.",
        objects=("s3:PutObject",),
        uploads_listing=("s3:ListBucket",),
        table=(
            "dynamodb:ConditionCheckItem",
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
        ),
    ),
    "intake": VaultRights(
        why="Turn identifiers into subject references; keep a correction's new values, encrypted.",
        table=("dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem"),
    ),
    "index": VaultRights(
        why="Read the version that a bucket event names and keep its subjects' index entries.",
        objects=("s3:GetObjectVersion",),
        bucket=("s3:ListBucketVersions",),
        table=(
            "dynamodb:BatchGetItem",
            "dynamodb:BatchWriteItem",
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
        ),
        objects_index=("dynamodb:Query",),
    ),
    "plan": VaultRights(
        why="Write tombstones, find what the requests touch, and write down the visits.",
        bucket=("s3:ListBucketVersions",),
        table=("dynamodb:BatchWriteItem", "dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem"),
    ),
    "visit": VaultRights(
        why="Rewrite objects, delete their older versions, delete and patch records.",
        objects=(
            "s3:AbortMultipartUpload",
            "s3:DeleteObject",
            "s3:DeleteObjectVersion",
            "s3:GetObject",
            "s3:GetObjectTagging",
            "s3:GetObjectVersion",
            "s3:PutObject",
            "s3:PutObjectTagging",
            "s3:RestoreObject",
        ),
        bucket=("s3:ListBucketVersions",),
        table=(
            "dynamodb:BatchGetItem",
            "dynamodb:BatchWriteItem",
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
        ),
    ),
    "verify": VaultRights(
        why="Read back what is left, and note what should not be.",
        bucket=("s3:ListBucketVersions",),
        table=("dynamodb:Query", "dynamodb:UpdateItem"),
    ),
    "reindex": VaultRights(
        why="Compare every version with the index, and put the index right.",
        objects=("s3:GetObjectVersion",),
        bucket=("s3:ListBucketVersions",),
        table=(
            "dynamodb:BatchGetItem",
            "dynamodb:BatchWriteItem",
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
        ),
        objects_index=("dynamodb:Query", "dynamodb:Scan"),
    ),
    "close": VaultRights(
        why="Read a run's or a reindex's own notes at its end, and remove them; keep what a redrive needs.",
        table=("dynamodb:BatchWriteItem", "dynamodb:Query", "dynamodb:UpdateItem"),
    ),
    "replay": VaultRights(
        why="Read a customer's erasure ledger after a restoration, and note who is to be erased again.",
        table=("dynamodb:BatchWriteItem", "dynamodb:GetItem"),
        ledger=("s3:GetObjectVersion",),
        ledger_listing=("s3:ListBucketVersions",),
    ),
    "destroy": VaultRights(
        why="Destroy a vault whose customer's contract is over: versions, table, key. It reads no content.",
        objects=("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion"),
        bucket=("s3:GetBucketTagging", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions"),
        table=(
            "dynamodb:DeleteTable",
            "dynamodb:DescribeTable",
            "dynamodb:ListTagsOfResource",
            "dynamodb:UpdateTable",
        ),
        key=("kms:DescribeKey", "kms:ListResourceTags", "kms:ScheduleKeyDeletion"),
    ),
    "witness": VaultRights(
        why="Count what is in a vault, see whose it is, and read back what a contract's end has left of it.",
        bucket=("s3:GetBucketTagging", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions"),
        table=("dynamodb:DescribeTable", "dynamodb:ListTagsOfResource"),
        key=("kms:DescribeKey", "kms:ListResourceTags"),
    ),
    "keep": VaultRights(
        why="Take back the order to delete the key of a vault, because a hold has come.",
        key=("kms:CancelKeyDeletion", "kms:DescribeKey"),
    ),
    "export": VaultRights(
        why="Write all of a customer's records and a list of its files below the prefix of exports.",
        exports=("s3:DeleteObjectVersion", "s3:PutObject"),
        bucket=("s3:ListBucketVersions",),
        table=("dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan"),
    ),
    "fetch": VaultRights(
        why="Sign downloads of an export and of the files that it lists.", objects=("s3:GetObject",)
    ),
    "list": VaultRights(
        why="Read the notes of files that nobody can attribute.",
        table=("dynamodb:Query",),
        partition="unattributed",
    ),
}


def purpose_statements(names: RegionNames, purpose: Purpose) -> list[Statement]:
    """Statements of a purpose role: any vault of this stack, until a session policy names one."""
    rights = PURPOSES[purpose]
    by_resource = {
        "Objects": (rights.objects, f"{names.any_vault_bucket}/*"),
        "Exports": (rights.exports, f"{names.any_vault_bucket}/{EXPORTS}*"),
        "Bucket": (rights.bucket, names.any_vault_bucket),
        "UploadsListing": (rights.uploads_listing, names.any_vault_bucket),
        "Table": (rights.table, names.any_vault_table),
        "ObjectsIndex": (rights.objects_index, f"{names.any_vault_table}/index/objects"),
        "Ledger": (rights.ledger, f"{names.evidence_arn}/{LEDGER}/*"),
        "LedgerListing": (rights.ledger_listing, names.evidence_arn),
        # Administration, which a vault's key policy leaves to IAM; use of a key is never given here.
        "Key": (rights.key, names.arn("kms", "key/*")),
    }
    conditions: dict[str, Conditions] = {
        "UploadsListing": {"StringLike": {"s3:prefix": "?*"}},
        "LedgerListing": {"StringLike": {"s3:prefix": f"{LEDGER}/*"}},
        # Not the region's own keys. A key that is gone has no alias, and can still be asked about.
        "Key": {"ForAllValues:StringLike": {"kms:ResourceAliases": f"alias/{names.name('vault-*')}"}},
    }
    if rights.partition is not None:
        conditions["Table"] = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": rights.partition}}
    return [
        Statement(
            sid=sid,
            why=rights.why,
            actions=actions,
            resources=[resource],
            conditions=conditions.get(sid, {}),
        )
        for sid, (actions, resource) in by_resource.items()
        if actions
    ]
