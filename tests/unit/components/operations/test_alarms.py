"""What an operator is told about: alarms, the lines that they count, and the topic that they go to."""

import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from components.contracts.events import ContractEvents, ContractEventsArgs
from components.functions.catalogue import FUNCTIONS
from components.iam import keys, resources
from components.machines.catalogue import MACHINES
from components.naming import RegionNames
from components.operations.alarms import (
    LINES,
    PACKED_SIZE,
    PERIOD_SECONDS,
    SECRETS_UNSAFE,
    Alarms,
    AlarmsArgs,
    alarm_specs,
)
from components.schedules.catalogue import RECURRING_CALLS
from components.settings.settings import parse_settings
from privacy.aws import clients as aws_clients
from privacy.aws import executions
from privacy.contracts import watch as contract_watch
from privacy.customers.customer import Customer, Destruction
from privacy.requests import sweep as request_sweep
from privacy.requests.request import Request
from privacy.run import complete as run_complete
from privacy.vault import sessions as vault_sessions
from privacy.visits.visit import RunNotes

from ..programs import ACCOUNT, GROUND, ROOT, Deployment, Made, run_program, stack_config

NAMES = RegionNames(project="gdpr", stack="eu-west", account=ACCOUNT, region="eu-west-1")
QUEUES = ("dead-letters", "object-events-dead")


def alarms(deployment: Deployment) -> dict[str, Made]:
    found = deployment.of("aws:cloudwatch/metricAlarm:MetricAlarm")
    return {made.inputs["name"].removeprefix(f"{deployment.prefix}-"): made for made in found}


def test_every_alarm_tells_the_topic_when_it_rings_and_when_it_is_over(deployment: Deployment) -> None:
    topic = [f"arn:mock:Topic:{deployment.prefix}-alarms"]
    assert set(alarms(deployment)) == {spec.name for spec in alarm_specs(NAMES)}
    for made in alarms(deployment).values():
        assert made.inputs["alarmActions"] == made.inputs["okActions"] == topic
        assert made.inputs["alarmDescription"]


