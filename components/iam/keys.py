"""Key policies: who administers a key, and who uses it. Nobody does both.

IAM policies in the account cannot add use of a vault's key: its policy names the roles itself. Whoever may
change the key policy could give themselves use; CloudTrail records that change, and it is no right they have.
"""

from collections.abc import Mapping, Sequence

from ..naming import RegionNames
from .documents import Conditions, Principals, Statement, through

ADMINISTRATION = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)
"""Actions that administer a key and do not use it. Two are left out on purpose: kms:ReplicateKey, which would
copy the key, and kms:CreateGrant, which would let others use it."""

SUBJECT_REFERENCE = "subject-reference"
"""Encryption context `purpose` of a vault's subject secret."""

TABLE_PURPOSES = (
    "begin",
    "ingest",
    "intake",
    "index",
    "plan",
    "visit",
    "verify",
    "reindex",
    "close",
    "list",
    "replay",
    "export",
)
SECRET_MAKING_PURPOSES = ("begin",)
SECRET_READING_PURPOSES = ("ingest", "intake", "index", "reindex", "visit")
READING_PURPOSES = ("fetch", "index", "reindex", "visit")
WRITING_PURPOSES = ("export", "ingest", "visit")

# In a key policy "*" is the key itself: AWS has no other way to say it.
_THIS_KEY = ["*"]


def _administration(names: RegionNames) -> Statement:
    return Statement(
        sid="AdministerWithoutUse",
        why="IAM decides who in the account administers the key; administering is not using.",
        actions=ADMINISTRATION,
        resources=_THIS_KEY,
        principals=Principals(kind="AWS", names=[names.account_principal]),
    )


def _table_grant(names: RegionNames) -> Statement:
    return Statement(
        sid="GrantToDynamoDB",
        why="Whoever creates a table lets DynamoDB use the key for it (encryption, backups).",
        actions=["kms:CreateGrant"],
        resources=_THIS_KEY,
        principals=Principals(kind="AWS", names=[names.account_principal]),
        conditions={
            "Bool": {"kms:GrantIsForAWSResource": "true"},
            "StringEquals": _through_dynamodb(names),
        },
    )


