"""Executions of the region's state machines: their ARNs, whether they are still going, and their end."""

import contextlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from privacy.aws import clients as aws_clients


def arn(state_machine_arn: str, name: str) -> str:
    """Return the ARN of the state machine's execution of that name."""
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:', 1)}:{name}"


@dataclass(frozen=True, slots=True)
class Known:
    """An execution as Step Functions knows it. `error` is the name with which it failed, where it did."""

    is_going: bool
    ended_at: datetime | None
    error: str | None
    input: dict[str, Any]


def describe(execution_arn: str) -> Known | None:
    """Return what Step Functions knows of the execution; None where it never began, or was forgotten.

    It forgets 90 days after the end (Step Functions quotas, "execution history retention time").
    """
    client = aws_clients.stepfunctions()
    try:
        execution = client.describe_execution(executionArn=execution_arn)
    except client.exceptions.ExecutionDoesNotExist:
        return None
    return Known(
        is_going=execution["status"] in {"RUNNING", "PENDING_REDRIVE"},
        ended_at=execution.get("stopDate"),
        error=execution.get("error"),
        input=json.loads(execution.get("input", "{}")),
    )


def is_going(execution_arn: str) -> bool:
    """Return whether Step Functions is carrying out the execution: not where it ended or never began."""
    known = describe(execution_arn)
    return known is not None and known.is_going


def stop(execution_arn: str, why: str) -> None:
    """Stop the execution, wherever it is; harmless where it has ended. `why` becomes its error's name."""
    client = aws_clients.stepfunctions()
    with contextlib.suppress(client.exceptions.ExecutionDoesNotExist):
        client.stop_execution(executionArn=execution_arn, error=why)


BATCH_VISITS: Final = 100

MAX_BATCHES: Final = 5000
"""The batches travel through the state machine: its input takes 256 KiB, a batch about 30 bytes."""