@pytest.mark.parametrize(
    ("name", "namespace", "metric"),
    [
        ("run-failed", "AWS/States", "ExecutionsFailed"),
        ("run-timed-out", "AWS/States", "ExecutionsTimedOut"),
        ("run-aborted", "AWS/States", "ExecutionsAborted"),
        ("export-failed", "AWS/States", "ExecutionsFailed"),
        ("export-timed-out", "AWS/States", "ExecutionsTimedOut"),
        ("requests-failed", None, "RequestsFailed"),
        ("requests-due-soon", None, "RequestsDueSoon"),
        ("contract-end-failed", "AWS/States", "ExecutionsFailed"),
        ("contract-end-timed-out", "AWS/States", "ExecutionsTimedOut"),
        ("contract-end-aborted", "AWS/States", "ExecutionsAborted"),
        ("object-events-dead", "AWS/SQS", "ApproximateNumberOfMessagesVisible"),
        ("dead-letters", "AWS/SQS", "ApproximateNumberOfMessagesVisible"),
    ],
)
def test_one_of_them_is_enough_to_ring_and_silence_is_none(
    deployment: Deployment, name: str, namespace: str | None, metric: str
) -> None:
    made = alarms(deployment)[name].inputs
    assert (made["namespace"], made["metricName"]) == (namespace or deployment.prefix, metric)
    assert (made["comparisonOperator"], made["threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    assert (made["evaluationPeriods"], made["datapointsToAlarm"]) == (1, 1)
    assert made["treatMissingData"] == "notBreaching"
    assert made["statistic"] == ("Maximum" if namespace == "AWS/SQS" else "Sum")


def test_alarms_watch_what_is_deployed(deployment: Deployment) -> None:
    machines = {made.inputs["name"] for made in deployment.of("aws:sfn/stateMachine:StateMachine")}
    queues = {made.inputs["name"] for made in deployment.of("aws:sqs/queue:Queue")}
    functions = {made.inputs["name"] for made in deployment.of("aws:lambda/function:Function")}
    watched = set()
    for made in alarms(deployment).values():
        for dimension, value in made.inputs.get("dimensions", {}).items():
            watched.add(value)
            if dimension == "StateMachineArn":
                assert value.rpartition(":stateMachine:")[2] in machines
            elif made.inputs["namespace"] in {"AWS/ApiGateway", "AWS/WAFV2"}:
                assert value in at_the_door(deployment)[dimension]
            else:
                assert value in {"QueueName": queues, "FunctionName": functions}[dimension]
    assert {f"{deployment.prefix}-{queue}" for queue in QUEUES} <= watched
    assert {each.rpartition(":")[2] for each in watched if ":stateMachine:" in each} == machines


@pytest.mark.parametrize("machine", MACHINES)
def test_each_end_that_an_execution_can_come_to_by_itself_rings(machine: str) -> None:
    """Where Lambda has no room, calls are tried for longer than most machines may take: they time out."""
    rung = {
        spec.metric
        for spec in alarm_specs(NAMES)
        if spec.dimensions.get("StateMachineArn") == NAMES.machine_arn(machine)
    }
    assert {"ExecutionsFailed", "ExecutionsTimedOut"} <= rung


def at_the_door(deployment: Deployment) -> dict[str, set[str]]:
    """What alarms at the API's door may watch, by the name of the dimension."""
    (api,) = deployment.of("aws:apigateway/restApi:RestApi")
    (stage,) = deployment.of("aws:apigateway/stage:Stage")
    (acl,) = deployment.of("aws:wafv2/webAcl:WebAcl")
    return {
        "ApiName": {api.inputs["name"]},
        "Stage": {stage.inputs["stageName"]},
        "WebACL": {acl.inputs["visibilityConfig"]["metricName"]},
        "Rule": {"ALL"},
        "Region": {deployment.region},
    }


@pytest.mark.parametrize(
    ("name", "namespace", "metric", "dimensions"),
    [
        ("api-client-errors", "AWS/ApiGateway", "4XXError", {"ApiName", "Stage"}),
        ("api-server-errors", "AWS/ApiGateway", "5XXError", {"ApiName", "Stage"}),
        ("api-blocked", "AWS/WAFV2", "BlockedRequests", {"WebACL", "Region", "Rule"}),
    ],
)
def test_what_is_refused_at_the_door_is_told(
    deployment: Deployment, name: str, namespace: str, metric: str, dimensions: set[str]
) -> None:
    made = alarms(deployment)[name].inputs
    assert (made["namespace"], made["metricName"], made["statistic"]) == (namespace, metric, "Sum")
    # AWS has the metric under exactly these: with one more or less there is never any data.
    assert set(made["dimensions"]) == dimensions
    assert made["treatMissingData"] == "notBreaching"
    assert made["period"] == PERIOD_SECONDS


def test_one_answer_of_ours_that_went_wrong_is_told_and_one_wrong_call_is_not(deployment: Deployment) -> None:
    assert alarms(deployment)["api-server-errors"].inputs["threshold"] == 1
    assert alarms(deployment)["api-client-errors"].inputs["threshold"] > 1


def test_a_sweep_that_fails_once_wakes_nobody_and_one_that_never_comes_does(deployment: Deployment) -> None:
    failing, silent = (alarms(deployment)[f"sweep-{name}"].inputs for name in ("failing", "silent"))
    assert (failing["metricName"], failing["datapointsToAlarm"], failing["evaluationPeriods"]) == (
        "Errors",
        2,
        3,
    )
    assert (silent["metricName"], silent["comparisonOperator"]) == ("Invocations", "LessThanThreshold")
    # A function that is not called has no data at all.
    assert silent["treatMissingData"] == "breaching"
    assert f"rate({PERIOD_SECONDS // 60} minutes)" == RECURRING_CALLS["sweep"].rate
    for made in (failing, silent):
        assert made["period"] == PERIOD_SECONDS


def test_the_watch_over_contracts_is_watched_as_the_sweep_is(deployment: Deployment) -> None:
    for name in ("failing", "silent"):
        sweep, watch = (alarms(deployment)[f"{who}-{name}"].inputs for who in ("sweep", "watch"))
        assert watch["dimensions"] == {"FunctionName": f"{deployment.prefix}-watch-contracts"}
        differing = {"name", "alarmDescription", "dimensions", "period"}
        for key in sweep.keys() - differing:
            assert watch[key] == sweep[key], key
        assert (watch["period"], RECURRING_CALLS["watch"].rate) == (3600, "rate(1 hour)")


def test_a_hold_rings_for_as_long_as_the_watch_tells_of_it(deployment: Deployment) -> None:
    for name, metric in (
        ("contract-held", "DestructionsHeld"),
        ("contract-end-overdue", "ContractEndsOverdue"),
    ):
        made = alarms(deployment)[name].inputs
        assert (made["namespace"], made["metricName"]) == (deployment.prefix, metric)
        assert (made["threshold"], made["statistic"], made["period"]) == (1, "Sum", 3600)
        # One of two hours is enough: a watch that comes a minute late does not end the alarm.
        assert (made["evaluationPeriods"], made["datapointsToAlarm"]) == (2, 1)
        assert made["treatMissingData"] == "notBreaching"


class _Requests:
    """A request table in which one request has not ended."""

    def pending(self, *_: object, **__: object) -> list[Request]:
        due = "2026-02-01T23:59:59Z"
        return [Request("0195", "erasure", "running", "2026-01-01T00:00:00Z", due, 1, run_id="r")]

    def finish(self, *_: object, **__: object) -> bool:
        return True


_PLAIN = {*vars(logging.makeLogRecord({})), "message", "asctime"}


class _Lines(logging.Handler):
    """Lines as Lambda writes what a function logs in JSON, and as plain text."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        as_lambda = {
            "timestamp": "2026-01-01T00:00:00Z",
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "requestId": "-",
            # What is given as `extra`, as the runtime's own formatter adds it.
            **{key: value for key, value in vars(record).items() if key not in _PLAIN and value is not None},
        }
        self.lines += [json.dumps(as_lambda), record.getMessage()]


@pytest.fixture
def lines() -> Iterator[list[str]]:
    handler, log = _Lines(), logging.getLogger("privacy")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler.lines
    log.removeHandler(handler)
    log.setLevel(level)


def counted(metric: str, lines: list[str]) -> int:
    """How many lines the filter counts: those that have all of its quoted terms."""
    (spec,) = [line for line in LINES if line.metric == metric]
    terms = re.findall(r'"([^"]+)"', spec.pattern)
    assert " ".join(f'"{term}"' for term in terms) == spec.pattern
    return sum(all(term in line for term in terms) for line in lines)


@pytest.mark.parametrize(("error", "expected"), [("States.Timeout", 2), (None, 0)])
def test_the_metric_of_failed_requests_counts_the_line_that_the_function_logs(
    monkeypatch: pytest.MonkeyPatch, lines: list[str], error: str | None, expected: int
) -> None:
    requests: Any = _Requests()
    monkeypatch.setattr(run_complete, "Visits", lambda *_: Mock(notes=lambda **_: RunNotes()))
    monkeypatch.setattr(run_complete, "request_values", Mock())
    lock: Any = Mock()
    vault: Any = SimpleNamespace(customer=SimpleNamespace(id="acme"))
    monkeypatch.setattr(run_complete.LeftOver, "of", lambda _: run_complete.LeftOver())
    run_complete.complete_run(vault, requests, lock, "r", error=error)
    assert len(lines) == 2
    assert counted("RequestsFailed", lines) == expected


@pytest.mark.parametrize(("today", "expected"), [("2026-01-20", 0), ("2026-01-26", 2), ("2026-03-01", 2)])
def test_the_metric_of_due_dates_counts_the_line_that_the_sweep_logs(
    lines: list[str], today: str, expected: int
) -> None:
    requests: Any = _Requests()
    lock: Any = Mock(active_run=lambda *_: None)
    moment = datetime.fromisoformat(today).replace(tzinfo=UTC)
    request_sweep.sweep(["acme"], requests, lock, clock=lambda: moment)
    assert counted("RequestsDueSoon", lines) == expected


@pytest.mark.parametrize(
    ("hold", "since", "held", "overdue"),
    [
        (None, None, 0, 0),
        ("litigation", None, 2, 0),
        (None, "2027-01-31T00:05:00Z", 0, 2),
        (None, "2027-02-02T23:00:00Z", 0, 0),
    ],
)
def test_the_metrics_of_contracts_count_the_lines_that_the_watch_logs(
    lines: list[str],
    hold: str | None,
    since: str | None,
    held: int,
    overdue: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    going = executions.Known(is_going=True, ended_at=None, error=None, input={})
    monkeypatch.setattr(executions, "describe", lambda _: going)
    ends = date(2026, 12, 31) if since else date(2030, 12, 31)
    customer = Customer("acme", "b", "t", "k", date(2026, 1, 1), ends, 30, "email", (), hold=hold)
    mark = Destruction("destroying", since, execution="arn:execution") if since else None
    registry: Any = SimpleNamespace(
        customer_ids=lambda: ["acme"], customer=lambda _: customer, destruction=lambda _: mark
    )
    contract_watch.watch(registry, "arn:machine", clock=lambda: datetime(2027, 2, 3, tzinfo=UTC))
    assert (counted("DestructionsHeld", lines), counted("ContractEndsOverdue", lines)) == (held, overdue)


def test_lines_are_counted_in_the_logs_of_their_functions(deployment: Deployment) -> None:
    filters = {
        made.inputs["name"]: made.inputs
        for made in deployment.of("aws:cloudwatch/logMetricFilter:LogMetricFilter")
        if made.inputs["name"] not in {PACKED_SIZE, SECRETS_UNSAFE}
    }
    assert set(filters) == {line.name or line.metric for line in LINES}
    for line in LINES:
        made = filters[line.name or line.metric]
        function = line.function.replace("_", "-")
        assert made["logGroupName"] == f"/aws/lambda/{deployment.prefix}-{function}"
        assert made["pattern"] == line.pattern
        # Nothing of the line goes into the metric, no customer either.
        assert made["metricTransformation"] == {
            "name": line.metric,
            "namespace": deployment.prefix,
            "value": "1",
            "defaultValue": "0",
        }


def test_a_secret_that_is_not_safe_is_told_by_whoever_reads_it_in_a_vault(deployment: Deployment) -> None:
    found = [
        made.inputs
        for made in deployment.of("aws:cloudwatch/logMetricFilter:LogMetricFilter")
        if made.inputs["name"] == SECRETS_UNSAFE
    ]
    opening = {"put_record", "create_upload", "create_erasure_request", "create_correction_request"}
    working = {"index_objects", "plan_run", "visit_objects", "reindex_objects", "replay_erasures"}
    told = {made["logGroupName"].removeprefix(f"/aws/lambda/{deployment.prefix}-") for made in found}
    assert told >= {name.replace("_", "-") for name in opening | working}
    assert {made["pattern"] for made in found} == {'"subject secret unsafe:"'}


def packed_size_filters(deployment: Deployment) -> list[dict[str, Any]]:
    found = deployment.of("aws:cloudwatch/logMetricFilter:LogMetricFilter")
    return [dict(made.inputs) for made in found if made.inputs["name"] == PACKED_SIZE]


def test_the_size_of_session_policies_is_read_from_the_log_of_every_function_that_opens_sessions(
    deployment: Deployment,
) -> None:
    found = packed_size_filters(deployment)
    assert {made["logGroupName"] for made in found} == {
        f"/aws/lambda/{deployment.prefix}-{spec.name}" for spec in FUNCTIONS.values() if spec.purpose
    }
    for made in found:
        transformation = made["metricTransformation"]
        assert (transformation["name"], transformation["namespace"]) == (PACKED_SIZE, deployment.prefix)
        assert "defaultValue" not in transformation


@pytest.mark.parametrize(("answered", "measured"), [(0, [0]), (81, [81]), (None, [])])
def test_the_metric_of_session_policies_is_the_number_in_the_line_that_the_function_logs(
    monkeypatch: pytest.MonkeyPatch,
    deployment: Deployment,
    lines: list[str],
    answered: int | None,
    measured: list[int],
) -> None:
    answer = {"Credentials": {"Expiration": datetime.now(UTC)}}
    if answered is not None:
        answer |= {"PackedPolicySize": answered}
    monkeypatch.setattr(aws_clients, "sts", lambda: Mock(assume_role=Mock(return_value=answer)))
    monkeypatch.setenv("PURPOSE_ROLE_ARN", "arn:aws:iam::123456789012:role/purpose")
    key = "arn:aws:kms:eu-west-1:123456789012:key/packed"
    starts, ends = date(2026, 1, 1), date(2030, 12, 31)
    vault_sessions.open_vault(Customer("acme", "b", "t", key, starts, ends, 30, "email", ()), "visit")
    vault_sessions.forget()
    written, _text = lines
    for made in packed_size_filters(deployment):
        # `{ $.<field> >= 0 }`, and the same field as the value.
        field = made["metricTransformation"]["value"].removeprefix("$.")
        assert made["pattern"] == f"{{ $.{field} >= 0 }}"
        logged = json.loads(written)
        assert ([logged[field]] if logged.get(field, -1) >= 0 else []) == measured


def test_a_session_policy_rings_above_80_percent(deployment: Deployment) -> None:
    made = alarms(deployment)["session-policy-large"].inputs
    assert (made["namespace"], made["metricName"]) == (deployment.prefix, PACKED_SIZE)
    # Whole numbers: 80 does not ring, 81 does. The largest of any customer, not their sum.
    assert (made["comparisonOperator"], made["threshold"]) == ("GreaterThanOrEqualToThreshold", 81)
    assert (made["statistic"], made["treatMissingData"]) == ("Maximum", "notBreaching")
    assert (made["evaluationPeriods"], made["datapointsToAlarm"]) == (1, 1)
    assert made["period"] == vault_sessions.SESSION_SECONDS


def test_the_topic_is_encrypted_and_takes_nothing_but_this_stacks_alarms(deployment: Deployment) -> None:
    topic = deployment.named("aws:sns/topic:Topic", f"{deployment.prefix}-alarms")
    assert topic.inputs["kmsMasterKeyId"] == f"arn:mock:Key:{deployment.prefix}-key-key"
    policy = deployment.named(
        "aws:sns/topicPolicy:TopicPolicy", f"arn:mock:Topic:{deployment.prefix}-alarms", "arn"
    )
    allowed, denied = policy.document()["Statement"]
    assert allowed["Principal"] == {"Service": ["cloudwatch.amazonaws.com"]}
    assert allowed["Action"] == ["sns:Publish"]
    assert allowed["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {
            "aws:SourceArn": f"arn:aws:cloudwatch:{deployment.region}:{ACCOUNT}:alarm:{deployment.prefix}-*"
        },
    }
    assert (denied["Effect"], denied["Principal"]) == ("Deny", "*")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_regions_key_lets_cloudwatch_use_the_topic_for_the_same_alarms() -> None:
    (of_key,) = [statement for statement in keys.region_key(NAMES) if statement.sid == "Alarms"]
    (of_topic, _) = resources.alarms_topic(NAMES)
    assert set(of_key.actions) == {"kms:Decrypt", "kms:GenerateDataKey"}
    assert of_key.principals == of_topic.principals
    assert of_key.conditions == of_topic.conditions


def recipients(deployment: Deployment) -> set[tuple[str, str, str]]:
    found = [
        made.inputs for made in deployment.made if made.type == "aws:sns/topicSubscription:TopicSubscription"
    ]
    return {(each["topic"], each["protocol"], each["endpoint"]) for each in found}


@pytest.mark.parametrize("recipient", [None, "on-call@analytics.example"])
def test_alarms_and_events_of_contracts_go_to_the_operators_address_where_there_is_one(
    recipient: str | None,
) -> None:
    config = stack_config("eu-west")
    del config["gdpr:operator"]["alarms"]
    if recipient:
        config["gdpr:operator"]["alarms"] = recipient
    operator = parse_settings(config, project="gdpr", stack="eu-west").operator
    functions: Any = {
        line.function: SimpleNamespace(log_group=line.function, spec=FUNCTIONS[line.function])
        for line in LINES
    }

    def program() -> None:
        Alarms("alarms", AlarmsArgs(ground=GROUND, functions=functions, recipient=operator.alarms))
        ContractEvents("contracts", ContractEventsArgs(ground=GROUND, recipient=operator.alarms))

    topics = {f"arn:mock:Topic:gdpr-eu-west-{topic}" for topic in ("alarms", "contracts")}
    assert recipients(run_program(program)) == (
        {(topic, "email", recipient) for topic in topics} if recipient else set()
    )


def test_a_stack_tells_the_address_in_its_file(deployment: Deployment) -> None:
    address = stack_config(deployment.prefix.removeprefix("gdpr-"))["gdpr:operator"]["alarms"]
    topics = {f"arn:mock:Topic:{deployment.prefix}-{topic}" for topic in ("alarms", "contracts")}
    assert recipients(deployment) == {(topic, "email", address) for topic in topics}


def test_the_operators_page_says_what_to_do_about_each_alarm() -> None:
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    for spec in alarm_specs(NAMES):
        assert f"| `P-{spec.name}` |" in page
