"""States of Amazon States Language as the machines here use them: steps, retries, what is caught."""

from typing import Any, Final

STEP_SECONDS: Final = 910
"""A step's limit: a function's own 900 seconds and the way there and back."""

RUN_SECONDS: Final = 7 * 24 * 3600
"""A run's limit. The law gives a request a month; the sweep frees the lock of a run that ended this way."""

State = dict[str, Any]

RETRY: Final[list[dict[str, Any]]] = [
    {
        "ErrorEquals": [
            "Lambda.AWSLambdaException",
            "Lambda.ClientExecutionTimeoutException",
            "Lambda.SdkClientException",
            "Lambda.ServiceException",
            "Lambda.TooManyRequestsException",
        ],
        "IntervalSeconds": 2,
        "MaxAttempts": 8,
        "BackoffRate": 2,
        "MaxDelaySeconds": 120,
        "JitterStrategy": "FULL",
    },
    # Every step can be repeated: it finds what it did before and goes on from there.
    {
        "ErrorEquals": ["States.TaskFailed", "States.Timeout"],
        "IntervalSeconds": 3,
        "MaxAttempts": 3,
        "BackoffRate": 3,
        "JitterStrategy": "FULL",
    },
]


def step(function: str, payload: State, **rest: object) -> State:
    """Return a state that calls a function, and calls it again where it failed."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload": payload},
        "TimeoutSeconds": STEP_SECONDS,
        "Retry": RETRY,
        **rest,
    }


def catch(state: str) -> list[State]:
    """Return a `Catch`: after any error go on with `state`, with the input kept and `failure` added to it.

    Not in a machine that people redrive: a redrive goes on at the state that the execution ended in.
    """
    return [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": state}]
