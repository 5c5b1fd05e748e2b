"""The state machine of a replay in Amazon States Language, as a pure function.

Inputs and outputs hold a customer's id, a moment, a key of the ledger (made of ids) and counts.
"""

from .language import RUN_SECONDS, State, step


def replay_definition(replay: str) -> State:
    """Return the state machine: one page of the ledger after the other, until there is none left.

    An error that retries do not cure ends it under the error's own name and text, which say what to do;
    redriven or started again it makes nothing twice.
    """
    return {
        "Comment": "Asks again for the erasures of one customer that a restoration undid.",
        "TimeoutSeconds": RUN_SECONDS,
        "StartAt": "Replay",
        "States": {
            "Replay": {**step(replay, {"input.$": "$"}), "OutputPath": "$.Payload", "Next": "AllReplayed"},
            "AllReplayed": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.done", "BooleanEquals": True, "Next": "Replayed"}],
                "Default": "Replay",
            },
            "Replayed": {"Type": "Succeed"},
        },
    }
