"""Runs that fail say why, ring, and are redriven."""

import json
import re

import pytest

from components.naming import RegionNames
from components.operations.alarms import LINES, alarm_specs
from local.commands.redrive import redrive
from local.errors import LocalError
from tests.e2e.support import World, completed, somebody, wait_for


def test_a_correction_that_aws_refused_is_redriven_once_that_is_mended(world: World) -> None:
    """The purpose role loses a right, as after a mistake in a deployment, and gets it back."""
    stack, api, view = (
        world.stacks["eu-west"],
        world.api("eu-west", "globex"),
        world.view("eu-west", "globex"),
    )
    person = somebody()
    dataset = world.data["eu-west"].customers["globex"].customer.of_format("records")[0].name
    api.put_record(dataset, "redriven-1", person, {"name": "Old"})
    iam = world.emulator.client("iam", stack.region)
    role = {"RoleName": f"{stack.prefix}-purpose-verify", "PolicyName": "rights"}
    rights = iam.get_role_policy(**role)["PolicyDocument"]
    refusal = {"Effect": "Deny", "Action": "dynamodb:Query", "Resource": "*"}
    broken = {**rights, "Statement": [*rights["Statement"], refusal]}
    iam.put_role_policy(**role, PolicyDocument=json.dumps(broken))
    try:
        request = api.request_correction(person, [{"dataset": dataset, "set": {"name": "New"}}])
        failed = api.wait(request.id, seconds=180)
    finally:
        iam.put_role_policy(**role, PolicyDocument=json.dumps(rights))
    assert failed.state == "failed"
    assert failed.run_id is not None
    assert failed.detail is not None
    (problem,) = failed.detail["problems"]
    assert (problem["reason"], problem["step"]) == ("run-failed", "verify")
    # Lambda would give the exception's own name; the emulator calls every exception this.
    assert problem["error"] == "Runtime.HandlerError"
    group = f"/aws/lambda/{stack.prefix}-verify-run"
    logged = world.emulator.client("logs", stack.region).filter_log_events(
        logGroupName=group, filterPattern='"step failed:"'
    )["events"]
    assert all(f"run={failed.run_id}" in event["message"] for event in logged)
    assert {re.findall(r"error=(\S+)", event["message"])[0] for event in logged} == {
        "dynamodb.Query.AccessDeniedException"
    }

    answer = redrive(stack, "globex", failed.run_id)
    assert (answer["requests"], answer["superseded"]) == (1, 0)
    ended = completed(api, request)
    assert (ended.received_at, ended.due_at) == (request.received_at, request.due_at)
    assert view.records()[f"{dataset}/redriven-1"] == {"name": "New"}
    assert redrive(stack, "globex", failed.run_id)["requests"] == 1
    assert ended.run_id is not None
    with pytest.raises(LocalError, match="nothing to redrive"):
        redrive(stack, "globex", ended.run_id)


def test_the_logs_of_that_have_the_lines_that_are_counted(world: World) -> None:
    """The emulator keeps metric filters and does not carry them out: their patterns are looked for here."""
    stack = world.stacks["eu-west"]
    logs = world.emulator.client("logs", stack.region)
    (line,) = [line for line in LINES if line.metric == "RequestsFailed"]
    group = f"/aws/lambda/{stack.prefix}-{line.function.replace('_', '-')}"
    kept = logs.describe_metric_filters(logGroupName=group)["metricFilters"]
    (made,) = [each for each in kept if each["filterName"] == line.metric]
    found = logs.filter_log_events(logGroupName=group, filterPattern=made["filterPattern"])["events"]
    ended = logs.filter_log_events(logGroupName=group, filterPattern='"request ended:"')["events"]
    assert 1 <= len(found) < len(ended)
    assert all("state=failed" in event["message"] for event in found)


def from_sns(queue: str) -> str:
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})


@pytest.mark.parametrize("stack_name", ["eu-west", "us-east"])
def test_every_alarm_tells_whoever_subscribes(world: World, stack_name: str) -> None:
    stack = world.stacks[stack_name]
    names = RegionNames(project="gdpr", stack=stack.name, account=stack.account, region=stack.region)
    expected = {names.name(spec.name) for spec in alarm_specs(names)}
    sns, sqs, cloudwatch = (
        world.emulator.client(service, stack.region) for service in ("sns", "sqs", "cloudwatch")
    )
    assert {alarm["AlarmName"] for alarm in cloudwatch.describe_alarms()["MetricAlarms"]} == expected
    topic, on_call = names.arn("sns", names.name("alarms")), names.arn("sqs", "on-call")
    queue = sqs.create_queue(QueueName="on-call", Attributes={"Policy": from_sns(on_call)})["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=on_call)
    for alarm in expected:
        for state in ("OK", "ALARM"):
            cloudwatch.set_alarm_state(AlarmName=alarm, StateValue=state, StateReason="a test")
    told: set[tuple[str, str]] = set()

    def all_told() -> bool:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            told_now = json.loads(json.loads(message["Body"])["Message"])
            told.add((told_now["AlarmName"], told_now["NewStateValue"]))
        return {(alarm, "ALARM") for alarm in expected} <= told

    wait_for(all_told, "the alarms' messages")
    sqs.delete_queue(QueueUrl=queue)
