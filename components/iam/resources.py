"""Policies of buckets and queues: mostly what they refuse, whoever asks."""

from ..naming import RegionNames
from .documents import EVERYBODY, Principals, Statement

REPLICATION = (
    "s3:InitiateReplication",
    "s3:PutReplicationConfiguration",
    "s3:ReplicateDelete",
    "s3:ReplicateObject",
    "s3:ReplicateTags",
)
"""Actions with which S3 is told to copy objects to another bucket, and does."""


READING = (
    "s3:GetObject",
    "s3:GetObjectAcl",
    "s3:GetObjectAttributes",
    "s3:GetObjectTagging",
    "s3:GetObjectTorrent",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionAcl",
    "s3:GetObjectVersionAttributes",
    "s3:GetObjectVersionTagging",
    "s3:GetObjectVersionTorrent",
)
"""Actions that read objects, or what S3 keeps about them."""

WRITING = (
    "s3:PutObject",
    "s3:PutObjectAcl",
    "s3:PutObjectTagging",
    "s3:PutObjectVersionAcl",
    "s3:PutObjectVersionTagging",
    "s3:RestoreObject",
)
"""Actions that make objects, or change what S3 keeps about them."""

DELETING = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:DeleteObjectTagging",
    "s3:DeleteObjectVersion",
    "s3:DeleteObjectVersionTagging",
)
"""Actions that delete objects, unfinished uploads or tags."""


def vault_bucket(
    names: RegionNames, customer: str, key_arn: str, *, access_ends: str, destruction: str
) -> list[Statement]:
    """Policy of a vault's bucket. It allows nothing: roles carry their rights, this carries the limits.

    `access_ends` and `destruction` are days, from whose midnight (UTC) on fewer may reach objects. That
    concerns neither the bucket's own settings, which who deploys goes on managing, nor S3's lifecycle rules:
    no bucket policy keeps those from acting (S3 User Guide, "Setting an S3 Lifecycle configuration").
    """
    bucket_name = names.vault_bucket(customer)
    objects = f"arn:aws:s3:::{bucket_name}/*"
    destroyer = names.role_and_sessions("purpose-destroy")
    witness = names.role_and_sessions("purpose-witness")
    return [
        *_limits(names, bucket_name, key_arn, whose="vault"),
        Statement(
            sid="DenyCustomerAfterContract",
            why=(
                "When the contract is over the customer's own principals reach nothing any more, nor do URLs "
                "that were signed for an upload before."
            ),
            effect="Deny",
            principals=EVERYBODY,
            actions=[*READING, *WRITING, *DELETING],
            resources=[objects],
            conditions={
                "DateGreaterThanEquals": {"aws:CurrentTime": f"{access_ends}T00:00:00Z"},
                "ArnLike": {
                    "aws:PrincipalArn": [
                        *names.role_and_sessions(f"vault-{customer}-access"),
                        *names.role_and_sessions("purpose-ingest"),
                    ]
                },
            },
        ),
        Statement(
            sid="DenyUseAfterDestruction",
            why="When the data is to be destroyed, only destroying it and witnessing that is left to do.",
            effect="Deny",
            principals=EVERYBODY,
            actions=[*READING, *WRITING],
            resources=[objects],
            conditions={
                "DateGreaterThanEquals": {"aws:CurrentTime": f"{destruction}T00:00:00Z"},
                "ArnNotLike": {"aws:PrincipalArn": [*destroyer, *witness]},
            },
        ),
        Statement(
            sid="DenyDeletionAfterDestruction",
            why="What is destroyed is destroyed by the one role whose deletions are recorded and certified.",
            effect="Deny",
            principals=EVERYBODY,
            actions=DELETING,
            resources=[objects],
            conditions={
                "DateGreaterThanEquals": {"aws:CurrentTime": f"{destruction}T00:00:00Z"},
                "ArnNotLike": {"aws:PrincipalArn": destroyer},
            },
        ),
    ]


