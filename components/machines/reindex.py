"""The state machine of a reindex in Amazon States Language, as a pure function.

Inputs and outputs hold ids, counts and ranges of digests only: an execution's history shows them for 90 days.
"""

from dataclasses import dataclass

from .language import RUN_SECONDS, State, step

_IDS = {"customer.$": "$.customer", "reindex_id.$": "$.reindex_id", "dry_run.$": "$.dry_run"}


@dataclass(frozen=True, kw_only=True)
class ReindexSteps:
    """ARNs of the functions that are the steps."""

    plan: str
    compare: str
    report: str
    clear: str


def reindex_definition(steps: ReindexSteps, at_once: int) -> State:
    """Return the state machine: plan, compare, report, clear. A step is called until it is done.

    So many batches are compared `at_once`.

    A step that fails for good ends the execution under the error's own name. Nothing catches it, because a
    redrive goes on at the state in which the execution ended. What a failed execution has written down stays
    for the redrive, and expires by itself.
    """
    return {
        "Comment": "Compares the index of one customer's vault with its objects, and puts it right.",
        "TimeoutSeconds": RUN_SECONDS,
        "StartAt": "Plan",
        "States": {
            # The input as a whole: a state cannot name a member that may be absent.
            **_repeated(
                "Plan",
                step(
                    steps.plan,
                    {
                        "reindex_id.$": "$$.Execution.Name",
                        "started.$": "$$.Execution.StartTime",
                        "input.$": "$",
                    },
                ),
                then="CompareAll",
            ),
            "CompareAll": {
                "Type": "Map",
                "Label": "comparisons",
                "ItemsPath": "$.batches",
                "ItemSelector": {
                    **_IDS,
                    "first.$": "$$.Map.Item.Value.first",
                    "last.$": "$$.Map.Item.Value.last",
                },
                "MaxConcurrency": at_once,
                # What could not be compared is seen in the vault, and reported.
                "ToleratedFailurePercentage": 100,
                "ItemProcessor": _compare_batch(steps.compare),
                "ResultPath": None,
                "Next": "Report",
            },
            **_repeated("Report", step(steps.report, _IDS), then="Clear"),
            **_repeated("Clear", step(steps.clear, {**_IDS, "counts.$": "$.counts"}), then="Completed"),
            "Completed": {"Type": "Succeed"},
        },
    }


def _compare_batch(compare: str) -> State:
    """One range of objects."""
    return {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Compare",
        "States": {
            **_repeated(
                "Compare", step(compare, {**_IDS, "first.$": "$.first", "last.$": "$.last"}), then="Compared"
            ),
            # The results of all batches together may have 256 KiB (Step Functions quotas): keep nothing.
            "Compared": {"Type": "Pass", "Result": {}, "End": True},
        },
    }


def _repeated(name: str, task: State, *, then: str) -> State:
    """Return the states that call a function until it says that it is done."""
    asks = f"{name}Done"
    return {
        name: {**task, "OutputPath": "$.Payload", "Next": asks},
        asks: {
            "Type": "Choice",
            "Choices": [{"Variable": "$.done", "BooleanEquals": True, "Next": then}],
            "Default": name,
        },
    }
