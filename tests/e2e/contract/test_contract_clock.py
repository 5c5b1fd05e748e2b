"""The contract clock as it is deployed: schedules, and reminders on their way to whoever is told."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.stacks import Stack
from tests.e2e.support import LEAVING, World, wait_for

STACKS = ("eu-west", "us-east")


def invoked(world: World, stack: Stack, function: str, event: dict[str, Any]) -> Any:
    answer = world.emulator.client("lambda", stack.region).invoke(
        FunctionName=f"{stack.prefix}-{function}", Payload=json.dumps(event)
    )
    assert "FunctionError" not in answer, answer["Payload"].read()
    return json.loads(answer["Payload"].read())


def register(world: World, stack: Stack, customer: str, destruction: datetime) -> None:
    """Enter a customer without a vault, whose data is to be destroyed at that midnight."""
    item = world.emulator.client("dynamodb", stack.region).get_item(
        TableName=f"{stack.prefix}-registry", Key={"pk": {"S": f"customer#{next(iter(stack.vaults))}"}}
    )["Item"]
    ends = destruction.date() - timedelta(days=1 + int(item["grace_days"]["N"]))
    world.emulator.client("dynamodb", stack.region).put_item(
        TableName=f"{stack.prefix}-registry",
        Item={
            **item,
            "pk": {"S": f"customer#{customer}"},
            "customer": {"S": customer},
            "contract_ends": {"S": ends.isoformat()},
        },
    )


@pytest.mark.parametrize("name", STACKS)
def test_a_reminder_reaches_whoever_listens_to_the_topic(world: World, name: str) -> None:
    stack = world.stacks[name]
    sqs, sns = (world.emulator.client(service, stack.region) for service in ("sqs", "sns"))
    queue = f"arn:aws:sqs:{stack.region}:{stack.account}:ticket-system"
    from_the_topic = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [from_the_topic]})
    listener = sqs.create_queue(QueueName="ticket-system", Attributes={"Policy": policy})["QueueUrl"]
    sns.subscribe(
        TopicArn=f"arn:aws:sns:{stack.region}:{stack.account}:{stack.prefix}-contracts",
        Protocol="sqs",
        Endpoint=queue,
    )
    midnight = datetime.combine(datetime.now(UTC).date() + timedelta(days=7), datetime.min.time(), UTC)
    register(world, stack, "leaving", midnight)
    assert invoked(world, stack, "remind-contract", {"customer": "leaving", "days": 90}) == {
        "reminded": False
    }
    assert invoked(world, stack, "remind-contract", {"customer": "leaving", "days": 7}) == {"reminded": True}
    received: list[dict[str, Any]] = []

    def arrived() -> bool:
        for message in sqs.receive_message(QueueUrl=listener).get("Messages", []):
            received.append(json.loads(json.loads(message["Body"])["Message"]))
        return bool(received)

    wait_for(arrived, "the reminder")
    assert [(event["source"], event["detail-type"]) for event in received] == [
        ("gdpr.contracts", "Contract ends soon")
    ]
    detail = received[0]["detail"]
    assert (detail["customer"], detail["days_left"], detail["held"]) == ("leaving", 7, False)
    sqs.delete_queue(QueueUrl=listener)


@pytest.mark.parametrize("name", STACKS)
def test_the_watch_finds_nothing_to_end_in_contracts_that_last(world: World, name: str) -> None:
    assert invoked(world, world.stacks[name], "watch-contracts", {}) == {"started": 0}


@pytest.mark.parametrize("name", STACKS)
def test_each_customer_has_its_schedules_in_the_stacks_own_group(world: World, name: str) -> None:
    stack = world.stacks[name]
    scheduler = world.emulator.client("scheduler", stack.region)
    listed = scheduler.list_schedules(GroupName=f"{stack.prefix}-contracts")["Schedules"]
    expected = {
        f"{stack.prefix}-{customer}.{what}"
        for customer in stack.vaults
        for what in ("destruction", "reminder-90", "reminder-30", "reminder-7")
    }
    assert {schedule["Name"] for schedule in listed} <= expected
    ends = [each for each in listed if each["Name"].endswith(".destruction")]
    # A customer whose contract is over, as one's is once its own tests have run, needs no schedule any more.
    named = {each["Name"] for each in ends}
    assert {f"{stack.prefix}-{customer}.destruction" for customer in {*stack.vaults} - {LEAVING}} <= named
    for each in ends:
        assert each["Target"]["Arn"].endswith(f":stateMachine:{stack.prefix}-contract-end")


def test_the_reminding_function_puts_events_on_its_own_bus_only(world: World) -> None:
    session = world.function_session("eu-west", "remind-contract")
    events = world.aws(session, "events", "eu-west-1")
    entry = {"Source": "gdpr.contracts", "DetailType": "Contract ended", "Detail": "{}"}
    with pytest.raises(ClientError, match="AccessDenied"):
        events.put_events(Entries=[{**entry, "EventBusName": "default"}])
