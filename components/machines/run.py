"""The run's state machine in Amazon States Language, as a pure function.

Inputs and outputs hold ids, counts and names of errors only: an execution's history shows every one of them
for 90 days. The cause of an error, which is a text, goes no further than the state that was caught.
"""

from dataclasses import dataclass
from typing import Final

from .language import RUN_SECONDS, State, catch, step

MAX_CONCURRENCY: Final = 40
"""Batches visited at the same time; Lambda's default quota is 1,000 concurrent functions an account."""


@dataclass(frozen=True, kw_only=True)
class RunSteps:
    """ARNs of the functions that are the steps."""

    plan: str
    visit: str
    verify: str
    complete: str


def run_definition(steps: RunSteps) -> State:
    """Return the state machine: plan, visit, verify, complete. Where a step fails, the run is closed."""
    run = {"customer.$": "$.customer", "run_id.$": "$.run_id"}
    return {
        "Comment": "One run serves all pending requests of one customer.",
        "TimeoutSeconds": RUN_SECONDS,
        "StartAt": "Plan",
        "States": {
            "Plan": step(steps.plan, run, OutputPath="$.Payload", Next="VisitAll", Catch=catch("PlanFailed")),
            "VisitAll": {
                "Type": "Map",
                "Label": "visits",
                "ItemsPath": "$.batches",
                "ItemSelector": {
                    **run,
                    "first.$": "$$.Map.Item.Value.first",
                    "last.$": "$$.Map.Item.Value.last",
                },
                "MaxConcurrency": MAX_CONCURRENCY,
                # What a failed visit left undone is seen in the vault; only its requests end failed.
                "ToleratedFailurePercentage": 100,
                "ItemProcessor": _visit_batch(steps.visit),
                "ResultPath": None,
                "Next": "Verify",
                "Catch": catch("VisitAllFailed"),
            },
            "Verify": step(steps.verify, run, ResultPath=None, Next="Complete", Catch=catch("VerifyFailed")),
            "Complete": step(
                steps.complete, run, ResultPath=None, Next="Completed", Catch=catch("CompleteFailed")
            ),
            "Completed": {"Type": "Succeed"},
            "PlanFailed": _failed_at("plan", run),
            "VisitAllFailed": _failed_at("visit", run),
            "VerifyFailed": _failed_at("verify", run),
            "CompleteFailed": _failed_at("complete", run),
            "Abandon": step(
                steps.complete,
                {**run, "step.$": "$.step", "error.$": "$.error"},
                ResultPath=None,
                Next="Abandoned",
                Catch=catch("Abandoned"),
            ),
            "Abandoned": {"Type": "Fail", "Error": "RunAbandoned", "Cause": "A step failed for good."},
        },
    }


def _visit_batch(visit: str) -> State:
    """One batch of visits, called again where the function's time was too short for all of them."""
    batch = {name: f"$.{name.removesuffix('.$')}" for name in ("customer.$", "run_id.$", "first.$", "last.$")}
    return {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Visit",
        "States": {
            "Visit": step(
                visit,
                # Every other attempt goes through the batch backward: see the function.
                {**batch, "attempt.$": "$$.State.RetryCount"},
                OutputPath="$.Payload",
                Next="AllVisited",
                Catch=catch("NoteFailure"),
            ),
            "AllVisited": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.done", "BooleanEquals": True, "Next": "Visited"}],
                "Default": "Visit",
            },
            # The results of all batches together may have 256 KiB (Step Functions quotas): keep nothing.
            "Visited": {"Type": "Pass", "Result": {}, "End": True},
            # A visit that takes its function down with it cannot note what happened.
            "NoteFailure": step(
                visit,
                {**batch, "error.$": "$.failure.Error"},
                ResultPath=None,
                Next="VisitFailed",
                Catch=catch("VisitFailed"),
            ),
            "VisitFailed": {
                "Type": "Fail",
                "Error": "VisitFailed",
                "Cause": "A batch of visits failed for good.",
            },
        },
    }


def _failed_at(step: str, run: State) -> State:
    """Return the state after a failed step. It hands on the run's ids, the step and the error's name."""
    return {
        "Type": "Pass",
        "Parameters": {**run, "step": step, "error.$": "$.failure.Error"},
        "Next": "Abandon",
    }
