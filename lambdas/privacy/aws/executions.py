"""Executions of the region's state machines: their ARNs, whether they are still going, and their end."""

import contextlib
from typing import Final

from privacy.aws import clients as aws_clients


def arn(state_machine_arn: str, name: str) -> str:
    """Return the ARN of the state machine's execution of that name."""
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:', 1)}:{name}"


def is_going(execution_arn: str) -> bool:
    """Return whether Step Functions is carrying out the execution: not where it ended or never began."""
    client = aws_clients.stepfunctions()
    try:
        execution = client.describe_execution(executionArn=execution_arn)
    except client.exceptions.ExecutionDoesNotExist:
        return False
    return execution["status"] in {"RUNNING", "PENDING_REDRIVE"}


def stop(execution_arn: str, why: str) -> None:
    """Stop the execution, wherever it is; harmless where it has ended. `why` becomes its error's name."""
    client = aws_clients.stepfunctions()
    with contextlib.suppress(client.exceptions.ExecutionDoesNotExist):
        client.stop_execution(executionArn=execution_arn, error=why)


BATCH_VISITS: Final = 100

MAX_BATCHES: Final = 5000
"""The batches travel through the state machine: its input takes 256 KiB, a batch about 30 bytes."""
