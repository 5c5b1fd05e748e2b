"""Lambda has no room for a run's visits, for longer than anything else would be tried again."""

from typing import Any

from tests.e2e.support import World, completed, somebody, wait_for

BEFORE = 10
"""More tries than a call gets that fails for a reason of its own."""


def test_a_run_whose_visits_find_no_room_goes_on_when_there_is_some(world: World) -> None:
    stack, api = world.stacks["us-east"], world.api("us-east", "initech")
    view = world.view("us-east", "initech")
    person, dataset = (
        somebody(),
        world.data["us-east"].customers["initech"].customer.of_format("records")[0].name,
    )
    api.put_record(dataset, "no-room", person, {"name": "Somebody"})
    functions, machines = (world.emulator.client(name, stack.region) for name in ("lambda", "stepfunctions"))
    visits = f"{stack.prefix}-visit-objects"
    functions.put_function_concurrency(FunctionName=visits, ReservedConcurrentExecutions=0)
    try:
        request = api.request_erasure([person], reason="consent-withdrawn")
        wait_for(lambda: no_room(machines, stack.prefix) > BEFORE, "tries that found no room")
        assert api.request(request.id).state == "running"
    finally:
        functions.delete_function_concurrency(FunctionName=visits)
    completed(api, request)
    assert f"{dataset}/no-room" not in view.records()


def no_room(machines: Any, prefix: str) -> int:
    """How many tries of batches of visits found no room, in runs that are going on."""
    arns = [machine["stateMachineArn"] for machine in machines.list_state_machines()["stateMachines"]]
    (run,) = [arn for arn in arns if arn.endswith(f":{prefix}-run")]
    running = machines.list_executions(stateMachineArn=run, statusFilter="RUNNING")["executions"]
    maps = [
        each["mapRunArn"]
        for execution in running
        for each in machines.list_map_runs(executionArn=execution["executionArn"])["mapRuns"]
    ]
    batches = [each for arn in maps for each in machines.list_executions(mapRunArn=arn)["executions"]]
    return sum(
        event.get("taskFailedEventDetails", {}).get("error") == "Lambda.TooManyRequestsException"
        for batch in batches
        for event in machines.get_execution_history(executionArn=batch["executionArn"], maxResults=1000)[
            "events"
        ]
    )