def evidence_bucket(names: RegionNames, key_arn: str, retention_days: int) -> list[Statement]:
    """Policy of the evidence bucket: the limits of a vault's bucket; nobody removes anything early.

    `retention_days` is the shortest retention that an upload may ask for. One that asks for none gets the
    bucket's default.
    """
    bucket = names.evidence_arn
    objects = f"{bucket}/*"
    locking = ["s3:PutObject", "s3:PutObjectRetention"]
    return [
        *_limits(names, names.evidence_bucket, key_arn, whose="evidence bucket"),
        Statement(
            sid="DenyRemoval",
            why="Evidence is neither deleted nor hidden behind a delete marker; S3 lets it expire by itself.",
            effect="Deny",
            principals=EVERYBODY,
            actions=["s3:BypassGovernanceRetention", "s3:DeleteObject", "s3:DeleteObjectVersion"],
            resources=[objects],
        ),
        Statement(
            sid="DenyGovernanceMode",
            why="Retention that a privileged caller could lift is none.",
            effect="Deny",
            principals=EVERYBODY,
            actions=locking,
            resources=[objects],
            conditions={
                "Null": {"s3:object-lock-mode": "false"},
                "StringNotEquals": {"s3:object-lock-mode": "COMPLIANCE"},
            },
        ),
        Statement(
            sid="DenyShorterRetention",
            why="Evidence is kept for the years that the stack's config says, not for less.",
            effect="Deny",
            principals=EVERYBODY,
            actions=locking,
            resources=[objects],
            conditions={
                "Null": {"s3:object-lock-remaining-retention-days": "false"},
                "NumericLessThan": {"s3:object-lock-remaining-retention-days": str(retention_days)},
            },
        ),
    ]


def _limits(names: RegionNames, bucket_name: str, key_arn: str, *, whose: str) -> list[Statement]:
    """What every bucket with a key of its own refuses.

    A condition on a header that is absent would hold for "not equals"; `Null: false` keeps such requests
    allowed, which get the bucket's own default encryption.
    """
    bucket = f"arn:aws:s3:::{bucket_name}"
    objects = f"{bucket}/*"
    return [
        Statement(
            sid="DenyWithoutTls",
            why="Nothing travels unencrypted.",
            effect="Deny",
            principals=EVERYBODY,
            actions=["s3:*"],
            resources=[bucket, objects],
            conditions={"Bool": {"aws:SecureTransport": "false"}},
        ),
        Statement(
            sid="DenyOldTls",
            why="TLS 1.2 or newer.",
            effect="Deny",
            principals=EVERYBODY,
            actions=["s3:*"],
            resources=[bucket, objects],
            conditions={"NumericLessThan": {"s3:TlsVersion": "1.2"}},
        ),
        Statement(
            sid="DenyOtherAccounts",
            why=f"The {whose} is reached through roles of its own account only.",
            effect="Deny",
            principals=EVERYBODY,
            actions=["s3:*"],
            resources=[bucket, objects],
            conditions={
                "StringNotEquals": {"aws:PrincipalAccount": names.account},
                "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
            },
        ),
        Statement(
            sid="DenyOtherEncryption",
            why="Objects are encrypted with a KMS key.",
            effect="Deny",
            principals=EVERYBODY,
            actions=["s3:PutObject"],
            resources=[objects],
            conditions={
                "Null": {"s3:x-amz-server-side-encryption": "false"},
                "StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"},
            },
        ),
        Statement(
            sid="DenyOtherKeys",
            why=f"Objects are encrypted with the {whose}'s own key: destroying it destroys what is left.",
            effect="Deny",
            principals=EVERYBODY,
            actions=["s3:PutObject"],
            resources=[objects],
            conditions={
                "Null": {"s3:x-amz-server-side-encryption-aws-kms-key-id": "false"},
                "StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": key_arn},
            },
        ),
        Statement(
            sid="DenyCallersKeys",
            why="No keys that only the caller has (SSE-C): nobody here could read what they hide.",
            effect="Deny",
            principals=EVERYBODY,
            actions=["s3:PutObject"],
            resources=[objects],
            conditions={"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}},
        ),
        Statement(
            sid="DenyReplication",
            why="Data is not duplicated, in this region or any other.",
            effect="Deny",
            principals=EVERYBODY,
            actions=REPLICATION,
            resources=[bucket, objects],
        ),
    ]


