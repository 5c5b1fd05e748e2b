"""An index that lost entries is put right by the workflow, and an erasure then finds what it had missed."""

import json
from typing import Any

from local.commands import reindex
from tests.e2e.runs.test_late_arrivals import bucket_events_wait, rows
from tests.e2e.support import World, completed, somebody, wait_for

STACK, CUSTOMER = "eu-west", "acme"


def carry_out(world: World, *, dry_run: bool = False) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    stack = world.stacks[STACK]
    executions = world.emulator.client("stepfunctions", stack.region)
    done = reindex.carry_out(executions, stack, CUSTOMER, dry_run=dry_run)
    return done, reindex.differences(world.emulator.client("s3", stack.region), stack, done)


def about(found: list[dict[str, Any]], references: set[str]) -> list[tuple[str, str, bool]]:
    return sorted(
        (each["kind"], each["subject"], each["repaired"])
        for each in found
        if each.get("subject") in references
    )


def test_lost_entries_come_back_and_an_erasure_finds_the_object(world: World) -> None:
    stack, api, view = world.stacks[STACK], world.api(STACK, CUSTOMER), world.view(STACK, CUSTOMER)
    gone, stays = somebody(), somebody()
    key = "feedback/unindexed.jsonl"
    world.send_rows([gone, stays], key)
    dynamodb, table = world.emulator.client("dynamodb", stack.region), stack.vaults[CUSTOMER].table
    lost = [item for item in view.items() if item["sk"]["S"] == f"object#{key}"]
    assert len(lost) == 2
    for item in lost:
        dynamodb.delete_item(TableName=table, Key={name: item[name] for name in ("pk", "sk")})
    stranger = {**lost[0], "pk": {"S": f"subject#{'0' * 64}"}}
    dynamodb.put_item(TableName=table, Item=stranger)
    references = {item["pk"]["S"].removeprefix("subject#") for item in (*lost, stranger)}
    expected = sorted(
        ("superfluous-entry" if reference == "0" * 64 else "missing-entry", reference)
        for reference in references
    )

    looked, found = carry_out(world, dry_run=True)
    assert about(found, references) == [(*each, False) for each in expected]
    assert looked["counts"]["remaining"] == len(found)
    assert view.entries_of(key, world.newest(key)) == 1

    done, found = carry_out(world)
    assert about(found, references) == [(*each, True) for each in expected]
    assert done["counts"]["remaining"] == 0
    again, found = carry_out(world)
    assert (again["counts"]["differences"], found) == ({}, [])
    assert not [item for item in view.items() if item["pk"]["S"].startswith("reindex#")]

    completed(api, api.request_erasure([gone]))
    assert [json.loads(line)["author"]["email"] for line in view.body(key).splitlines()] == [stays]


def test_a_late_file_whose_event_never_came_is_found_and_erased(world: World) -> None:
    stack, api, view = world.stacks[STACK], world.api(STACK, CUSTOMER), world.view(STACK, CUSTOMER)
    gone, stays = somebody(), somebody()
    key = "feedback/never-heard-of.jsonl"
    with bucket_events_wait(world):
        api.upload("feedback", key, rows(gone, stays))
        erasure = completed(api, api.request_erasure([gone]))
        sqs = world.emulator.client("sqs", stack.region)
        sqs.purge_queue(QueueUrl=sqs.get_queue_url(QueueName=f"{stack.prefix}-object-events")["QueueUrl"])
    assert view.body(key) == rows(gone, stays)

    done, found = carry_out(world)

    assert {each["kind"] for each in found} >= {"missing-entry", "unmarked-version"}
    assert done["counts"]["remaining"] == 0
    wait_for(lambda: view.body(key) == rows(stays), "the late file's erasure")
    (follow_up,) = [request for request in api.requests(limit=20) if request.follows == erasure.id]
    assert completed(api, follow_up).type == "erasure"


def test_nothing_personal_is_in_an_executions_history(world: World) -> None:
    """No identifier, no key of an object: ids, counts and ranges of digests only."""
    stack = world.stacks[STACK]
    executions = world.emulator.client("stepfunctions", stack.region)
    done, _ = carry_out(world, dry_run=True)
    name = f"{stack.prefix}-reindex"
    execution, _, _started = done["reindex_id"].rpartition("-")
    arn = f"arn:aws:states:{stack.region}:{stack.account}:execution:{name}:{execution}"
    history = str(executions.get_execution_history(executionArn=arn)["events"])
    assert done["reindex_id"] in history
    assert "feedback/" not in history
    assert "jemand" not in history


def test_a_customer_that_is_not_there_fails_and_changes_nothing(world: World) -> None:
    stack = world.stacks[STACK]
    executions = world.emulator.client("stepfunctions", stack.region)
    machine = f"arn:aws:states:{stack.region}:{stack.account}:stateMachine:{stack.prefix}-reindex"
    before = world.view(STACK, CUSTOMER).digests()
    arn = executions.start_execution(stateMachineArn=machine, input='{"customer": "initech"}')["executionArn"]
    wait_for(lambda: executions.describe_execution(executionArn=arn)["status"] == "FAILED", "the refusal")
    assert world.view(STACK, CUSTOMER).digests() == before
