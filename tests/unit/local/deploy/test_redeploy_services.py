"""Changes and deletions of single resource types, seen at what they do rather than at what they say."""

import json
import time
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from botocore.exceptions import ClientError

from local.deploy.creator import DeploymentError
from tests.unit.local.support import REGION, Program, Stack, nothing, trusting

HANDLER = """
import os

def main(event, context):
    return ["{answer}", os.environ.get("WORD")]
"""


def function_program(
    name: str, folder: Path, word: str | None, *, permitted: str = "events.amazonaws.com"
) -> Program:
    def program() -> None:
        role = aws.iam.Role("r", name=name, assume_role_policy=trusting("lambda.amazonaws.com"))
        function = aws.lambda_.Function(
            "f",
            name=name,
            role=role.arn,
            runtime="python3.11",
            handler="handler.main",
            code=pulumi.FileArchive(str(folder)),
            description=word,
            environment={"variables": {"WORD": word} if word else {}},
        )
        aws.lambda_.Permission(
            "p", function=function.name, action="lambda:InvokeFunction", principal=permitted
        )
        pulumi.export("arn", function.arn)

    return program


def test_a_function_runs_its_new_code_with_its_new_environment(
    stack: Stack, tmp_path: Path, calls: list[str]
) -> None:
    functions = stack.client("lambda")

    def invoke() -> Any:  # noqa: ANN401 -- whatever the function returns
        return json.loads(functions.invoke(FunctionName="turned")["Payload"].read())

    def write(answer: str) -> None:
        (tmp_path / "handler.py").write_text(HANDLER.format(answer=answer), encoding="utf-8")

    write("old")
    before = stack.deploy(function_program("turned", tmp_path, "first"))
    assert invoke() == ["old", "first"]
    write("new")
    calls.clear()
    assert stack.deploy(function_program("turned", tmp_path, "first")) == before
    assert "UpdateFunctionCode" in calls
    assert "UpdateFunctionConfiguration" not in calls
    assert invoke() == ["new", "first"]
    calls.clear()
    stack.deploy(function_program("turned", tmp_path, None, permitted="s3.amazonaws.com"))
    assert "UpdateFunctionCode" not in calls
    assert invoke() == ["new", None]
    assert functions.get_function_configuration(FunctionName="turned")["Description"] == ""
    (statement,) = json.loads(functions.get_policy(FunctionName="turned")["Policy"])["Statement"]
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    stack.deploy(nothing)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        functions.get_function(FunctionName="turned")
    buckets = [each["Name"] for each in stack.client("s3").list_buckets()["Buckets"]]
    assert [each for each in buckets if each.startswith("local-deployment")] == []


def reserving_program(folder: Path, **reserved: float | None) -> Program:
    def program() -> None:
        role = aws.iam.Role("r", name="reserving", assume_role_policy=trusting("lambda.amazonaws.com"))
        for name, number in reserved.items():
            aws.lambda_.Function(
                name,
                name=name,
                role=role.arn,
                runtime="python3.11",
                handler="handler.main",
                code=pulumi.FileArchive(str(folder)),
                reserved_concurrent_executions=number,  # type: ignore[arg-type]  # a wrong one is tried, too
            )

    return program


def test_concurrency_is_reserved_changed_and_given_back(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text(HANDLER.format(answer="x"), encoding="utf-8")
    functions = stack.client("lambda")

    def deployed(number: int | None) -> int | None:
        stack.deploy(reserving_program(tmp_path, reserved=number))
        answer = functions.get_function_concurrency(FunctionName="reserved")
        found: int | None = answer.get("ReservedConcurrentExecutions")
        return found

    # Pulumi's value for none is -1, and what left the program is none.
    numbers = [-1, 5, 900, 7, None, 3, -1, 0]
    assert [deployed(number) for number in numbers] == [None, 5, 900, 7, None, 3, None, 0]
    stack.deploy(nothing)


def test_what_aws_would_not_reserve_is_refused_with_its_words(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text(HANDLER.format(answer="x"), encoding="utf-8")
    stack.deploy(reserving_program(tmp_path, one=600, two=300))
    words = r"'two'.* below its minimum value of \[100\]: 1000 are the quota, 99 would be left"
    with pytest.raises(DeploymentError, match=words):
        stack.deploy(reserving_program(tmp_path, one=600, two=301))
    for wrong in (-2, 2.5):
        with pytest.raises(DeploymentError, match="give a whole number from 0, or -1 for none"):
            stack.deploy(reserving_program(tmp_path, one=600, two=wrong))
    functions = stack.client("lambda")
    kept = functions.get_function_concurrency(FunctionName="two")["ReservedConcurrentExecutions"]
    assert kept == 300
    stack.deploy(nothing)


def machine_program(name: str, result: str) -> Program:
    def program() -> None:
        role = aws.iam.Role("r", name=name, assume_role_policy=trusting("states.amazonaws.com"))
        machine = aws.sfn.StateMachine(
            "m",
            name=name,
            role_arn=role.arn,
            definition=json.dumps(
                {"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": result, "End": True}}}
            ),
            tags={"answer": result},
        )
        pulumi.export("arn", machine.arn)

    return program


