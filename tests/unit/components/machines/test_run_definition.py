import json
import re

import pytest

from components.machines.run import RunSteps, run_definition

from ..programs import Deployment
from .states import following, reachable

STEPS = RunSteps(plan="arn:plan", visit="arn:visit", verify="arn:verify", complete="arn:complete")
DEFINITION = run_definition(STEPS, 2)
BATCH = DEFINITION["States"]["VisitAll"]["ItemProcessor"]


def test_every_state_can_be_reached_and_nothing_leads_nowhere() -> None:
    for machine in (DEFINITION, BATCH):
        assert reachable(machine) == set(machine["States"])


def test_every_state_goes_on_or_ends() -> None:
    for machine in (DEFINITION, BATCH):
        for name, state in machine["States"].items():
            ends = state.get("End") or state["Type"] in {"Succeed", "Fail"}
            assert bool(ends) != bool(list(following(state))), name


def test_whatever_fails_is_caught_and_closes_the_run() -> None:
    targets = {}
    for machine in (DEFINITION, BATCH):
        for name, state in machine["States"].items():
            if state["Type"] in {"Task", "Map"}:
                catches = state["Catch"]
                # An answer that is too large is none of "all" (Developer Guide, "Handling errors").
                names = [catch["ErrorEquals"] for catch in catches]
                assert names == [["States.DataLimitExceeded"], ["States.ALL"]]
                # What the run is must survive, or it could not be closed.
                assert {catch["ResultPath"] for catch in catches} == {"$.failure"}
                (targets[name],) = {catch["Next"] for catch in catches}
    assert targets == {
        "Plan": "PlanFailed",
        "VisitAll": "VisitAllFailed",
        "Verify": "VerifyFailed",
        "Complete": "CompleteFailed",
        "Abandon": "Abandoned",
        "Visit": "VisitBackward",
        "VisitBackward": "NoteFailure",
        "NoteFailure": "VisitFailed",
    }


@pytest.mark.parametrize("step", ["plan", "visit", "verify", "complete"])
def test_a_run_that_failed_is_closed_with_the_step_and_the_errors_name_alone(step: str) -> None:
    (failed,) = [s for s in DEFINITION["States"].values() if s.get("Parameters", {}).get("step") == step]
    assert failed == {
        "Type": "Pass",
        "Parameters": {
            "customer.$": "$.customer",
            "run_id.$": "$.run_id",
            "step": step,
            # Its cause is a text, which may hold anything.
            "error.$": "$.failure.Error",
        },
        "Next": "Abandon",
    }


def test_every_call_is_tried_again_with_backoff_jitter_and_a_time_limit() -> None:
    tasks = [
        state
        for machine in (DEFINITION, BATCH)
        for state in machine["States"].values()
        if state["Type"] == "Task"
    ]
    assert len(tasks) == 7
    for task in tasks:
        assert task["TimeoutSeconds"] > 900
        tried = {error for retry in task["Retry"] for error in retry["ErrorEquals"]}
        assert {"Lambda.TooManyRequestsException", "Lambda.ServiceException", "States.TaskFailed"} <= tried
        for retry in task["Retry"]:
            assert retry["BackoffRate"] > 1
            assert retry["JitterStrategy"] == "FULL"


def test_steps_get_ids_and_counts_only() -> None:
    batch = {"customer.$", "run_id.$", "first.$", "last.$"}
    payloads = [
        state["Parameters"]["Payload"]
        for machine in (DEFINITION, BATCH)
        for state in machine["States"].values()
        if state["Type"] == "Task"
    ]
    assert {key for payload in payloads for key in payload} == {*batch, "backward", "step.$", "error.$"}
    assert set(DEFINITION["States"]["VisitAll"]["ItemSelector"]) == batch
    texts = [path for payload in payloads for path in payload.values() if "failure" in str(path)]
    assert texts == ["$.failure.Error"]


def test_a_failed_visit_leaves_the_others_going() -> None:
    visits = DEFINITION["States"]["VisitAll"]
    assert visits["ToleratedFailurePercentage"] == 100
    assert visits["MaxConcurrency"] == 2
    assert BATCH["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}


def test_a_batch_that_ran_out_of_time_goes_on_where_it_stopped() -> None:
    choice = BATCH["States"]["AllVisited"]
    assert choice["Default"] == "Visit"
    assert choice["Choices"] == [{"Variable": "$.done", "BooleanEquals": True, "Next": "Visited"}]
    assert BATCH["States"]["Visit"]["OutputPath"] == "$.Payload"


def test_both_ways_through_a_batch_are_tried_more_than_once_between_them() -> None:
    forward, backward = BATCH["States"]["Visit"], BATCH["States"]["VisitBackward"]
    assert "backward" not in forward["Parameters"]["Payload"]
    assert backward["Parameters"]["Payload"]["backward"] is True
    assert backward["Next"] == forward["Next"] == "AllVisited"
    failures = [retry for state in (forward, backward) for retry in state["Retry"][-1:]]
    assert [(retry["IntervalSeconds"], retry["MaxAttempts"]) for retry in failures] == [(3, 1), (9, 2)]


def test_five_thousand_batches_fit_into_the_maps_output() -> None:
    # Step Functions quotas: 256 KiB of output, also where it is then thrown away.
    result = json.dumps(BATCH["States"]["Visited"]["Result"])
    assert 5_000 * (len(result) + 1) < 256 * 1024


def test_each_step_calls_its_function(deployment: Deployment) -> None:
    machine = deployment.named("aws:sfn/stateMachine:StateMachine", f"{deployment.prefix}-run")
    called = re.findall(r'"FunctionName": "arn:mock:Function:([^"]+)"', machine.inputs["definition"])
    assert [name.removeprefix(f"{deployment.prefix}-") for name in called] == [
        "plan-run",
        "visit-objects",
        "visit-objects",
        "visit-objects",
        "verify-run",
        "complete-run",
        "complete-run",
    ]


def test_the_machine_logs_failures_and_no_data(deployment: Deployment) -> None:
    machine = deployment.named("aws:sfn/stateMachine:StateMachine", f"{deployment.prefix}-run")
    assert machine.inputs["type"] == "STANDARD"
    assert machine.inputs["loggingConfiguration"] == {
        "level": "ERROR",
        "includeExecutionData": False,
        "logDestination": f"arn:mock:LogGroup:/aws/vendedlogs/states/{deployment.prefix}-run:*",
    }