def queue(names: RegionNames, name: str) -> list[Statement]:
    """Policy of a queue that only roles of the account use."""
    return [
        Statement(
            sid="DenyWithoutTls",
            why="Nothing travels unencrypted.",
            effect="Deny",
            principals=EVERYBODY,
            actions=["sqs:*"],
            resources=[names.queue_arn(name)],
            conditions={"Bool": {"aws:SecureTransport": "false"}},
        )
    ]


def dead_letters_queue(names: RegionNames) -> list[Statement]:
    """Policy of the queue of what could not be delivered, events about contracts among it."""
    return [
        Statement(
            sid="ContractEvents",
            why="EventBridge leaves events about contracts here that it could not pass on.",
            actions=["sqs:SendMessage"],
            resources=[names.queue_arn("dead-letters")],
            principals=Principals(kind="Service", names=["events.amazonaws.com"]),
            conditions={"ArnEquals": {"aws:SourceArn": names.event_rule_arn}},
        ),
        *queue(names, "dead-letters"),
    ]


def events_queue(names: RegionNames, name: str) -> list[Statement]:
    """Policy of the queue that S3 sends the vault buckets' events to."""
    return [
        Statement(
            sid="BucketEvents",
            why="S3 sends events of this stack's vault buckets.",
            actions=["sqs:SendMessage"],
            resources=[names.queue_arn(name)],
            principals=Principals(kind="Service", names=["s3.amazonaws.com"]),
            conditions={
                "StringEquals": {"aws:SourceAccount": names.account},
                "ArnLike": {"aws:SourceArn": names.any_vault_bucket},
            },
        ),
        *queue(names, name),
    ]


def alarms_topic(names: RegionNames) -> list[Statement]:
    """Policy of the topic of alarms. IAM decides who in the account subscribes; nobody else can."""
    topic = names.arn("sns", names.name("alarms"))
    return [
        Statement(
            sid="Alarms",
            why="CloudWatch tells of this stack's alarms.",
            actions=["sns:Publish"],
            resources=[topic],
            principals=Principals(kind="Service", names=["cloudwatch.amazonaws.com"]),
            conditions={
                "StringEquals": {"aws:SourceAccount": names.account},
                "ArnLike": {"aws:SourceArn": names.any_alarm},
            },
        ),
        _topic_with_tls(topic),
    ]


def contracts_topic(names: RegionNames) -> list[Statement]:
    """Policy of the topic of events about contracts. IAM decides who in the account subscribes."""
    topic = names.arn("sns", names.event_bus)
    return [
        Statement(
            sid="Contracts",
            why="The rule of this stack's bus passes on its events, and no other rule sends any.",
            actions=["sns:Publish"],
            resources=[topic],
            principals=Principals(kind="Service", names=["events.amazonaws.com"]),
            conditions={"ArnEquals": {"aws:SourceArn": names.event_rule_arn}},
        ),
        _topic_with_tls(topic),
    ]


def _topic_with_tls(topic: str) -> Statement:
    return Statement(
        sid="DenyWithoutTls",
        why="Nothing travels unencrypted.",
        effect="Deny",
        principals=EVERYBODY,
        # A topic's policy takes no action by wildcard; the others change the topic, not send to it.
        actions=["sns:Publish", "sns:Subscribe"],
        resources=[topic],
        conditions={"Bool": {"aws:SecureTransport": "false"}},
    )
