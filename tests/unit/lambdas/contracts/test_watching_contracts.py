"""The watch over contracts and the reminders, at the moments where they change their minds."""

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from privacy import environment
from privacy.aws import clients as aws_clients
from privacy.contracts import events as contract_events
from privacy.contracts import remind as contract_reminders
from privacy.contracts import watch as contract_watch
from privacy.contracts.remind import remind
from privacy.contracts.watch import Finding, WatchIncompleteError, findings, watch
from privacy.customers.customer import Customer, Destruction
from privacy.customers.registry import Registry, destruction_key

from ..region import ACCOUNT, REGION, client
from ..support.api import Api, Cloud

Said = Callable[[], list[dict[str, Any]]]

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
ENDS, GRACE = date(2027, 12, 31), 30
DUE = datetime(2028, 1, 31, tzinfo=UTC)


def customer(ends: date = ENDS, grace: int = GRACE, **more: Any) -> Customer:  # noqa: ANN401 -- its fields
    return Customer("acme", "b", "t", "k", date(2024, 1, 1), ends, grace, "email", (), **more)


def kinds(found: Iterator[Finding]) -> list[tuple[str, str]]:
    return [(finding.kind, finding.state) for finding in found]


# when a contract is due


@pytest.mark.parametrize(
    ("ends", "grace", "expected"),
    [
        (date(2027, 12, 31), 30, "2028-01-31"),
        (date(2028, 2, 28), 0, "2028-02-29"),
        (date(2027, 2, 28), 0, "2027-03-01"),
        (date(2028, 2, 29), 0, "2028-03-01"),
        (date(2028, 1, 31), 30, "2028-03-02"),
        (date(2027, 1, 31), 30, "2027-03-03"),
        (date(2027, 12, 31), 365, "2028-12-31"),
        (date(2026, 12, 31), 365, "2028-01-01"),
        # No time of a change of clocks has an hour too many or too few: all is UTC.
        (date(2026, 3, 28), 0, "2026-03-29"),
    ],
)
def test_a_contract_is_due_from_the_midnight_after_its_last_grace_day_on(
    ends: date, grace: int, expected: str
) -> None:
    due = datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert kinds(findings(customer(ends, grace), None, due - SECOND)) == []
    assert kinds(findings(customer(ends, grace), None, due)) == [("due", "")]


@given(st.dates(date(2024, 1, 1), date(2099, 12, 31)), st.integers(0, 365), st.integers(-(10**8), 10**8))
def test_a_contract_is_due_exactly_when_its_days_are_over(ends: date, grace: int, seconds: int) -> None:
    of_a_contract = customer(ends, grace)
    now = of_a_contract.destruction + timedelta(seconds=seconds)
    last_day = ends + timedelta(days=grace)
    assert (("due", "") in kinds(findings(of_a_contract, None, now))) == (now.date() > last_day)


def test_renewed_a_second_before_is_renewed_and_a_second_after_is_renewed_too_while_nothing_began() -> None:
    renewed = customer(date(2028, 12, 31))
    for now in (DUE - SECOND, DUE, DUE + SECOND):
        assert kinds(findings(renewed, None, now)) == []


@pytest.mark.parametrize(
    ("destruction", "now", "expected"),
    [
        (None, DUE + DAY - SECOND, [("due", "")]),
        (None, DUE + DAY, [("due", ""), ("late", "not-begun")]),
        (Destruction("destroying", "2028-01-31T00:01:00Z"), DUE + DAY, [("due", "")]),
        (
            Destruction("destroying", "2028-01-31T00:01:00Z"),
            DUE + DAY + timedelta(minutes=1),
            [("due", ""), ("late", "destroying")],
        ),
        (Destruction("scheduled", "2028-01-31T00:01:00Z", "2028-03-01T00:05:00Z"), DUE + 31 * DAY, []),
        (
            Destruction("scheduled", "2028-01-31T00:01:00Z", "2028-03-01T00:05:00Z"),
            datetime(2028, 3, 3, 0, 5, tzinfo=UTC),
            [("due", ""), ("late", "scheduled")],
        ),
        (Destruction("destroyed", "2028-01-31T00:01:00Z", "2028-03-01T00:05:00Z"), DUE + 400 * DAY, []),
    ],
)
def test_a_destruction_that_does_not_get_on_is_late_after_a_day(
    destruction: Destruction | None, now: datetime, expected: list[tuple[str, str]]
) -> None:
    assert kinds(findings(customer(), destruction, now)) == expected


