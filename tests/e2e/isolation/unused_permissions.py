"""Permissions that the end-to-end run does not see used, each with the reason why it is there."""

from collections.abc import Iterable
from typing import Final

_FUNCTIONS: Final = (
    "begin-vault",
    "check-contract-end",
    "clear-reindex",
    "complete-run",
    "confirm-key-deletion",
    "create-correction-request",
    "create-erasure-request",
    "create-export",
    "create-upload",
    "delete-clients",
    "delete-table",
    "describe-service",
    "empty-bucket",
    "export-vault",
    "freeze-contract",
    "get-contract",
    "get-export",
    "get-request",
    "index-objects",
    "keep-key",
    "list-export-files",
    "list-requests",
    "list-unattributed-files",
    "plan-reindex",
    "plan-run",
    "put-record",
    "redrive-run",
    "reindex-objects",
    "remind-contract",
    "replay-erasures",
    "report-reindex",
    "schedule-key-deletion",
    "sweep-runs",
    "take-inventory",
    "verify-destruction",
    "verify-run",
    "visit-objects",
    "watch-contracts",
)
_LOG_DELIVERY: Final = (
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
)


def _rows(roles: Iterable[str], actions: Iterable[str], reason: str) -> dict[tuple[str, str], str]:
    return {(role, action): reason for role in roles for action in actions}


UNUSED: Final[dict[tuple[str, str], str]] = {
    # -- what AWS services do under a role; the emulator does it without asking IAM ------------------------
    **_rows(
        _FUNCTIONS,
        ("logs:CreateLogStream", "logs:PutLogEvents"),
        "Lambda writes the function's log under its role; the emulator writes it itself.",
    ),
    **_rows(
        _FUNCTIONS,
        ("sqs:SendMessage",),
        "Lambda sends what it cannot deliver to the dead-letter queue under this role; nothing failed.",
    ),
    **_rows(
        _FUNCTIONS,
        ("kms:Decrypt", "kms:GenerateDataKey"),
        "DynamoDB and SQS use the region's key on the caller's behalf; the emulator does not ask for that.",
    ),
    **_rows(
        ("index-objects",),
        ("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"),
        "Lambda polls the queue under the function's role; the emulator polls without it.",
    ),
    **_rows(
        ("reindex", "run"),
        (
            *_LOG_DELIVERY,
            "lambda:InvokeFunction",
            "states:DescribeExecution",
            "states:StartExecution",
            "states:StopExecution",
        ),
        "Step Functions acts under the state machine's role; the emulator's engine acts without it.",
    ),
    **_rows(("reindex",), ("states:RedriveExecution",), "Step Functions redrives batches; no redrive here."),
    **_rows(
        ("purpose-visit",),
        ("s3:RestoreObject",),
        "Has S3 bring back an archived file; nothing is archived here.",
    ),
    **_rows(
        ("contract-end", "export", "replay"),
        (*_LOG_DELIVERY, "lambda:InvokeFunction"),
        "Step Functions acts under the state machine's role; the emulator's engine acts without it.",
    ),
    **_rows(
        ("sweep-schedule", "watch-schedule"),
        ("kms:Decrypt", "kms:GenerateDataKey", "lambda:InvokeFunction", "sqs:SendMessage"),
        "EventBridge Scheduler acts under this role; the emulator's scheduler acts without it.",
    ),
    **_rows(
        ("contract-schedules",),
        (
            "kms:Decrypt",
            "kms:GenerateDataKey",
            "lambda:InvokeFunction",
            "sqs:SendMessage",
            "states:StartExecution",
        ),
        "EventBridge Scheduler acts under this role; the emulator's scheduler acts without it.",
    ),
    # -- what S3 and DynamoDB do with a vault's key on the caller's behalf; the emulator does not ask ------
    **_rows(
        (
            "purpose-begin",
            "purpose-close",
            "purpose-export",
            "purpose-fetch",
            "purpose-list",
            "purpose-plan",
            "purpose-replay",
            "purpose-verify",
        ),
        ("kms:Decrypt",),
        "DynamoDB (or S3) opens the key of what the caller reads; the emulator does not ask for that.",
    ),
    **_rows(
        ("purpose-export", "purpose-ingest", "purpose-visit"),
        ("kms:GenerateDataKey",),
        "S3 makes a data key for an object that the caller writes; the emulator does not ask for that.",
    ),
    **_rows(
        ("vault-acme-access",),
        ("kms:Decrypt", "kms:GenerateDataKey"),
        "S3 uses the vault's key for the customer's reads and writes; the emulator does not ask for that.",
    ),
    ("purpose-visit", "s3:PutObjectTagging"): (
        "S3 asks for it where a rewrite sends the object's tags; the emulator asks for s3:PutObject only."
    ),
    # -- what is only done when something goes wrong ----------------------------------------------------
    **_rows(
        (
            "create-correction-request",
            "create-erasure-request",
            "index-objects",
            "redrive-run",
            "reindex-objects",
            "replay-erasures",
        ),
        ("dynamodb:DeleteItem",),
        "Gives the run lock back where Step Functions refused to start the run; it never refused here.",
    ),
    ("index-objects", "sqs:ChangeMessageVisibility"): (
        "Lets an event that could not be taken come again soon; all of them were taken."
    ),
    **_rows(
        ("create-export", "get-export"),
        ("states:DescribeExecution",),
        "Asks about an export that has been running for more than a minute; none took that long.",
    ),
    ("purpose-export", "s3:DeleteObjectVersion"): (
        "Takes back a part that was written after the lock was lost; it never was."
    ),
    **_rows(
        ("confirm-key-deletion",),
        (
            "dynamodb:BatchGetItem",
            "dynamodb:DeleteItem",
            "dynamodb:UpdateItem",
            "events:PutEvents",
            "s3:PutObject",
        ),
        "Says that a vault's key is gone, which takes KMS seven days at least; rejects what came too late.",
    ),
    ("sweep-runs", "dynamodb:UpdateItem"): (
        "Rejects a request that was written after its customer was frozen; none was."
    ),
    ("verify-destruction", "dynamodb:BatchGetItem"): (
        "Looks at requests that are still open after a customer's data is destroyed; there were none."
    ),
    ("purpose-verify", "dynamodb:UpdateItem"): (
        "Notes on a visit what reading back found wrong; every run of these tests left all in order."
    ),
    ("purpose-visit", "s3:AbortMultipartUpload"): (
        "Gives up a large rewrite that failed half-way, so that its parts do not stay; none failed here."
    ),
}
"""Reason by role (without its stack's prefix) and action."""

NOT_IN_EVERY_RUN: Final[dict[tuple[str, str], str]] = {
    ("watch-contracts", "states:DescribeExecution"): (
        "Sees whether the end of a contract that has begun goes on; one is destroyed between two watches."
    ),
    ("watch-contracts", "states:StartExecution"): (
        "Ends a contract that is due where nobody has done it before the hour is over."
    ),
    **_rows(
        ("export-vault",),
        ("dynamodb:BatchGetItem", "states:StartExecution"),
        "Starts a run for what was asked for while an export was made; mostly nothing was.",
    ),
    ("purpose-intake", "dynamodb:DeleteItem"): (
        "Drops the new values of a correction that came twice at once with one idempotency key: a race."
    ),
}
"""The same for what depends on how calls fall together; these may be seen used or not."""
