"""A refresh: what AWS no longer has leaves the state, whoever deleted it; in AWS nothing is changed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import botocore.client
import pulumi
import pulumi_aws as aws
import pytest
from botocore.exceptions import ClientError

from components.functions import packages
from local.deploy.catalogue import CATALOGUE
from local.deploy.creator import Aws, DeploymentError
from local.deploy.program import deploy
from local.deploy.refreshing import refresh_stack
from local.deploy.settings import project_name
from local.deploy.state import State, opened
from local.emulator.emulator import Emulator
from tests.unit.local.support import REGION, Program, Stack, allowing, nothing, trusting

PROTECTED = pulumi.ResourceOptions(protect=True)


def table_program(name: str, item: Mapping[str, Any]) -> Program:
    def program() -> None:
        made = aws.dynamodb.Table(
            "t",
            name=name,
            billing_mode="PAY_PER_REQUEST",
            hash_key="pk",
            attributes=[{"name": "pk", "type": "S"}],
            opts=PROTECTED,
        )
        aws.dynamodb.TableItem("i", table_name=made.name, hash_key="pk", item=json.dumps(item))

    return program


def bucket_program(name: str) -> Program:
    def program() -> None:
        bucket = aws.s3.Bucket("b", bucket=name)
        aws.s3.BucketVersioning("v", bucket=bucket.bucket, versioning_configuration={"status": "Enabled"})
        aws.s3.BucketPolicy("p", bucket=bucket.bucket, policy=allowing("s3:GetObject"))
        aws.s3.BucketPublicAccessBlock("a", bucket=bucket.bucket, block_public_acls=True)
        aws.sqs.Queue("q", name=name)

    return program


def test_a_refresh_of_what_is_there_changes_nothing(stack: Stack, calls: list[str]) -> None:
    program = bucket_program("settled")
    stack.deploy(program)
    calls.clear()
    assert stack.refresh() == []
    stack.deploy(program)
    assert calls == []


def test_a_stack_that_was_never_deployed_has_nothing_that_could_be_gone(stack: Stack) -> None:
    assert stack.refresh() == []


def test_what_is_gone_leaves_also_when_protected_and_is_made_anew(stack: Stack, calls: list[str]) -> None:
    program = table_program("lost", {"pk": {"S": "acme"}})
    stack.deploy(program)
    stack.client("dynamodb").delete_table(TableName="lost")
    calls.clear()
    assert stack.refresh() == ["aws:dynamodb/table:Table 't'", "aws:dynamodb/tableItem:TableItem 'i'"]
    assert calls == []
    stack.deploy(program)
    assert stack.client("dynamodb").scan(TableName="lost")["Items"] == [{"pk": {"S": "acme"}}]


def test_what_is_gone_no_longer_holds_up_a_program_without_it(stack: Stack, calls: list[str]) -> None:
    stack.deploy(table_program("dropped", {"pk": {"S": "acme"}}))
    stack.client("dynamodb").delete_table(TableName="dropped")
    with pytest.raises(DeploymentError, match="cannot be deleted because it is protected"):
        stack.deploy(nothing)
    stack.refresh()
    calls.clear()
    stack.deploy(nothing)
    assert calls == []


def test_a_setting_goes_without_its_bucket_and_everything_with_it(stack: Stack, calls: list[str]) -> None:
    program = bucket_program("bared")
    stack.deploy(program)
    s3 = stack.client("s3")
    s3.delete_bucket_policy(Bucket="bared")
    s3.delete_public_access_block(Bucket="bared")
    assert sorted(stack.refresh()) == [
        "aws:s3/bucketPolicy:BucketPolicy 'p'",
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock 'a'",
    ]
    calls.clear()
    stack.deploy(program)
    assert sorted(calls) == ["PutBucketPolicy", "PutPublicAccessBlock"]
    s3.delete_bucket(Bucket="bared")
    assert len(stack.refresh()) == 4
    stack.deploy(program)
    assert s3.get_bucket_versioning(Bucket="bared")["Status"] == "Enabled"


def test_a_key_whose_deletion_is_scheduled_is_gone_and_its_alias_is_not(
    stack: Stack, calls: list[str]
) -> None:
    def program() -> None:
        key = aws.kms.Key("k", opts=PROTECTED)
        aws.kms.Alias("a", name="alias/survivor", target_key_id=key.key_id)
        pulumi.export("key", key.key_id)

    before, kms = stack.deploy(program)["key"], stack.client("kms")
    day = kms.schedule_key_deletion(KeyId=before, PendingWindowInDays=7)["DeletionDate"]
    calls.clear()
    assert stack.refresh() == ["aws:kms/key:Key 'k'"]
    assert calls == []
    after = stack.deploy(program)["key"]
    assert calls == ["CreateKey", "UpdateAlias"]
    assert kms.describe_key(KeyId="alias/survivor")["KeyMetadata"]["KeyId"] == after != before
    assert kms.describe_key(KeyId=before)["KeyMetadata"]["DeletionDate"] == day


def test_what_others_changed_in_an_item_or_wrote_beside_is_changed_back(stack: Stack) -> None:
    item = {"pk": {"S": "acme"}, "ends": {"S": "2027"}, "days": {"N": "30"}}
    program = table_program("turned", item)
    stack.deploy(program)
    dynamodb, key = stack.client("dynamodb"), {"pk": {"S": "acme"}}
    dynamodb.update_item(
        TableName="turned",
        Key=key,
        UpdateExpression="SET ends = :other, seen = :now REMOVE days",
        ExpressionAttributeValues={":other": {"S": "2099"}, ":now": {"N": "5"}},
    )
    assert stack.refresh() == []
    stack.deploy(program)
    assert dynamodb.get_item(TableName="turned", Key=key)["Item"] == item


def test_whoever_may_not_look_does_not_know_that_something_is_gone(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def program() -> None:
        aws.sqs.Queue("q", name="gone-meanwhile")
        aws.iam.Role("r", name="hidden", assume_role_policy=trusting("lambda.amazonaws.com"))

    stack.deploy(program)
    sqs = stack.client("sqs")
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName="gone-meanwhile")["QueueUrl"])
    call = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]

    def refused(self: object, operation: str, parameters: Mapping[str, Any]) -> Any:  # noqa: ANN401
        if operation == "GetRole":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, operation)
        return call(self, operation, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", refused)
        with pytest.raises(DeploymentError, match=r"aws:iam/role:Role 'r': ClientError: .*AccessDenied"):
            stack.refresh()
    # Neither of the two has left the state, or this would find nothing of the queue.
    assert stack.refresh() == ["aws:sqs/queue:Queue 'q'"]


def test_no_refresh_during_a_deployment(stack: Stack) -> None:
    def program() -> None:
        with pytest.raises(DeploymentError, match="another deployment of it is going on"):
            stack.refresh()
        pulumi.export("tried", value=True)

    assert stack.deploy(program) == {"tried": True}


def test_what_a_function_does_with_failures_is_found_gone(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text("", encoding="utf-8")

    def program() -> None:
        role = aws.iam.Role("r", name="careless", assume_role_policy=trusting("lambda.amazonaws.com"))
        function = aws.lambda_.Function(
            "f",
            name="careless",
            role=role.arn,
            runtime="python3.11",
            handler="handler.main",
            code=pulumi.FileArchive(str(tmp_path)),
        )
        aws.lambda_.FunctionEventInvokeConfig("c", function_name=function.name, maximum_retry_attempts=0)

    stack.deploy(program)
    stack.client("lambda").delete_function_event_invoke_config(FunctionName="careless")
    assert stack.refresh() == ["aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig 'c'"]


REGION_STACK = "eu-west"

STAYING = frozenset(
    {
        "aws:apigateway/account:Account",
        "aws:apigateway/response:Response",
        "aws:lambda/invocation:Invocation",
        "aws:s3/bucketNotification:BucketNotification",
        "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketVersioning:BucketVersioning",
        "aws:sns/topicPolicy:TopicPolicy",
    }
)
"""What has some value while its account, API, bucket or topic is there: the provider finds it, too."""


@pytest.fixture
def region(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The emulator with the whole stack deployed, with next to nothing in the functions' packages."""
    for package in ("api", "runs", "rows"):
        folder = tmp_path / "build" / "local" / package
        folder.mkdir(parents=True)
        (folder / "handler.py").write_text("", encoding="utf-8")
    # The one that a deployment itself calls.
    begin = tmp_path / "build" / "local" / "runs" / "handlers" / "contracts" / "begin_vault.py"
    begin.parent.mkdir(parents=True)
    begin.write_text("def handler(event, context):\n    return event\n", encoding="utf-8")
    monkeypatch.setattr(packages, "ROOT", tmp_path)
    monkeypatch.setenv(packages.BUILD_VARIABLE, "local")
    if not state_of(emulator):
        deploy(emulator, REGION_STACK)
    return emulator


