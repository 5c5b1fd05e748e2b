"""`python -m local redrive`: have what failed in a run taken up again, as an operator does on AWS."""

import json
from typing import Any

from local.errors import LocalError
from local.executions import client_of
from local.stacks import Stack


def redrive(stack: Stack, customer: str, run_id: str) -> dict[str, Any]:
    """Call the stack's function that redrives a run; what it answers.

    Raises LocalError with the function's own message where there is nothing to redrive.
    """
    answer = client_of(stack, "lambda").invoke(
        FunctionName=f"{stack.prefix}-redrive-run",
        Payload=json.dumps({"customer": customer, "run_id": run_id}),
    )
    payload: dict[str, Any] = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise LocalError(payload["errorMessage"])
    return payload
