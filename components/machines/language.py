"""States of Amazon States Language as the machines here use them: steps, retries, what is caught."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

STEP_SECONDS: Final = 910
"""A step's limit: a function's own 900 seconds and the way there and back."""

RUN_SECONDS: Final = 7 * 24 * 3600
"""A run's limit. The law gives a request a month; the sweep frees the lock of a run that ended this way."""

State = dict[str, Any]

LONGEST_WAIT: Final = 300
"""Seconds; the longest that a call waits, where Lambda had no room for it, before it is tried again."""

_NO_ROOM: Final = ("Lambda.SdkClientException", "Lambda.ServiceException", "Lambda.TooManyRequestsException")
"""The function was not called, or Lambda itself failed: nothing is wrong that would not go by itself."""

_REFUSED: Final = ("Lambda.AWSLambdaException", "Lambda.ClientExecutionTimeoutException")
"""May go by itself, but a missing permission has the first of these names, too."""


@dataclass(frozen=True, kw_only=True)
class Failures:
    """How often a call that failed is tried again. Waits begin with `first_wait` seconds, and treble."""

    first_wait: int = 3
    attempts: int = 3


def tries(longest_wait: int) -> int:
    """Return how many tries, `longest_wait` seconds apart at most, outlast a run.

    A wait is on average half as long (full jitter). A quarter more are for chance, which makes the sum of so
    many waits differ from its mean by a few hundredths.
    """
    return round(1.25 * RUN_SECONDS / (longest_wait / 2))


def step(
    function: str,
    payload: State,
    *,
    longest_wait: int = LONGEST_WAIT,
    failures: Failures = Failures(),
    permanent: Sequence[str] = (),
    **rest: object,
) -> State:
    """Return a state that calls a function, and calls it again where it failed.

    Where Lambda has no room it is tried for as long as a run may last, at most `longest_wait` seconds apart.
    An execution's history takes 25,000 events (Step Functions quotas), and each try is three. Errors that
    are `permanent` end it at once: a retrier without attempts, which comes before those that any error meets.
    """
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload": payload},
        "TimeoutSeconds": STEP_SECONDS,
        "Retry": [
            *([{"ErrorEquals": list(permanent), "MaxAttempts": 0}] if permanent else []),
            _retry(_NO_ROOM, 2, tries(longest_wait), 2, MaxDelaySeconds=longest_wait),
            _retry(_REFUSED, 2, 8, 2, MaxDelaySeconds=120),
            # Every step can be repeated: it finds what it did before and goes on from there.
            _retry(("States.TaskFailed", "States.Timeout"), failures.first_wait, failures.attempts, 3),
        ],
        **rest,
    }


def _retry(errors: Sequence[str], first_wait: int, attempts: int, rate: int, **rest: int) -> State:
    return {
        "ErrorEquals": list(errors),
        "IntervalSeconds": first_wait,
        "MaxAttempts": attempts,
        "BackoffRate": rate,
        "JitterStrategy": "FULL",
        **rest,
    }


def catch(state: str) -> list[State]:
    """Return a `Catch`: after any error go on with `state`, with the input kept and `failure` added to it.

    `States.ALL` stands alone in its catcher, and is all but an answer that is too large (Step Functions
    Developer Guide, "Handling errors", States.DataLimitExceeded).

    Not in a machine that people redrive: a redrive goes on at the state that the execution ended in.
    """
    caught = {"ResultPath": "$.failure", "Next": state}
    return [{"ErrorEquals": errors, **caught} for errors in (["States.DataLimitExceeded"], ["States.ALL"])]