def state_of(emulator: Emulator) -> State:
    with opened(emulator.folder, project=project_name(), stack=REGION_STACK, region=REGION) as state:
        return state


@pytest.mark.xdist_group("refresh")
def test_nothing_of_a_whole_region_is_taken_for_gone(region: Emulator, calls: list[str]) -> None:
    before = state_of(region).resources
    assert {each.token for each in before} == set(CATALOGUE) - {
        "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig"
    }
    assert refresh_stack(region, REGION_STACK) == []
    assert state_of(region).resources == before
    deploy(region, REGION_STACK)
    assert calls == []


@pytest.mark.xdist_group("refresh")
def test_each_resource_of_a_region_is_found_gone_once_it_is_and_all_are_made_anew(region: Emulator) -> None:
    cloud, state = Aws(region, REGION), state_of(region)
    wrong = []
    for each in state.leaving(()):
        if each.inputs.get("deletionProtectionEnabled"):
            cloud.client("dynamodb").update_table(TableName=each.id, DeletionProtectionEnabled=False)
        if each.inputs.get("deletionProtection"):
            cloud.client("cognito-idp").update_user_pool(UserPoolId=each.id, DeletionProtection="INACTIVE")
        if each.inputs.get("skipDestroy") and each.token == "aws:cloudwatch/logGroup:LogGroup":
            cloud.client("logs").delete_log_group(logGroupName=each.id)
        creator = CATALOGUE[each.token]
        assert creator.delete is not None
        creator.delete(cloud, each.existing)
        gone = creator.read(cloud, each.existing) is None
        if gone == (each.token in STAYING):
            wrong.append(each.label)
    assert wrong == []
    labels = refresh_stack(region, REGION_STACK)
    assert sorted(each.label for each in state.resources if each.label not in labels) == [
        "aws:apigateway/account:Account 'gdpr-eu-west-account-gateway'",
        "aws:lambda/invocation:Invocation 'gdpr-eu-west-vault-acme-beginning'",
        "aws:lambda/invocation:Invocation 'gdpr-eu-west-vault-globex-beginning'",
    ]
    deploy(region, REGION_STACK)
    assert refresh_stack(region, REGION_STACK) == []
    assert len(state_of(region).resources) == len(state.resources)
