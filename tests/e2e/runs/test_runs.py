"""One pass serves every request; none is lost, and none is done twice."""

from concurrent.futures import ThreadPoolExecutor

from tests.e2e.support import World, completed, somebody


def test_requests_that_arrive_during_a_run_are_served_by_the_next(world: World) -> None:
    api, view = world.api("eu-west", "acme"), world.view("eu-west", "acme")
    people = [somebody() for _ in range(9)]
    stays = somebody()
    world.send_rows([*people, stays], "feedback/crowd.jsonl")

    first = api.request_erasure(people[:1])
    with ThreadPoolExecutor(3) as pool:
        others = list(pool.map(lambda person: api.request_erasure([person]), people[1:]))

    ended = [completed(api, request) for request in (first, *others)]
    assert len({request.id for request in ended}) == len(people)
    assert view.body("feedback/crowd.jsonl").count(b"\n") == 1
    runs = {request.run_id for request in ended}
    # The first started one at once; what came meanwhile was gathered instead of starting one each.
    assert 1 <= len(runs) < len(people)
    executions = world.emulator.client("stepfunctions", "eu-west-1")
    account = world.stacks["eu-west"].account
    for run in runs:
        arn = f"arn:aws:states:eu-west-1:{account}:execution:gdpr-eu-west-run:acme-{run}"
        assert executions.describe_execution(executionArn=arn)["status"] in {"RUNNING", "SUCCEEDED"}


def test_one_person_in_two_requests_at_once_is_erased_and_both_complete(world: World) -> None:
    person = somebody()
    api = world.api("eu-west", "acme")
    world.send_rows([person], "feedback/twice.jsonl")
    requests = [api.request_erasure([person]) for _ in range(2)]
    assert requests[0].id != requests[1].id
    for request in requests:
        completed(api, request)
    assert world.view("eu-west", "acme").body("feedback/twice.jsonl") == b""


def test_a_correction_before_an_erasure_of_the_same_person_leaves_nothing(world: World) -> None:
    person = somebody()
    api, view = world.api("eu-west", "acme"), world.view("eu-west", "acme")
    api.put_record("profiles", "both-1", person, {"name": "Old", "email": person})
    world.send_rows([person], "feedback/both.jsonl")

    correction = api.request_correction(
        person, [{"dataset": "profiles", "set": {"name": "Never to be seen"}}]
    )
    erasure = api.request_erasure([person])
    completed(api, correction)
    completed(api, erasure)

    assert "profiles/both-1" not in view.records()
    assert view.body("feedback/both.jsonl") == b""


def test_customers_runs_do_not_wait_for_each_other(world: World) -> None:
    requests = [
        (api, api.request_erasure([somebody()]))
        for api in (
            world.api("eu-west", "acme"),
            world.api("eu-west", "globex"),
            world.api("us-east", "initech"),
        )
    ]
    assert len({completed(api, request).run_id for api, request in requests}) == len(requests)


def test_the_sweep_takes_over_from_a_run_that_died(world: World) -> None:
    """A lock that a dead run left behind would block its customer for ever."""
    stack, api = world.stacks["eu-west"], world.api("eu-west", "globex")
    dynamodb = world.emulator.client("dynamodb", stack.region)
    table = f"{stack.prefix}-requests"
    lock = {"pk": {"S": "customer#globex"}, "sk": {"S": "run"}}
    dynamodb.put_item(
        TableName=table, Item={**lock, "run_id": {"S": "dead"}, "started_at": {"S": "2026-01-01T00:00:00Z"}}
    )
    request = api.request_erasure([somebody()])
    assert api.request(request.id).state == "pending"

    answer = world.emulator.client("lambda", stack.region).invoke(FunctionName=f"{stack.prefix}-sweep-runs")

    assert "FunctionError" not in answer
    completed(api, request)


def test_the_sweep_is_scheduled(world: World) -> None:
    for stack in world.stacks.values():
        schedules = world.emulator.client("scheduler", stack.region)
        schedule = schedules.get_schedule(Name=f"{stack.prefix}-sweep-runs")
        assert schedule["State"] == "ENABLED"
        assert schedule["ScheduleExpression"] == "rate(5 minutes)"
        assert schedule["Target"]["Arn"].endswith(f":function:{stack.prefix}-sweep-runs")