@pytest.mark.parametrize("now", [DUE - 400 * DAY, DUE - SECOND, DUE, DUE + 400 * DAY])
def test_a_hold_is_told_of_for_as_long_as_it_stands_and_ends_nothing(now: datetime) -> None:
    held = customer(hold="litigation")
    assert list(findings(held, None, now)) == [Finding("held", DUE)]
    begun = Destruction("destroying", "2028-01-31T00:01:00Z")
    assert list(findings(held, begun, now)) == [Finding("held", DUE)]


@pytest.mark.parametrize(
    ("key_deletion", "now", "kept"),
    [
        (None, DUE + 400 * DAY, True),
        ("2028-03-01T00:05:00Z", DUE, True),
        ("2028-03-01T00:05:00Z", datetime(2028, 3, 2, 0, 4, tzinfo=UTC), True),
        # KMS has deleted it by then.
        ("2028-03-01T00:05:00Z", datetime(2028, 3, 2, 0, 5, tzinfo=UTC), False),
    ],
)
@pytest.mark.parametrize("terminated", [False, True])
def test_a_hold_keeps_a_key_whose_deletion_is_ordered(
    key_deletion: str | None, now: datetime, kept: bool, terminated: bool
) -> None:
    held = customer(hold="litigation", terminated=terminated)
    mark = Destruction("scheduled", "2028-01-31T00:01:00Z", key_deletion, key_ordered=True)
    assert (("keep", "") in kinds(findings(held, mark, now))) is kept
    over = Destruction("destroyed", "2028-01-31T00:01:00Z", key_deletion, key_ordered=True)
    assert kinds(findings(held, over, now)) == []


def test_a_terminated_contract_is_let_be_while_its_key_waits_and_once_it_is_gone() -> None:
    over = customer(terminated=True)
    for state, now in (("scheduled", DUE + 31 * DAY), ("destroyed", DUE + 400 * DAY)):
        mark = Destruction(state, "2028-01-31T00:01:00Z", "2028-03-01T00:05:00Z")  # type: ignore[arg-type]
        assert kinds(findings(over, mark, now)) == []


def test_of_a_terminated_contract_a_key_that_is_overdue_is_looked_for() -> None:
    mark = Destruction("scheduled", "2028-01-31T00:01:00Z", "2028-03-01T00:05:00Z")
    late = kinds(findings(customer(terminated=True), mark, datetime(2028, 3, 3, 0, 5, tzinfo=UTC)))
    assert late == [("due", ""), ("late", "scheduled")]


def test_a_contract_that_was_called_terminated_too_early_is_told_of_and_not_ended() -> None:
    over = customer(terminated=True)
    assert kinds(findings(over, None, DUE - 400 * DAY)) == [("late", "terminated")]
    # What has begun goes on.
    assert kinds(findings(over, Destruction("destroying", "2028-01-31T00:01:00Z"), DUE)) == [
        ("late", "terminated"),
        ("due", ""),
    ]


# the watch


