"""Executions of a stack's state machines, started and followed as an operator does on AWS."""

import json
import time
from typing import Any, Final

import boto3

from local.emulator.emulator import client_config
from local.errors import LocalError
from local.stacks import Stack

_POLL_SECONDS: Final = 0.1


def client_of(stack: Stack, service: str) -> Any:
    """A client of the emulator that is up elsewhere, with the rights of the account's root."""
    session: Any = boto3.Session(aws_access_key_id=stack.account, aws_secret_access_key="test")
    return session.client(
        service,
        region_name=stack.region,
        endpoint_url=stack.endpoint,
        verify=stack.authority,
        config=client_config(),
    )


def carry_out(
    step_functions: Any, stack: Stack, machine: str, given: dict[str, Any], *, until: str | None = None
) -> dict[str, Any]:
    """Start an execution and follow it as `follow` does."""
    execution = step_functions.start_execution(
        stateMachineArn=machine_arn(stack, machine), input=json.dumps(given)
    )["executionArn"]
    return follow(step_functions, execution, str(given["customer"]), until=until)


def machine_arn(stack: Stack, machine: str) -> str:
    """The ARN of a stack's state machine, named without the stack's prefix."""
    return f"arn:aws:states:{stack.region}:{stack.account}:stateMachine:{stack.prefix}-{machine}"


def follow(step_functions: Any, execution: str, customer: str, *, until: str | None = None) -> dict[str, Any]:
    """Wait for the end of a customer's execution, return its output.

    With `until`, it is over when it comes to that state, and what is returned is what the state was given.
    Raises LocalError where it fails.
    """
    while (ended := step_functions.describe_execution(executionArn=execution))["status"] == "RUNNING":
        if until is not None and (there := _entered(step_functions, execution, until)) is not None:
            return there
        time.sleep(_POLL_SECONDS)
    if ended["status"] != "SUCCEEDED":
        error = f": {ended['error']}" if ended.get("error") else ""
        raise LocalError(f"{customer}: the execution {execution.rpartition(':')[2]} {ended['status']}{error}")
    output: dict[str, Any] = json.loads(ended["output"])
    return output


def _entered(step_functions: Any, execution: str, state: str) -> dict[str, Any] | None:
    pages = step_functions.get_paginator("get_execution_history").paginate(executionArn=execution)
    for page in pages:
        for event in page["events"]:
            entered = event.get("stateEnteredEventDetails", {})
            if entered.get("name") == state:
                given: dict[str, Any] = json.loads(entered["input"])
                return given
    return None
