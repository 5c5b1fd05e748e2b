import json
import re

from components.machines.reindex import ReindexSteps, reindex_definition
from privacy.reindex.plan import batches

from ..programs import Deployment
from .states import following, reachable

DEFINITION = reindex_definition(
    ReindexSteps(plan="arn:plan", compare="arn:compare", report="arn:report", clear="arn:clear"), 2
)
BATCH = DEFINITION["States"]["CompareAll"]["ItemProcessor"]
MACHINES = (DEFINITION, BATCH)


def test_every_state_can_be_reached_and_goes_on_or_ends() -> None:
    for machine in MACHINES:
        assert reachable(machine) == set(machine["States"])
        for name, state in machine["States"].items():
            ends = state.get("End") or state["Type"] in {"Succeed", "Fail"}
            assert bool(ends) != bool(list(following(state))), name


def test_a_redrive_goes_on_at_the_step_that_failed() -> None:
    # A redrive enters the state again that the execution failed in: one that only says "failed" fails again.
    for machine in MACHINES:
        assert not [name for name, state in machine["States"].items() if "Catch" in state]
        assert not [name for name, state in machine["States"].items() if state["Type"] == "Fail"]


def test_every_step_is_tried_again_and_called_until_it_is_done() -> None:
    tasks = [
        (name, state, machine)
        for machine in MACHINES
        for name, state in machine["States"].items()
        if state["Type"] == "Task"
    ]
    assert [name for name, _, _ in tasks] == ["Plan", "Report", "Clear", "Compare"]
    for name, task, machine in tasks:
        assert task["TimeoutSeconds"] > 900
        assert {"States.TaskFailed"} <= {error for retry in task["Retry"] for error in retry["ErrorEquals"]}
        assert task["OutputPath"] == "$.Payload"
        choice = machine["States"][task["Next"]]
        assert choice["Default"] == name
        assert [(c["Variable"], c["BooleanEquals"]) for c in choice["Choices"]] == [("$.done", True)]


def test_an_object_that_cannot_be_compared_leaves_the_others_going() -> None:
    compare = DEFINITION["States"]["CompareAll"]
    assert compare["ToleratedFailurePercentage"] == 100
    assert compare["MaxConcurrency"] == 2
    assert compare["ResultPath"] is None
    assert BATCH["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    # Step Functions quotas: 256 KiB of output, also where it is then thrown away.
    result = json.dumps(BATCH["States"]["Compared"]["Result"])
    assert len(batches(10_000_000)) * (len(result) + 1) < 256 * 1024


def test_each_step_calls_its_function(deployment: Deployment) -> None:
    machine = deployment.named("aws:sfn/stateMachine:StateMachine", f"{deployment.prefix}-reindex")
    called = re.findall(r'"FunctionName": "arn:mock:Function:([^"]+)"', machine.inputs["definition"])
    assert [name.removeprefix(f"{deployment.prefix}-") for name in called] == [
        "plan-reindex",
        "reindex-objects",
        "report-reindex",
        "clear-reindex",
    ]
    assert machine.inputs["loggingConfiguration"]["includeExecutionData"] is False
