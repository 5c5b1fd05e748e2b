"""The run's state machine in Amazon States Language, as a pure function.

Inputs and outputs hold ids, counts and names of errors only: an execution's history shows every one of them
for 90 days. The cause of an error, which is a text, goes no further than the state that was caught.
"""

from dataclasses import dataclass

from .language import RUN_SECONDS, Failures, State, catch, step


@dataclass(frozen=True, kw_only=True)
class RunSteps:
    """ARNs of the functions that are the steps."""

    plan: str
    visit: str
    verify: str
    complete: str


def run_definition(steps: RunSteps, at_once: int) -> State:
    """Return the state machine: plan, visit, verify, complete. Where a step fails, the run is closed.

    So many batches are visited `at_once`.
    """
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
                "MaxConcurrency": at_once,
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
                batch,
                failures=Failures(first_wait=3, attempts=1),
                OutputPath="$.Payload",
                Next="AllVisited",
                Catch=catch("VisitBackward"),
            ),
            # From the other end: see the function. The number of a state's attempt does not tell how often
            # the function was really called, because those for which Lambda had no room count as well.
            "VisitBackward": step(
                visit,
                {**batch, "backward": True},
                failures=Failures(first_wait=9, attempts=2),
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
