"""Session policies: whose data a function reaches, one pure function a purpose.

A function assumes its purpose's role together with one of these documents. The role bounds *what* can be
done in any vault of the region, the document bounds *whose* vault: one bucket, one table, one key. AWS
allows only what both allow. Actions are written out, never with wildcards.

AWS takes session policies of at most 2,048 characters and refuses the call where the packed form is too
large (AssumeRole, parameter Policy), so the documents are kept short: no Sids.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Statement = dict[str, Any]
Policy = dict[str, Any]

MAX_CHARACTERS: Final = 2048
"""AWS limit of an inline session policy (AssumeRole, parameter Policy), in characters."""

EXPORTS: Final = "exports/"
"""Prefix of a vault's bucket that no dataset has: what is exported lies below it."""

REFERENCE_PURPOSE: Final = "subject-reference"
"""Value of the KMS encryption context's `purpose` for the secret behind the subject references."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultResources:
    """The resources of one customer's vault that a session may reach.

    `prefixes` are the key prefixes of the customer's datasets in the bucket. `evidence_arn` is the region's
    evidence bucket, which only a function that reads a ledger has to know.
    """

    customer: str
    bucket_arn: str
    table_arn: str
    key_arn: str
    prefixes: tuple[str, ...] = ()
    evidence_arn: str = ""

    @property
    def region(self) -> str:
        """The region of the key, and so of the whole vault."""
        return self.key_arn.split(":")[3]

    @property
    def objects_index_arn(self) -> str:
        """The table's sparse index that finds an object's entries by its key."""
        return f"{self.table_arn}/index/objects"


def encryption_context(customer: str) -> dict[str, str]:
    """Return the encryption context that binds the subject-reference secret to its purpose and vault."""
    return {"purpose": REFERENCE_PURPOSE, "customer": customer}


def ingest(vault: VaultResources) -> Policy:
    """Put records, and sign uploads below the dataset prefixes."""
    statements = [
        _table(vault, "GetItem", "PutItem", "DeleteItem"),
        _reference_key(vault, "Decrypt", "GenerateDataKeyWithoutPlaintext"),
        _service_key(vault, "Decrypt", "GenerateDataKey"),
    ]
    if not vault.prefixes:
        return _policy(*statements)
    below = [f"{vault.bucket_arn}/{prefix}*" for prefix in vault.prefixes]
    narrow = _policy(*statements, _allow(["s3:PutObject"], below))
    if len(json.dumps(narrow, separators=(",", ":"))) <= MAX_CHARACTERS:
        return narrow
    # Dozens of datasets do not fit: the caller still signs for one key, which it checks itself.
    return _policy(*statements, _objects(vault, "PutObject"))


def intake(vault: VaultResources) -> Policy:
    """Turn identifiers into references; keep a correction's new values, and drop those never needed."""
    return _policy(
        _table(vault, "GetItem", "PutItem", "DeleteItem"),
        _reference_key(vault, "Decrypt", "GenerateDataKeyWithoutPlaintext"),
        _service_key(vault, "Decrypt"),
    )


def index(vault: VaultResources) -> Policy:
    """Read one version of an object and keep the index entries of its subjects."""
    return _policy(
        _objects(vault, "GetObjectVersion"),
        _bucket(vault, "ListBucketVersions"),
        _table(vault, "GetItem", "PutItem", "DeleteItem", "BatchGetItem", "BatchWriteItem"),
        _allow(["dynamodb:Query"], vault.objects_index_arn),
        _reference_key(vault, "Decrypt", "GenerateDataKeyWithoutPlaintext"),
        _service_key(vault, "Decrypt"),
    )


def plan(vault: VaultResources) -> Policy:
    """Leave tombstones, look up what the requests touch, list what is scanned, write the visits down."""
    return _policy(
        _bucket(vault, "ListBucketVersions"),
        _table(vault, "GetItem", "Query", "UpdateItem", "BatchWriteItem"),
        _service_key(vault, "Decrypt"),
    )


def visit(vault: VaultResources) -> Policy:
    """Rewrite objects, delete their older versions, delete and patch records."""
    return _policy(
        _objects(
            vault,
            "GetObject",
            "GetObjectTagging",
            "GetObjectVersion",
            "PutObject",
            "PutObjectTagging",
            "AbortMultipartUpload",
            "DeleteObject",  # DeleteObjects asks for it even where every entry names a version
            "DeleteObjectVersion",
            "RestoreObject",
        ),
        _bucket(vault, "ListBucketVersions"),
        _table(
            vault,
            "GetItem",
            "Query",
            "PutItem",
            "UpdateItem",
            "DeleteItem",
            "BatchGetItem",
            "BatchWriteItem",
        ),
        _reference_key(vault, "Decrypt"),
        _service_key(vault, "Decrypt", "GenerateDataKey"),
    )


def verify(vault: VaultResources) -> Policy:
    """Read back which versions and items are left, and note what is wrong on the visits."""
    return _policy(
        _bucket(vault, "ListBucketVersions"),
        _table(vault, "Query", "UpdateItem"),
        _service_key(vault, "Decrypt"),
    )


def reindex(vault: VaultResources) -> Policy:
    """List and read every version, compare it with the index, and put the index right."""
    return _policy(
        _objects(vault, "GetObjectVersion"),
        _bucket(vault, "ListBucketVersions"),
        _table(
            vault, "GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchGetItem", "BatchWriteItem"
        ),
        _allow(["dynamodb:Query", "dynamodb:Scan"], vault.objects_index_arn),
        _reference_key(vault, "Decrypt", "GenerateDataKeyWithoutPlaintext"),
        _service_key(vault, "Decrypt"),
    )


