"""Table transactions that other callers may get in the way of: whether one was made, and why not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

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