def _table_creation(names: RegionNames) -> Statement:
    # The Developer Guide ("Authorizing use of your customer managed key") names kms:Encrypt, kms:Decrypt,
    # kms:ReEncrypt*, kms:GenerateDataKey*, kms:DescribeKey and kms:CreateGrant as the least. Decrypt is left,
    # on purpose, to the roles named below, because it opens data; DynamoDB itself decrypts under its grant.
    return Statement(
        sid="CreateTable",
        why="DynamoDB seals a new table's key for whoever creates the table; none of this shows plaintext.",
        actions=[
            "kms:Encrypt",
            "kms:GenerateDataKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ],
        resources=_THIS_KEY,
        principals=Principals(kind="AWS", names=[names.account_principal]),
        conditions={"StringEquals": _through_dynamodb(names)},
    )


def _through_dynamodb(names: RegionNames) -> dict[str, str | Sequence[str]]:
    return {
        "kms:ViaService": f"dynamodb.{names.region}.amazonaws.com",
        "kms:CallerAccount": names.account,
    }


def vault_key(
    names: RegionNames, customer: str, purpose_roles: Mapping[str, str], access_role: str | None
) -> list[Statement]:
    """Policy of a vault's key: used by the purpose roles and, through S3, by the customer's access role."""

    def roles(purposes: Sequence[str], *others: str | None) -> Principals:
        arns = [purpose_roles[purpose] for purpose in purposes] + [arn for arn in others if arn is not None]
        return Principals(kind="AWS", names=arns)

    bucket = f"arn:aws:s3:::{names.vault_bucket(customer)}"
    in_bucket: Conditions = {
        "StringEquals": {
            "kms:ViaService": f"s3.{names.region}.amazonaws.com",
            "kms:CallerAccount": names.account,
        },
        # The bucket's ARN with a bucket key, the object's without one (S3 User Guide, "S3 Bucket Keys").
        "ArnLike": {"kms:EncryptionContext:aws:s3:arn": [bucket, f"{bucket}/*"]},
    }
    # A secret is sealed under exactly these two values, and KMS opens a ciphertext only under the context it
    # was sealed with: a call that names no context opens nothing there is. "IfExists" can therefore stand in
    # for a plain match, which the emulator, not resolving these keys, would refuse. Any other key is refused.
    of_the_secret: Conditions = {
        "StringEqualsIfExists": {
            "kms:EncryptionContext:purpose": SUBJECT_REFERENCE,
            "kms:EncryptionContext:customer": customer,
        },
        "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["purpose", "customer"]},
    }
    return [
        _administration(names),
        _table_grant(names),
        _table_creation(names),
        Statement(
            sid="TableData",
            why="DynamoDB opens the table's key for whoever reads or writes the vault's table.",
            actions=["kms:Decrypt"],
            resources=_THIS_KEY,
            principals=roles(TABLE_PURPOSES),
            conditions={"StringEquals": _through_dynamodb(names)},
        ),
        Statement(
            sid="ReadObjects",
            why="S3 opens the bucket's key for whoever reads objects, and for parts of an upload.",
            actions=["kms:Decrypt"],
            resources=_THIS_KEY,
            principals=roles(sorted({*READING_PURPOSES, *WRITING_PURPOSES}), access_role),
            conditions=in_bucket,
        ),
        Statement(
            sid="WriteObjects",
            why="S3 makes data keys for whoever writes objects.",
            actions=["kms:GenerateDataKey"],
            resources=_THIS_KEY,
            principals=roles(WRITING_PURPOSES, access_role),
            conditions=in_bucket,
        ),
        Statement(
            sid="MakeSubjectSecret",
            why="The vault's subject secret is made when the vault is; it is kept only as ciphertext.",
            actions=["kms:GenerateDataKeyWithoutPlaintext"],
            resources=_THIS_KEY,
            principals=roles(SECRET_MAKING_PURPOSES),
            conditions=of_the_secret,
        ),
        Statement(
            sid="OpenSubjectSecret",
            why="Whoever turns identifiers into references opens the vault's subject secret into memory.",
            actions=["kms:Decrypt"],
            resources=_THIS_KEY,
            principals=roles(SECRET_READING_PURPOSES),
            conditions=of_the_secret,
        ),
    ]


def evidence_key(names: RegionNames, writers: Sequence[str], reader: str) -> list[Statement]:
    """Policy of the evidence bucket's key.

    `writers` are the roles of the functions that write evidence: they can seal and open nothing. `reader` is
    the role with which the ledger is read for a replay. Evidence holds references only, so IAM may decide
    which people in the account read it (auditors); no function's role has that right there.
    """
    bucket = names.evidence_arn
    in_bucket: Conditions = {
        "StringEquals": {
            "kms:ViaService": f"s3.{names.region}.amazonaws.com",
            "kms:CallerAccount": names.account,
        },
        # The bucket's ARN with a bucket key, the object's without one (S3 User Guide, "S3 Bucket Keys").
        "ArnLike": {"kms:EncryptionContext:aws:s3:arn": [bucket, f"{bucket}/*"]},
    }
    return [
        _administration(names),
        Statement(
            sid="WriteEvidence",
            why="S3 makes data keys for the functions that write evidence; they cannot open what they wrote.",
            actions=["kms:GenerateDataKey"],
            resources=_THIS_KEY,
            principals=Principals(kind="AWS", names=writers),
            conditions=in_bucket,
        ),
        Statement(
            sid="ReadLedger",
            why="S3 opens the erasure ledger for a replay.",
            actions=["kms:Decrypt"],
            resources=_THIS_KEY,
            principals=Principals(kind="AWS", names=[reader]),
            conditions=in_bucket,
        ),
        Statement(
            sid="ReadEvidence",
            why="IAM decides who in the account reads evidence (auditors), through S3 only.",
            actions=["kms:Decrypt"],
            resources=_THIS_KEY,
            principals=Principals(kind="AWS", names=[names.account_principal]),
            conditions=in_bucket,
        ),
    ]


def region_key(names: RegionNames) -> list[Statement]:
    """Policy of the key for what customers share: logs, queues, the registry and the request table.

    None of that holds personal data, so here IAM may decide who reads a table or a queue.
    """
    log_groups = [
        names.arn("logs", f"log-group:{names.function_logs('*')}"),
        *(
            names.arn("logs", f"log-group:{names.machine_logs(machine)}")
            for machine in ("run", "reindex", "replay", "contract-end", "export")
        ),
        names.arn("logs", f"log-group:{names.api_logs}"),
    ]
    return [
        _administration(names),
        _table_grant(names),
        _table_creation(names),
        Statement(
            sid="TablesAndQueues",
            why="DynamoDB and SQS use the key for whom IAM allows to use the table or the queue.",
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=_THIS_KEY,
            principals=Principals(kind="AWS", names=[names.account_principal]),
            conditions={
                "StringEquals": {
                    **through(names.region, "dynamodb", "sqs")["StringEquals"],
                    "kms:CallerAccount": names.account,
                }
            },
        ),
        Statement(
            sid="Logs",
            why="CloudWatch Logs encrypts this stack's log groups, and no others.",
            actions=[
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:Encrypt",
                "kms:GenerateDataKey",
                "kms:GenerateDataKeyWithoutPlaintext",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
            ],
            resources=_THIS_KEY,
            principals=Principals(kind="Service", names=[f"logs.{names.region}.amazonaws.com"]),
            conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": log_groups}},
        ),
        Statement(
            sid="BucketEvents",
            why="S3 puts this stack's bucket events into an encrypted queue.",
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=_THIS_KEY,
            principals=Principals(kind="Service", names=["s3.amazonaws.com"]),
            conditions={
                "StringEquals": {"aws:SourceAccount": names.account},
                "ArnLike": {"aws:SourceArn": names.any_vault_bucket},
            },
        ),
        Statement(
            sid="Alarms",
            why="CloudWatch tells of this stack's alarms through an encrypted topic.",
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=_THIS_KEY,
            principals=Principals(kind="Service", names=["cloudwatch.amazonaws.com"]),
            conditions={
                "StringEquals": {"aws:SourceAccount": names.account},
                "ArnLike": {"aws:SourceArn": names.any_alarm},
            },
        ),
        Statement(
            sid="ContractEvents",
            why="EventBridge passes events about contracts on through an encrypted topic.",
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=_THIS_KEY,
            principals=Principals(kind="Service", names=["events.amazonaws.com"]),
            # The source cannot be asked for here: "not supported for EventBridge-to-encrypted topics" (SNS
            # Developer Guide, "Enable compatibility between event sources … and encrypted topics").
            conditions={
                "StringEquals": {"kms:EncryptionContext:aws:sns:topicArn": names.arn("sns", names.event_bus)}
            },
        ),
        Statement(
            sid="LostContractEvents",
            why="EventBridge leaves those that it could not pass on in the encrypted dead-letter queue.",
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=_THIS_KEY,
            principals=Principals(kind="Service", names=["events.amazonaws.com"]),
            conditions={
                "StringEquals": {"kms:EncryptionContext:aws:sqs:arn": names.queue_arn("dead-letters")}
            },
        ),
    ]
