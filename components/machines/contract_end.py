"""The state machine of a contract's end in Amazon States Language, as a pure function.

Inputs and outputs hold a customer's id, numbers, moments and yes or no. What is deleted is found anew by
whoever deletes, so every step can be repeated, and a second execution ends the same way as the first.
"""

from dataclasses import dataclass
from typing import Final

from .language import State, step

EXECUTION_SECONDS: Final = 90 * 24 * 3600
"""An execution's limit: the longest wait for a key is 30 days, and Step Functions allows a year."""

MOST_PREFIXES_AT_ONCE: Final = 7
"""Prefixes of a large bucket that are emptied side by side: S3's limits count for each of them. The map
is not distributed, so that what its items do is in the history of the execution itself, which has to hold
the tries of all of them where Lambda has no room."""

LONGEST_WAIT: Final = 3_600
"""Seconds between two tries where Lambda has no room: an end that may take 90 days can wait, and its history
has to hold the tries of all its steps."""

TABLE_SECONDS: Final = 15
"""Between two looks at a table that is being deleted, which takes DynamoDB up to some minutes."""

PERMANENT: Final = (
    "ContractChangedError",
    "DestructionHeldError",
    "DestructionInputError",
    "HoldTooLateError",
    "KeyDeletionCancelledError",
    "NotFrozenError",
    "NotOfThisCustomerError",
    "SomethingLeftError",
    "VersionsRefusedError",
)
"""Errors of the steps that the same call a moment later would end with as well."""

_IDS: Final = {"customer.$": "$.customer", "round.$": "$.round"}


@dataclass(frozen=True, kw_only=True)
class ContractEndSteps:
    """ARNs of the functions that are the steps."""

    check: str
    inventory: str
    freeze: str
    empty: str
    table: str
    clients: str
    key: str
    verify: str
    confirm: str
    keep: str


def contract_end_definition(steps: ContractEndSteps, at_once: int) -> State:
    """Return the state machine: check, freeze, destroy, read back, wait for the key to go, confirm.

    So many prefixes of a large bucket are emptied `at_once`, or fewer.

    A dry run counts instead. A step that fails for good ends the execution under the error's own name; what
    is done stays done, and a redrive or another execution goes on with the rest: the watch over contracts
    starts one, later each time. Where a hold stands, the order to delete the key is taken back.
    """
    return {
        "Comment": "Destroys all data of one customer once its contract and grace days are over.",
        "TimeoutSeconds": EXECUTION_SECONDS,
        "StartAt": "Check",
        "States": {
            # The input as a whole: a state cannot name a member that may be absent.
            "Check": _step(steps.check, {"input.$": "$"}, "IsDryRun"),
            "IsDryRun": _choice("dry_run", then="Inventory", otherwise="IsDue"),
            "Inventory": _step(
                steps.inventory,
                {"customer.$": "$.customer", "reason.$": "$.reason", "due.$": "$.due"},
                "Counted",
            ),
            "Counted": {"Type": "Succeed"},
            "IsDue": _choice("proceed", then="Freeze", otherwise="IsKeyOrdered"),
            # A hold that has come while the key waited for its end.
            "IsKeyOrdered": _choice("keep_key", then="KeepKey", otherwise="Stopped"),
            "KeepKey": _step(steps.keep, _IDS, "Stopped"),
            "Stopped": {"Type": "Succeed"},
            "Freeze": _step(steps.freeze, {**_IDS, "execution.$": "$$.Execution.Id"}, "IsFrozen"),
            "IsFrozen": _choice("done", then="EmptyBucket", otherwise="Freeze"),
            "EmptyBucket": _step(steps.empty, _IDS, "IsEmpty"),
            "IsEmpty": _choice("done", then="DeleteTable", otherwise="EmptyPrefixes"),
            "EmptyPrefixes": {
                "Type": "Map",
                "ItemsPath": "$.datasets",
                "ItemSelector": {**_IDS, "dataset.$": "$$.Map.Item.Value"},
                "MaxConcurrency": min(at_once, MOST_PREFIXES_AT_ONCE),
                "ItemProcessor": _prefix(steps.empty),
                "ResultPath": None,
                "Next": "EmptyBucket",
            },
            "DeleteTable": _step(steps.table, _IDS, "IsTableGone"),
            "IsTableGone": _choice("done", then="DeleteClients", otherwise="WaitForTable"),
            "WaitForTable": {"Type": "Wait", "Seconds": TABLE_SECONDS, "Next": "DeleteTable"},
            "DeleteClients": _step(steps.clients, _IDS, "ScheduleKeyDeletion"),
            "ScheduleKeyDeletion": _step(steps.key, _IDS, "Verify"),
            "Verify": _step(steps.verify, _IDS, "IsClean"),
            # Somebody wrote meanwhile: all of it once more. The step counts the rounds and gives up at last.
            "IsClean": _choice("clean", then="WaitForKey", otherwise="Freeze"),
            "WaitForKey": {"Type": "Wait", "TimestampPath": "$.look_at", "Next": "Confirm"},
            "Confirm": _step(steps.confirm, _IDS, "IsKeyGone"),
            "IsKeyGone": _choice("gone", then="Destroyed", otherwise="IsHeld"),
            "IsHeld": _choice("held", then="KeepKey", otherwise="WaitForKey"),
            "Destroyed": {"Type": "Succeed"},
        },
    }


def _prefix(empty: str) -> State:
    """One prefix of a large bucket."""
    emptied = {**_IDS, "dataset.$": "$.dataset"}
    return {
        "ProcessorConfig": {"Mode": "INLINE"},
        "StartAt": "EmptyPrefix",
        "States": {
            "EmptyPrefix": {
                **step(empty, emptied, longest_wait=LONGEST_WAIT, permanent=PERMANENT),
                "ResultSelector": {"done.$": "$.Payload.done"},
                "ResultPath": "$.emptied",
                "Next": "IsPrefixEmpty",
            },
            "IsPrefixEmpty": _choice("emptied.done", then="PrefixEmpty", otherwise="EmptyPrefix"),
            "PrefixEmpty": {"Type": "Pass", "Result": {}, "End": True},
        },
    }


def _step(function: str, payload: State, then: str) -> State:
    """Return a state that calls a function and passes its answer to the state `then`."""
    called = step(function, payload, longest_wait=LONGEST_WAIT, permanent=PERMANENT)
    return {**called, "OutputPath": "$.Payload", "Next": then}


def _choice(variable: str, *, then: str, otherwise: str) -> State:
    return {
        "Type": "Choice",
        "Choices": [{"Variable": f"$.{variable}", "BooleanEquals": True, "Next": then}],
        "Default": otherwise,
    }
