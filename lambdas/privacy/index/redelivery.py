"""When a message that could not be taken comes again: soon, and less and less often."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from privacy.aws import clients as aws_clients
from privacy.aws.failures import error_name

FIRST_SECONDS: Final = 60
MOST_SECONDS: Final = 3600

_log: Final = logging.getLogger("privacy")


def seconds_until_next(receives: int) -> int:
    """Return how long a message waits that was received so many times: a minute, then twice as long, …"""
    return int(min(FIRST_SECONDS * 2 ** (receives - 1), MOST_SECONDS))


def come_again_soon(message: Mapping[str, Any]) -> None:
    """Have the queue send a message that the function gives back again after `seconds_until_next`.

    The queue hides a message for six times the function's longest run (Lambda Developer Guide, "Using Lambda
    with Amazon SQS"), which is 90 minutes: too long for what a busy moment caused. Where AWS refuses, that
    time stands.
    """
    _, _, _, region, account, queue = message["eventSourceARN"].split(":")
    try:
        aws_clients.sqs().change_message_visibility(
            QueueUrl=f"https://sqs.{region}.amazonaws.com/{account}/{queue}",
            ReceiptHandle=message["receiptHandle"],
            VisibilityTimeout=seconds_until_next(int(message["attributes"]["ApproximateReceiveCount"])),
        )
    except (BotoCoreError, ClientError) as error:
        _log.warning("message comes again later: error=%s", error_name(error))
