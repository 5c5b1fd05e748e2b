"""The in-process deployer, run against a small program and a real emulator."""

import errno
import inspect
import os

import pulumi
import pulumi_aws as aws
import pytest

from local.deploy.creator import Aws, DeploymentError
from local.deploy.program import deploy, run_program
from local.deploy.state import State
from local.emulator.emulator import Emulator

REGION = "eu-west-1"
FROM_SNS = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage",
 "Principal": {"Service": "sns.amazonaws.com"}, "Resource": "*"}]}"""


def run(emulator: Emulator, program: object, region: str = REGION) -> dict[str, object]:
    """Deploy the program as a stack of its own: what other tests deployed is none of its business."""
    assert inspect.isfunction(program)
    return run_program(
        program,
        Aws(emulator, region),
        project="p",
        stack=f"{program.__qualname__.partition('.')[0]}-{region}",
        config={"aws:region": region},
    )


def test_resources_are_made_and_their_real_arns_flow_on(emulator: Emulator) -> None:
    def program() -> None:
        account = aws.get_caller_identity().account_id
        region = aws.get_region().region
        queue = aws.sqs.Queue("q", name="events", visibility_timeout_seconds=90)
        statement = queue.arn.apply(lambda arn: f'{{"Statement":[{{"Resource":"{arn}"}}]}}')
        aws.sqs.QueuePolicy("p", queue_url=queue.url, policy=statement)
        pulumi.export("arn", queue.arn)
        pulumi.export("place", f"{account}/{region}")
        pulumi.export("secret", pulumi.Output.secret("hidden"))

    outputs = run(emulator, program)

    arn = f"arn:aws:sqs:{REGION}:111122223333:events"
    assert outputs["arn"] == arn
    assert outputs["place"] == f"111122223333/{REGION}"
    assert outputs["secret"] == "hidden"
    sqs = emulator.client("sqs", REGION)
    attributes = sqs.get_queue_attributes(
        QueueUrl=sqs.get_queue_url(QueueName="events")["QueueUrl"], AttributeNames=["All"]
    )["Attributes"]
    assert attributes["VisibilityTimeout"] == "90"
    assert arn in attributes["Policy"]


def test_two_stacks_one_after_the_other_do_not_mix(emulator: Emulator) -> None:
    def program() -> None:
        aws.sqs.Queue("q", name="twice")
        pulumi.export("region", aws.get_region().region)

    assert run(emulator, program, "us-east-1")["region"] == "us-east-1"
    assert run(emulator, program, "eu-west-1")["region"] == "eu-west-1"
    for region in ("us-east-1", "eu-west-1"):
        assert emulator.client("sqs", region).get_queue_url(QueueName="twice")


def test_an_unknown_type_is_named(emulator: Emulator) -> None:
    def program() -> None:
        aws.sns.PlatformApplication("news", platform="GCM", platform_credential="-")

    with pytest.raises(DeploymentError, match=r"aws:sns/platformApplication:PlatformApplication 'news'"):
        run(emulator, program)


def test_an_alarm_and_what_it_counts_reach_whoever_subscribes_to_its_topic(emulator: Emulator) -> None:
    def program() -> None:
        group = aws.cloudwatch.LogGroup("l", name="/lines")
        aws.cloudwatch.LogMetricFilter(
            "f",
            name="Failures",
            log_group_name=group.name,
            pattern='"request ended:" "state=failed"',
            metric_transformation={"name": "Failures", "namespace": "p", "value": "1", "default_value": "0"},
        )
        topic = aws.sns.Topic("t", name="alarms", tags={"stack": "p"})
        aws.sns.TopicPolicy("p", arn=topic.arn, policy='{"Version": "2012-10-17", "Statement": []}')
        queue = aws.sqs.Queue("q", name="on-call", policy=FROM_SNS)
        aws.sns.TopicSubscription("s", topic=topic.arn, protocol="sqs", endpoint=queue.arn)
        alarm = aws.cloudwatch.MetricAlarm(
            "a",
            name="p-failures",
            namespace="p",
            metric_name="Failures",
            dimensions={"QueueName": "x"},
            statistic="Sum",
            comparison_operator="GreaterThanOrEqualToThreshold",
            threshold=1,
            period=300,
            evaluation_periods=3,
            datapoints_to_alarm=2,
            treat_missing_data="notBreaching",
            alarm_actions=[topic.arn],
        )
        pulumi.export("alarm", alarm.arn)

    assert run(emulator, program)["alarm"] == f"arn:aws:cloudwatch:{REGION}:111122223333:alarm:p-failures"
    cloudwatch = emulator.client("cloudwatch", REGION)
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=["p-failures"])["MetricAlarms"]
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": "x"}]
    assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (3, 2)
    assert alarm["TreatMissingData"] == "notBreaching"
    (made,) = emulator.client("logs", REGION).describe_metric_filters(logGroupName="/lines")["metricFilters"]
    assert made["filterPattern"] == '"request ended:" "state=failed"'
    assert made["metricTransformations"] == [
        {"metricName": "Failures", "metricNamespace": "p", "metricValue": "1", "defaultValue": 0.0}
    ]
    sqs = emulator.client("sqs", REGION)
    queue = sqs.get_queue_url(QueueName="on-call")["QueueUrl"]
    cloudwatch.set_alarm_state(AlarmName="p-failures", StateValue="ALARM", StateReason="a test")
    (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
    assert "p-failures" in message["Body"]


def test_an_unknown_property_is_named(emulator: Emulator) -> None:
    def program() -> None:
        aws.sqs.Queue("q", fifo_queue=True)

    with pytest.raises(DeploymentError, match=r"aws:sqs/queue:Queue 'q': property 'fifoQueue'"):
        run(emulator, program)


def test_another_region_is_refused(emulator: Emulator) -> None:
    def program() -> None:
        aws.sqs.Queue("q", region="us-east-1")

    with pytest.raises(DeploymentError, match="region 'us-east-1' is not the stack's region 'eu-west-1'"):
        run(emulator, program)


def test_an_unknown_function_is_named(emulator: Emulator) -> None:
    def program() -> None:
        aws.get_availability_zones()

    with pytest.raises(DeploymentError, match="getAvailabilityZones"):
        run(emulator, program)


def test_what_the_emulator_refuses_names_the_resource(emulator: Emulator) -> None:
    def program() -> None:
        aws.iam.RolePolicy("lost", role="nobody", policy="{}")

    with pytest.raises(DeploymentError, match=r"aws:iam/rolePolicy:RolePolicy 'lost'"):
        run(emulator, program)


def test_no_room_for_what_was_deployed_names_the_resource(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def program() -> None:
        aws.sqs.Queue("q", name="recorded-nowhere")

    monkeypatch.setattr(State, "put", full)
    with pytest.raises(DeploymentError, match=r"aws:sqs/queue:Queue 'q': OSError: .*No space left on device"):
        run(emulator, program)


def test_what_the_program_raises_comes_through(emulator: Emulator) -> None:
    def program() -> None:
        raise ValueError("customers.0.id is missing")

    with pytest.raises(ValueError, match=r"customers\.0\.id is missing"):
        run(emulator, program)


def test_a_config_that_the_program_refuses_is_its_own_message(emulator: Emulator) -> None:
    with pytest.raises(DeploymentError, match=r"customers\[0\]\.id is 'ACME'") as refused:
        deploy(emulator, "eu-west", config={"gdpr:customers": '[{"id": "ACME"}]'})
    assert "Traceback" not in str(refused.value)
