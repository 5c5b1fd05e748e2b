"""Table transactions that other callers may get in the way of: why one failed, and when to try again."""

import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

ATTEMPTS: Final = 6
"""How often a write is tried before the caller is told that the table is busy."""

CONDITION_FAILED: Final = "ConditionalCheckFailed"
"""Reason of a write whose condition did not hold."""

_CONFLICT: Final = "TransactionConflict"
_PASSING: Final = {_CONFLICT, "ProvisionedThroughputExceeded", "ThrottlingError"}


def transact(client: "DynamoDBClient", writes: "Sequence[TransactWriteItemTypeDef]") -> list[str]:
    """Carry out all the writes or none; return nothing, or for each the reason why they were cancelled.

    A write that was not the cause has the reason "None". Reasons other than a failed condition, a conflict
    or throttling do not pass by themselves: they are raised as ClientError.
    """
    try:
        client.transact_write_items(TransactItems=writes)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "TransactionInProgressException":
            return [_CONFLICT] * len(writes)
        if code != "TransactionCanceledException":
            raise
        cancelled: Any = error.response
        reasons = [reason["Code"] for reason in cancelled["CancellationReasons"]]
        if not set(reasons) <= _PASSING | {CONDITION_FAILED, "None"}:
            raise
        return reasons
    return []


def pause(attempt: int) -> None:
    """Wait with full jitter, at most 25 ms, 50 ms, 100 ms …, so that rivals do not meet again."""
    time.sleep(random.uniform(0, 0.025 * 2**attempt))  # noqa: S311 - spreads retries, guards nothing