def close(vault: VaultResources) -> Policy:
    """Read what a run or reindex noted, remove its own items, say how long those of failed requests wait."""
    return _policy(_table(vault, "Query", "BatchWriteItem", "UpdateItem"), _service_key(vault, "Decrypt"))


def replay(vault: VaultResources) -> Policy:
    """Read this customer's erasure ledger, and note who is to be erased again."""
    ledger = f"ledger/{vault.customer}/"
    account = vault.key_arn.rpartition(":")[0]
    return _policy(
        _allow(["s3:GetObjectVersion"], f"{vault.evidence_arn}/{ledger}*"),
        _allow(
            ["s3:ListBucketVersions"],
            vault.evidence_arn,
            Condition={"StringEquals": {"s3:prefix": ledger}},
        ),
        # Which key that is, the bucket knows; of the keys of the account, only one goes with this context.
        _allow(
            ["kms:Decrypt"],
            f"{account}:key/*",
            Condition={
                "StringEquals": {"kms:ViaService": f"s3.{vault.region}.amazonaws.com"},
                "ArnLike": {
                    "kms:EncryptionContext:aws:s3:arn": [
                        vault.evidence_arn,
                        f"{vault.evidence_arn}/{ledger}*",
                    ]
                },
            },
        ),
        _table(vault, "GetItem", "BatchWriteItem"),
        _service_key(vault, "Decrypt"),
    )


def destroy(vault: VaultResources) -> Policy:
    """Delete every version, the table, and order the key's deletion; whose each is, its own tags say."""
    return _policy(
        _objects(vault, "AbortMultipartUpload", "DeleteObject", "DeleteObjectVersion"),
        _bucket(vault, "GetBucketTagging", "ListBucketMultipartUploads", "ListBucketVersions"),
        _table(vault, "DeleteTable", "DescribeTable", "ListTagsOfResource", "UpdateTable"),
        _allow(["kms:DescribeKey", "kms:ListResourceTags", "kms:ScheduleKeyDeletion"], vault.key_arn),
    )


def witness(vault: VaultResources) -> Policy:
    """Count versions and uploads, and see the state of table and key."""
    return _policy(
        _bucket(vault, "ListBucketMultipartUploads", "ListBucketVersions"),
        _table(vault, "DescribeTable"),
        _allow(["kms:DescribeKey"], vault.key_arn),
    )


def export(vault: VaultResources) -> Policy:
    """Read all records, list all files, and write what is exported; take back what came too late."""
    return _policy(
        _allow(["s3:PutObject", "s3:DeleteObjectVersion"], f"{vault.bucket_arn}/{EXPORTS}*"),
        _bucket(vault, "ListBucketVersions"),
        _table(vault, "Scan", "GetItem", "PutItem", "DeleteItem"),
        _service_key(vault, "Decrypt", "GenerateDataKey"),
    )


def fetch(vault: VaultResources) -> Policy:
    """Sign downloads of an export and of the files that it lists."""
    return _policy(_objects(vault, "GetObject"), _service_key(vault, "Decrypt"))


PURPOSES: Final[Mapping[str, Callable[[VaultResources], Policy]]] = {
    policy.__name__: policy
    for policy in (
        ingest,
        intake,
        index,
        plan,
        visit,
        verify,
        reindex,
        close,
        replay,
        export,
        fetch,
        destroy,
        witness,
    )
}
"""Every purpose and its policy."""


def session_policy(purpose: str, vault: VaultResources) -> str:
    """Return the compact JSON of the purpose's policy for this vault.

    Raises KeyError for an unknown purpose, ValueError where AWS would refuse the length.
    """
    text = json.dumps(PURPOSES[purpose](vault), separators=(",", ":"))
    if len(text) > MAX_CHARACTERS:
        raise ValueError(
            f"session policy of {purpose} has {len(text)} characters, AWS takes {MAX_CHARACTERS}"
        )
    return text


def _policy(*statements: Statement) -> Policy:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(actions: list[str], resource: str | list[str], **more: object) -> Statement:
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **more}


def _objects(vault: VaultResources, *actions: str) -> Statement:
    return _allow([f"s3:{action}" for action in actions], f"{vault.bucket_arn}/*")


def _bucket(vault: VaultResources, *actions: str) -> Statement:
    return _allow([f"s3:{action}" for action in actions], vault.bucket_arn)


def _table(vault: VaultResources, *actions: str) -> Statement:
    return _allow([f"dynamodb:{action}" for action in actions], vault.table_arn)


def _reference_key(vault: VaultResources, *actions: str) -> Statement:
    """Direct use of the vault key, for nothing but the secret behind the subject references.

    Every key and value of the encryption context has to be the expected one. `IfExists` and `ForAllValues`
    also let a call without any context pass, which reads nothing: no ciphertext under a vault key is made
    without one (S3 and DynamoDB add their own).
    """
    context = encryption_context(vault.customer)
    condition = {
        "StringEqualsIfExists": {f"kms:EncryptionContext:{name}": value for name, value in context.items()},
        "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": list(context)},
    }
    return _allow([f"kms:{action}" for action in actions], vault.key_arn, Condition=condition)


def _service_key(vault: VaultResources, *actions: str) -> Statement:
    """Use of the vault key by S3 and DynamoDB of this region on the caller's behalf."""
    services = [f"s3.{vault.region}.amazonaws.com", f"dynamodb.{vault.region}.amazonaws.com"]
    return _allow(
        [f"kms:{action}" for action in actions],
        vault.key_arn,
        Condition={"StringEquals": {"kms:ViaService": services}},
    )