def test_a_state_machine_runs_its_new_definition(stack: Stack) -> None:
    workflows = stack.client("stepfunctions")
    arn = stack.deploy(machine_program("turned", "old"))["arn"]
    assert stack.deploy(machine_program("turned", "new"))["arn"] == arn
    execution = workflows.start_execution(stateMachineArn=arn)["executionArn"]
    deadline = time.monotonic() + 120
    while workflows.describe_execution(executionArn=execution)["status"] == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert workflows.describe_execution(executionArn=execution)["output"] == '"new"'
    assert workflows.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "answer", "value": "new"}]
    stack.deploy(nothing)
    assert arn not in [each["stateMachineArn"] for each in workflows.list_state_machines()["stateMachines"]]


def events_program(kind: str, *, subscribed: bool = True) -> Program:
    def program() -> None:
        services = {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]}
        allow = {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": services}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        bus = aws.cloudwatch.EventBus("b", name="contracts", tags={"kind": kind})
        rule = aws.cloudwatch.EventRule(
            "r",
            name="ended",
            event_bus_name=bus.name,
            event_pattern=json.dumps({"source": ["gdpr"], "detail-type": [kind]}),
            tags={"kind": kind},
        )
        topic = aws.sns.Topic("t", name="contracts")
        aws.sns.TopicPolicy("tp", arn=topic.arn, policy=policy)
        aws.cloudwatch.EventTarget(
            "e", rule=rule.name, event_bus_name=bus.name, target_id="topic", arn=topic.arn
        )
        queue = aws.sqs.Queue("q", name="contracts")
        aws.sqs.QueuePolicy("qp", queue_url=queue.url, policy=policy)
        if subscribed:
            aws.sns.TopicSubscription("s", topic=topic.arn, protocol="sqs", endpoint=queue.arn)
        pulumi.export("queue", queue.url)
        pulumi.export("bus", bus.arn)
        pulumi.export("rule", rule.arn)

    return program


def test_an_event_goes_by_its_rule_through_the_topic_to_whoever_subscribes(stack: Stack) -> None:
    events, sqs = stack.client("events"), stack.client("sqs")

    def received(queue: str, *kinds: str, seconds: int = 20) -> list[str]:
        events.put_events(
            Entries=[
                {"Source": "gdpr", "DetailType": kind, "Detail": "{}", "EventBusName": "contracts"}
                for kind in kinds
            ]
        )
        got = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=seconds, MaxNumberOfMessages=10)
        found = []
        for message in got.get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            found.append(json.loads(json.loads(message["Body"])["Message"])["detail-type"])
        return found

    outputs = stack.deploy(events_program("ended"))
    queue = outputs["queue"]
    assert outputs["bus"] == f"arn:aws:events:{REGION}:111122223333:event-bus/contracts"
    assert outputs["rule"] == f"arn:aws:events:{REGION}:111122223333:rule/contracts/ended"
    assert received(queue, "ended", "renewed") == ["ended"]
    assert stack.deploy(events_program("renewed")) == outputs
    assert received(queue, "ended", "renewed") == ["renewed"]
    tags = events.list_tags_for_resource(ResourceARN=outputs["rule"])["Tags"]
    assert tags == [{"Key": "kind", "Value": "renewed"}]
    stack.deploy(events_program("renewed", subscribed=False))
    assert received(queue, "renewed", seconds=1) == []
    stack.deploy(nothing)
    assert "contracts" not in [each["Name"] for each in events.list_event_buses()["EventBuses"]]
    assert stack.client("sns").list_topics()["Topics"] == []


def api_program(status: str) -> Program:
    def program() -> None:
        api = aws.apigateway.RestApi("a", name="turned", endpoint_configuration={"types": "REGIONAL"})
        where = {"rest_api": api.id, "resource_id": api.root_resource_id, "http_method": "GET"}
        method = aws.apigateway.Method("m", authorization="NONE", **where)
        integration = aws.apigateway.Integration(
            "i",
            type="MOCK",
            request_templates={"application/json": '{"statusCode": 200}'},
            opts=pulumi.ResourceOptions(depends_on=[method]),
            **where,
        )
        response = aws.apigateway.MethodResponse(
            "mr", status_code="200", opts=pulumi.ResourceOptions(depends_on=[integration]), **where
        )
        answer = aws.apigateway.IntegrationResponse(
            "ir",
            status_code="200",
            response_templates={"application/json": status},
            opts=pulumi.ResourceOptions(depends_on=[response]),
            **where,
        )
        deployment = aws.apigateway.Deployment(
            "d",
            rest_api=api.id,
            triggers={"answer": status},
            opts=pulumi.ResourceOptions(depends_on=[answer]),
        )
        stage = aws.apigateway.Stage(
            "s", rest_api=api.id, stage_name="live", deployment=deployment.id, tags={"answer": status}
        )
        pulumi.export("api", api.id)
        pulumi.export("url", stage.invoke_url)
        pulumi.export("deployment", deployment.id)

    return program