@pytest.fixture
def machine(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> str:
    made = client("stepfunctions").create_state_machine(
        name="contract-end",
        definition='{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}',
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/machine",
    )
    arn: str = made["stateMachineArn"]
    monkeypatch.setenv(environment.CONTRACT_END_STATE_MACHINE_ARN, arn)
    for name in ("acme", "zenith"):
        cloud.register(name, contract_ends="2027-12-31")
    return arn


def started(machine: str) -> list[dict[str, Any]]:
    executions = client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    return [
        client("stepfunctions").describe_execution(executionArn=execution["executionArn"])
        for execution in executions
    ]


def mark(cloud: Cloud, name: str, state: str, since: str, **more: str) -> None:
    texts = {"pk": destruction_key(name), "state": state, "since": since, **more}
    client("dynamodb").put_item(
        TableName=cloud.registry_table, Item={name: {"S": text} for name, text in texts.items()}
    )


def watched(cloud: Cloud, machine: str, now: datetime) -> list[str]:
    return watch(Registry(cloud.registry_table), machine, clock=lambda: now)


def test_the_watch_ends_what_is_due_and_nothing_else(cloud: Cloud, machine: str) -> None:
    cloud.register("zenith", contract_ends="2028-12-31")
    assert watched(cloud, machine, DUE - SECOND) == []
    assert watched(cloud, machine, DUE + timedelta(minutes=59)) == ["acme"]
    (execution,) = started(machine)
    assert json.loads(execution["input"]) == {"customer": "acme"}
    assert execution["name"] == "acme-20280131-20280131T00"


def test_two_watches_of_an_hour_start_one_execution_and_the_next_hours_another(
    cloud: Cloud, machine: str
) -> None:
    cloud.register("zenith", contract_ends="2028-12-31")
    for minutes in (0, 1, 59):
        watched(cloud, machine, DUE + timedelta(minutes=minutes))
    assert len(started(machine)) == 1
    watched(cloud, machine, DUE + timedelta(minutes=60))
    assert len(started(machine)) == 2


def test_an_execution_of_that_hour_that_has_ended_is_no_failure(
    cloud: Cloud, machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.register("zenith", contract_ends="2028-12-31")
    stepfunctions = aws_clients.stepfunctions()
    there = stepfunctions.exceptions.ExecutionAlreadyExists(
        {"Error": {"Code": "ExecutionAlreadyExists", "Message": ""}}, "StartExecution"
    )

    def refuse(**_: str) -> None:
        raise there

    monkeypatch.setattr(stepfunctions, "start_execution", refuse)
    assert watched(cloud, machine, DUE) == ["acme"]


def test_a_contract_whose_end_is_going_on_is_not_ended_again(cloud: Cloud, machine: str) -> None:
    stepfunctions = client("stepfunctions")
    for name in ("acme", "zenith"):
        execution = stepfunctions.start_execution(stateMachineArn=machine, name=name)["executionArn"]
        mark(cloud, name, "destroying", "2028-01-31T00:01:00Z", execution=execution)
    assert watched(cloud, machine, DUE + timedelta(hours=1)) == []
    assert {execution["name"] for execution in started(machine)} == {"acme", "zenith"}
    stepfunctions.stop_execution(executionArn=execution)
    assert watched(cloud, machine, DUE + timedelta(hours=1)) == ["zenith"]


def test_a_hold_that_is_lifted_after_the_day_lets_the_next_watch_end_the_contract(
    cloud: Cloud, machine: str, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.register("zenith", contract_ends="2028-12-31")
    cloud.register("acme", contract_ends="2027-12-31", hold="litigation, case 2026-114")
    now = DUE + 40 * DAY
    assert watched(cloud, machine, now) == []
    assert [record.getMessage() for record in caplog.records] == [
        "destruction held: customer=acme since due=2028-01-31T00:00:00Z"
    ]
    assert started(machine) == []
    cloud.register("acme", contract_ends="2027-12-31")
    assert watched(cloud, machine, now + timedelta(hours=1)) == ["acme"]


def test_what_is_late_is_told_of_with_customer_and_state_and_nothing_else(
    cloud: Cloud, machine: str, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.register("zenith", contract_ends="2028-12-31")
    mark(cloud, "acme", "destroying", "2028-01-31T00:01:00Z")
    watched(cloud, machine, DUE + 2 * DAY)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            logging.ERROR,
            "contract end overdue: customer=acme state=destroying since=2028-01-31T00:01:00Z",
        ),
        (logging.WARNING, "contract end started by the watch: customer=acme attempt=1"),
    ]


def test_one_customers_trouble_does_not_keep_the_watch_from_the_others(
    cloud: Cloud, machine: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start = aws_clients.stepfunctions().start_execution

    def refuse_acme(**arguments: str) -> Any:  # noqa: ANN401 -- AWS's answer
        if "acme" in arguments["name"]:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "x"}}, "StartExecution")
        return start(**arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(aws_clients.stepfunctions(), "start_execution", refuse_acme)
    with pytest.raises(WatchIncompleteError, match="1 customers"):
        watched(cloud, machine, DUE)
    assert [json.loads(execution["input"])["customer"] for execution in started(machine)] == ["zenith"]
    assert any(
        record.getMessage() == "not watched: customer=acme error=AccessDeniedException"
        for record in caplog.records
    )


def test_a_customer_without_an_entry_is_noticed(cloud: Cloud, machine: str) -> None:
    client("dynamodb").delete_item(TableName=cloud.registry_table, Key={"pk": {"S": "customer#acme"}})
    with pytest.raises(WatchIncompleteError):
        watched(cloud, machine, DUE)
    assert [json.loads(execution["input"])["customer"] for execution in started(machine)] == ["zenith"]


def test_the_watchs_handler_goes_by_the_clock(api: Api, cloud: Cloud, machine: str) -> None:
    yesterday = datetime.now(UTC).date() - DAY
    cloud.register("zenith", contract_ends=(yesterday - 30 * DAY).isoformat())
    # Not the day after either, should midnight pass meanwhile.
    cloud.register("acme", contract_ends=(yesterday - 28 * DAY).isoformat())
    assert api.module("watch_contracts").handler({}, None) == {"started": 1}
    (execution,) = started(machine)
    assert json.loads(execution["input"]) == {"customer": "zenith"}


# reminders


@pytest.fixture
def said(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Said:
    """What has come over the bus since one last looked."""
    events, sqs = client("events"), client("sqs")
    events.create_event_bus(Name="contracts")
    events.put_rule(
        Name="all", EventBusName="contracts", EventPattern=json.dumps({"source": ["gdpr.contracts"]})
    )
    url = sqs.create_queue(QueueName="said")["QueueUrl"]
    events.put_targets(
        Rule="all",
        EventBusName="contracts",
        Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:said"}],
    )
    monkeypatch.setenv(environment.EVENT_BUS, "contracts")
    cloud.register("acme", contract_ends="2027-12-31")

    def look() -> list[dict[str, Any]]:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]

    return look


def reminded(cloud: Cloud, days: int, now: datetime, name: str = "acme") -> bool:
    return remind(Registry(cloud.registry_table), name, days, clock=lambda: now)


def test_a_reminder_says_whose_contract_ends_and_when_its_data_goes(cloud: Cloud, said: Said) -> None:
    assert reminded(cloud, 30, DUE - 30 * DAY)
    (event,) = said()
    assert (event["source"], event["detail-type"]) == ("gdpr.contracts", "Contract ends soon")
    assert event["detail"] == {
        "customer": "acme",
        "contract_ends": "2027-12-31",
        "destruction": "2028-01-31T00:00:00Z",
        "days_left": 30,
        "held": False,
    }


def test_a_reminder_says_that_the_data_is_held_and_not_why(cloud: Cloud, said: Said) -> None:
    cloud.register("acme", contract_ends="2027-12-31", hold="litigation, case 2026-114")
    assert reminded(cloud, 7, DUE - 7 * DAY)
    (event,) = said()
    assert event["detail"]["held"] is True
    assert "litigation" not in json.dumps(event)


@pytest.mark.parametrize("days", [90, 30, 7])
@pytest.mark.parametrize(
    ("late", "true"),
    [
        (-timedelta(hours=1), False),
        (-contract_reminders.CLOCK_SKEW, True),
        (timedelta(0), True),
        (timedelta(seconds=59), True),
        (DAY - SECOND, True),
        (DAY, False),
    ],
)
def test_a_reminder_is_said_on_its_day_only(
    cloud: Cloud,
    said: Said,
    days: int,
    late: timedelta,
    true: bool,
) -> None:
    assert reminded(cloud, days, DUE - days * DAY + late) is true
    assert len(said()) == int(true)


@pytest.mark.parametrize("ends", ["2028-01-01", "2027-12-30", "2028-12-31"])
def test_a_contract_that_was_renewed_or_ends_earlier_says_nothing(
    cloud: Cloud, said: Said, ends: str
) -> None:
    cloud.register("acme", contract_ends=ends)
    # A call that comes late on its day, when a contract a day longer has so many days left, too.
    for now in (DUE - 30 * DAY, DUE - 30 * DAY + timedelta(minutes=1)):
        assert not reminded(cloud, 30, now)
    assert said() == []


def test_a_customer_that_is_terminated_gone_or_being_destroyed_is_not_reminded_of(
    cloud: Cloud,
    said: Said,
) -> None:
    now = DUE - 7 * DAY
    assert not reminded(cloud, 7, now, "nobody")
    cloud.register("acme", contract_ends="2027-12-31", contract_status="terminated")
    assert not reminded(cloud, 7, now)
    cloud.register("acme", contract_ends="2027-12-31")
    mark(cloud, "acme", "destroying", "2028-01-24T00:00:00Z")
    assert not reminded(cloud, 7, now)
    assert said() == []


def test_the_reminders_handler_goes_by_the_clock(api: Api, cloud: Cloud, said: Said) -> None:
    # Neither day, should midnight pass meanwhile.
    destruction = datetime.now(UTC).date() + timedelta(days=7)
    cloud.register("acme", contract_ends=(destruction - 31 * DAY).isoformat())
    handler = api.module("remind_contract").handler
    assert handler({"customer": "acme", "days": 90}, None) == {"reminded": False}
    assert handler({"customer": "acme", "days": 7}, None) == {"reminded": True}
    assert [event["detail"]["days_left"] for event in said()] == [7]


def test_an_event_that_is_not_taken_fails_the_call(
    cloud: Cloud, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        aws_clients.events(),
        "put_events",
        lambda **_: {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]},
    )
    with pytest.raises(contract_events.EventNotPutError):
        reminded(cloud, 7, DUE - 7 * DAY)
    assert said() == []


def test_an_executions_name_fits_with_the_longest_id() -> None:
    longest = Customer("c" * 21, "b", "t", "k", date(2024, 1, 1), ENDS, GRACE, "email", ())
    assert len(contract_watch.execution_name(longest, DUE)) <= 80
