"""`python -m local redrive`: have what failed in a run taken up again, as an operator does on AWS."""

import json
from typing import Any

import boto3

from local.emulator import ACCOUNT, client_config
from local.errors import LocalError
from local.stacks import Stack


def redrive(stack: Stack, customer: str, run_id: str) -> dict[str, Any]:
    """Call the stack's function that redrives a run; what it answers.

    Raises LocalError with the function's own message where there is nothing to redrive.
    """
    session: Any = boto3.Session(aws_access_key_id=ACCOUNT, aws_secret_access_key="test")
    client = session.client(
        "lambda",
        region_name=stack.region,
        endpoint_url=stack.endpoint,
        verify=stack.authority,
        config=client_config(),
    )
    answer = client.invoke(
        FunctionName=f"{stack.prefix}-redrive-run",
        Payload=json.dumps({"customer": customer, "run_id": run_id}),
    )
    payload: dict[str, Any] = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise LocalError(payload["errorMessage"])
    return payload