def test_an_api_is_deployed_again_when_its_trigger_says_so_and_the_old_deployment_goes(
    stack: Stack, calls: list[str]
) -> None:
    gateway = stack.client("apigateway")
    before = stack.deploy(api_program("old"))
    calls.clear()
    assert stack.deploy(api_program("old")) == before
    assert calls == []
    after = stack.deploy(api_program("new"))
    assert after["url"] == before["url"]
    assert after["deployment"] != before["deployment"]
    assert calls[-1] == "DeleteDeployment"
    (deployed,) = gateway.get_deployments(restApiId=after["api"])["items"]
    stage = gateway.get_stage(restApiId=after["api"], stageName="live")
    assert stage["deploymentId"] == deployed["id"] == after["deployment"]
    arn = f"arn:aws:apigateway:{REGION}::/restapis/{after['api']}/stages/live"
    assert gateway.get_tags(resourceArn=arn)["tags"] == {"answer": "new"}
    stack.deploy(nothing)
    assert after["api"] not in [each["id"] for each in gateway.get_rest_apis()["items"]]


def alarm_program(periods: int, pattern: str) -> Program:
    def program() -> None:
        group = aws.cloudwatch.LogGroup("l", name="/turned", retention_in_days=periods)
        aws.cloudwatch.LogMetricFilter(
            "f",
            name="failures",
            log_group_name=group.name,
            pattern=pattern,
            metric_transformation={"name": "Failures", "namespace": "p", "value": "1"},
        )
        aws.cloudwatch.MetricAlarm(
            "a",
            name="turned",
            namespace="p",
            metric_name="Failures",
            statistic="Sum",
            comparison_operator="GreaterThanThreshold",
            threshold=1,
            period=60,
            evaluation_periods=periods,
            tags={"periods": str(periods)},
        )

    return program


def test_an_alarm_and_what_it_counts_change_and_go(stack: Stack) -> None:
    cloudwatch, logs = stack.client("cloudwatch"), stack.client("logs")
    stack.deploy(alarm_program(1, "old"))
    stack.deploy(alarm_program(3, "new"))
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=["turned"])["MetricAlarms"]
    assert alarm["EvaluationPeriods"] == 3
    tags = cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
    assert tags == [{"Key": "periods", "Value": "3"}]
    (made,) = logs.describe_metric_filters(logGroupName="/turned")["metricFilters"]
    assert made["filterPattern"] == "new"
    (group,) = logs.describe_log_groups(logGroupNamePrefix="/turned")["logGroups"]
    assert group["retentionInDays"] == 3
    stack.deploy(nothing)
    assert cloudwatch.describe_alarms(AlarmNames=["turned"])["MetricAlarms"] == []
    assert logs.describe_log_groups(logGroupNamePrefix="/turned")["logGroups"] == []


def test_a_key_takes_another_policy_and_description(stack: Stack) -> None:
    def program(description: str, action: str) -> Program:
        def declare() -> None:
            statement = {
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
                "Action": action,
                "Resource": "*",
            }
            key = aws.kms.Key(
                "k",
                description=description,
                policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
                tags={description: "x"},
            )
            pulumi.export("key", key.key_id)

        return declare

    kms = stack.client("kms")
    key = stack.deploy(program("old", "kms:*"))["key"]
    assert stack.deploy(program("new", "kms:D*"))["key"] == key
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Description"] == "new"
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    assert policy["Statement"][0]["Action"] == "kms:D*"
    assert kms.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "new", "TagValue": "x"}]


def test_a_program_sees_which_buckets_there_are_and_what_is_in_them(stack: Stack) -> None:
    def buckets() -> None:
        for name in ("acme", "globex"):
            bucket = aws.s3.Bucket(name, bucket=f"seen-{name}", tags={"customer": name, "stack": "seen"})
            pulumi.export(name, bucket.arn)

    def looking() -> None:
        for kind in ("s3", "s3:bucket"):
            found = aws.resourcegroupstaggingapi.get_resources(
                resource_type_filters=[kind],
                tag_filters=[{"key": "customer", "values": ["acme"]}, {"key": "stack", "values": ["seen"]}],
            ).resource_tag_mapping_lists
            pulumi.export(kind, [[each.resource_arn, dict(each.tags)] for each in found])
        pulumi.export("first", aws.s3.get_objects(bucket="seen-acme", max_keys=1).keys)
        pulumi.export("none", aws.s3.get_objects(bucket="seen-globex", max_keys=1).keys)

    arn = stack.deploy(buckets)["acme"]
    for key in ("a", "b"):
        stack.client("s3").put_object(Bucket="seen-acme", Key=key, Body=b"x")
    outputs = Stack(stack.emulator, f"{stack.name}-other").deploy(looking)
    expected = [[arn, {"customer": "acme", "stack": "seen"}]]
    assert outputs == {"s3": expected, "s3:bucket": expected, "first": ["a"], "none": []}


def test_an_argument_of_a_function_that_is_not_known_is_named(stack: Stack) -> None:
    def program() -> None:
        aws.s3.get_objects(bucket="any", start_after="k")

    with pytest.raises(DeploymentError, match="getObjects: startAfter"):
        stack.deploy(program)
