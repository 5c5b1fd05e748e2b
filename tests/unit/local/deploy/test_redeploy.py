"""Deploying a stack again on the same emulator: what changed is changed, what left the program is deleted."""

import json
from datetime import UTC, datetime
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from botocore.exceptions import ClientError

from local.deploy.creator import DeploymentError
from local.emulator.emulator import Emulator
from tests.unit.local.support import REGION, Program, Stack, allowing, nothing, trusting

PROTECTED = pulumi.ResourceOptions(protect=True)


def bucket_program(name: str, days: int, *, tags: dict[str, str] | None = None) -> Program:
    def program() -> None:
        bucket = aws.s3.Bucket("b", bucket=name, tags=tags)
        aws.s3.BucketVersioning("v", bucket=bucket.bucket, versioning_configuration={"status": "Enabled"})
        aws.s3.BucketLifecycleConfiguration(
            "l",
            bucket=bucket.bucket,
            rules=[{"id": "end", "status": "Enabled", "filter": {}, "expiration": {"days": days}}],
        )
        pulumi.export("arn", bucket.arn)

    return program


def test_a_second_deployment_of_the_same_calls_nothing(stack: Stack, calls: list[str]) -> None:
    program = bucket_program("untouched", 7, tags={"customer": "acme"})
    first = stack.deploy(program)
    calls.clear()
    assert stack.deploy(program) == first
    assert calls == []


def test_only_what_changed_is_called(stack: Stack, calls: list[str]) -> None:
    stack.deploy(bucket_program("renewed", 7))
    calls.clear()
    stack.deploy(bucket_program("renewed", 365))
    assert calls == ["PutBucketLifecycleConfiguration"]
    (rule,) = stack.client("s3").get_bucket_lifecycle_configuration(Bucket="renewed")["Rules"]
    assert rule["Expiration"]["Days"] == 365


def test_what_left_the_program_is_deleted_the_last_made_first(stack: Stack, calls: list[str]) -> None:
    stack.deploy(bucket_program("leaving", 7))
    calls.clear()
    stack.deploy(nothing)
    assert sorted(calls[:2]) == ["DeleteBucketLifecycle", "PutBucketVersioning"]
    assert calls[2:] == ["DeleteBucket"]
    assert "leaving" not in [each["Name"] for each in stack.client("s3").list_buckets()["Buckets"]]
    calls.clear()
    stack.deploy(nothing)
    assert calls == []


def test_a_bucket_that_is_not_empty_stays_and_the_next_deployment_goes_on(stack: Stack) -> None:
    stack.deploy(bucket_program("full", 7))
    s3 = stack.client("s3")
    version = s3.put_object(Bucket="full", Key="k", Body=b"x")["VersionId"]
    with pytest.raises(DeploymentError, match=r"aws:s3/bucket:Bucket 'b': .*BucketNotEmpty"):
        stack.deploy(nothing)
    assert s3.get_object(Bucket="full", Key="k")["Body"].read() == b"x"
    s3.delete_object(Bucket="full", Key="k", VersionId=version)
    stack.deploy(nothing)
    assert "full" not in [each["Name"] for each in s3.list_buckets()["Buckets"]]


def test_what_is_protected_is_refused_before_anything_has_changed(stack: Stack, calls: list[str]) -> None:
    def program(seconds: int, keys: int) -> Program:
        def declare() -> None:
            aws.sqs.Queue("q", name="guarded", visibility_timeout_seconds=seconds)
            for number in range(keys):
                aws.kms.Key(f"k{number}", description="a", opts=PROTECTED)

        return declare

    stack.deploy(program(1, 2))
    calls.clear()
    with pytest.raises(
        DeploymentError, match="aws:kms/key:Key 'k1' cannot be deleted because it is protected"
    ) as refused:
        stack.deploy(program(2, 1))
    assert "remove the `protect` flag from the resource in the program" in str(refused.value)
    assert calls == []


def test_a_protection_that_is_lifted_calls_nothing_and_then_the_resource_can_go(
    stack: Stack, calls: list[str]
) -> None:
    def program(*, protect: bool) -> Program:
        def declare() -> None:
            key = aws.kms.Key("k", deletion_window_in_days=9, opts=pulumi.ResourceOptions(protect=protect))
            aws.kms.Alias("a", name="alias/lifted", target_key_id=key.key_id)
            pulumi.export("key", key.key_id)

        return declare

    key = stack.deploy(program(protect=True))["key"]
    calls.clear()
    stack.deploy(program(protect=False))
    assert calls == []
    stack.deploy(nothing)
    assert calls == ["DeleteAlias", "ScheduleKeyDeletion"]
    state = stack.client("kms").describe_key(KeyId=key)["KeyMetadata"]
    assert state["KeyState"] == "PendingDeletion"
    assert 8 <= (state["DeletionDate"] - datetime.now(UTC)).days <= 9


def test_a_key_that_is_going_already_keeps_its_day(stack: Stack) -> None:
    def program() -> None:
        pulumi.export("key", aws.kms.Key("k", deletion_window_in_days=30).key_id)

    key = stack.deploy(program)["key"]
    kms = stack.client("kms")
    day = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)["DeletionDate"]
    stack.deploy(nothing)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["DeletionDate"] == day


def test_what_cannot_change_in_place_is_named_before_anything_has_changed(
    stack: Stack, calls: list[str]
) -> None:
    def program(key: str) -> Program:
        def declare() -> None:
            aws.sqs.Queue("q", name="beside", delay_seconds=len(key))
            aws.dynamodb.Table(
                "t",
                name="fixed",
                billing_mode="PAY_PER_REQUEST",
                hash_key=key,
                attributes=[{"name": key, "type": "S"}],
            )

        return declare

    stack.deploy(program("pk"))
    calls.clear()
    with pytest.raises(DeploymentError, match=r"aws:dynamodb/table:Table 't': attributes, hashKey changed"):
        stack.deploy(program("owner"))
    assert calls == []


def table(name: str, *, protected: bool) -> aws.dynamodb.Table:
    return aws.dynamodb.Table(
        "t",
        name=name,
        billing_mode="PAY_PER_REQUEST",
        hash_key="pk",
        attributes=[{"name": "pk", "type": "S"}],
        deletion_protection_enabled=protected,
    )


def table_program(*, protected: bool) -> Program:
    def program() -> None:
        table("guarded-table", protected=protected)

    return program


def test_a_table_goes_once_its_deletion_protection_is_off(stack: Stack) -> None:
    stack.deploy(table_program(protected=True))
    with pytest.raises(DeploymentError, match=r"aws:dynamodb/table:Table 't': .*protected against deletion"):
        stack.deploy(nothing)
    stack.deploy(table_program(protected=False))
    stack.deploy(nothing)
    assert "guarded-table" not in stack.client("dynamodb").list_tables()["TableNames"]


def item_program(name: str, item: dict[str, Any] | None) -> Program:
    def program() -> None:
        made = table(name, protected=False)
        if item is not None:
            aws.dynamodb.TableItem("i", table_name=made.name, hash_key=made.hash_key, item=json.dumps(item))

    return program


def test_an_item_changes_and_keeps_what_others_wrote_into_it(stack: Stack) -> None:
    dynamodb = stack.client("dynamodb")
    key = {"pk": {"S": "acme"}}
    stack.deploy(item_program("items", {**key, "ends": {"S": "2027"}, "hold": {"BOOL": True}}))
    dynamodb.update_item(
        TableName="items",
        Key=key,
        UpdateExpression="SET seen = :now",
        ExpressionAttributeValues={":now": {"N": "5"}},
    )
    stack.deploy(item_program("items", {**key, "ends": {"S": "2028"}}))
    assert dynamodb.get_item(TableName="items", Key=key)["Item"] == {
        **key,
        "ends": {"S": "2028"},
        "seen": {"N": "5"},
    }
    stack.deploy(item_program("items", {"pk": {"S": "globex"}}))
    assert dynamodb.scan(TableName="items")["Items"] == [{"pk": {"S": "globex"}}]
    stack.deploy(item_program("items", None))
    assert dynamodb.scan(TableName="items")["Items"] == []


def test_what_is_gone_already_is_no_failure(stack: Stack) -> None:
    def program() -> None:
        made = table("gone", protected=False)
        aws.dynamodb.TableItem("i", table_name=made.name, hash_key="pk", item='{"pk": {"S": "a"}}')
        pool = aws.cognito.UserPool("p", name="gone")
        client = aws.cognito.UserPoolClient("c", name="gone", user_pool_id=pool.id, generate_secret=True)
        bucket = aws.s3.Bucket("b", bucket="gone-bucket")
        aws.s3.BucketPolicy("y", bucket=bucket.bucket, policy=allowing("*"))
        aws.iam.Role("r", name="gone", assume_role_policy=trusting("lambda.amazonaws.com"))
        pulumi.export("pool", pool.id)
        pulumi.export("client", client.id)

    outputs = stack.deploy(program)
    stack.client("dynamodb").delete_table(TableName="gone")
    stack.client("cognito-idp").delete_user_pool_client(
        UserPoolId=outputs["pool"], ClientId=outputs["client"]
    )
    stack.client("s3").delete_bucket(Bucket="gone-bucket")
    stack.client("iam").delete_role(RoleName="gone")
    stack.deploy(nothing)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        stack.client("cognito-idp").describe_user_pool(UserPoolId=outputs["pool"])


def test_a_client_keeps_its_id_and_secret_when_its_settings_change(stack: Stack) -> None:
    def program(minutes: int) -> Program:
        def declare() -> None:
            pool = aws.cognito.UserPool("p", name="kept")
            client = aws.cognito.UserPoolClient(
                "c",
                name="kept",
                user_pool_id=pool.id,
                generate_secret=True,
                access_token_validity=minutes,
                token_validity_units={"access_token": "minutes"},
            )
            pulumi.export("client", client.id)
            pulumi.export("secret", client.client_secret)
            pulumi.export("pool", pool.id)

        return declare

    before = stack.deploy(program(15))
    after = stack.deploy(program(30))
    assert after == before
    assert before["secret"]
    described = stack.client("cognito-idp").describe_user_pool_client(
        UserPoolId=after["pool"], ClientId=after["client"]
    )["UserPoolClient"]
    assert described["AccessTokenValidity"] == 30
    assert described["ClientSecret"] == before["secret"]


def test_a_role_takes_another_trust_and_other_permissions_and_then_goes(stack: Stack) -> None:
    def program(service: str, action: str, tags: dict[str, str]) -> Program:
        def declare() -> None:
            allowed = allowing(action)
            boundary = aws.iam.Policy("b", name="edge", policy=allowed)
            role = aws.iam.Role(
                "r",
                name="turning",
                assume_role_policy=trusting(service),
                permissions_boundary=boundary.arn,
                tags=tags,
            )
            aws.iam.RolePolicy("p", name="turning", role=role.name, policy=allowed)
            pulumi.export("boundary", boundary.arn)

        return declare

    iam = stack.client("iam")
    actions = [f"s3:Get{number}*" for number in range(7)]  # more than a policy may have versions
    for action in actions:
        arn = stack.deploy(program(f"{action[3:7].lower()}.amazonaws.com", action, {action[3:7]: "x"}))[
            "boundary"
        ]
    role = iam.get_role(RoleName="turning")["Role"]
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "get6.amazonaws.com"}
    assert role["Tags"] == [{"Key": "Get6", "Value": "x"}]
    inline = iam.get_role_policy(RoleName="turning", PolicyName="turning")["PolicyDocument"]
    assert inline["Statement"][0]["Action"] == actions[-1]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    assert document["Statement"][0]["Action"] == actions[-1]
    stack.deploy(nothing)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_role(RoleName="turning")


def schedule_program(expression: str, completion: str) -> Program:
    def program() -> None:
        role = aws.iam.Role("r", name="clock", assume_role_policy=trusting("scheduler.amazonaws.com"))
        group = aws.scheduler.ScheduleGroup("g", name="contracts")
        schedule = aws.scheduler.Schedule(
            "s",
            name="end",
            group_name=group.name,
            schedule_expression=expression,
            flexible_time_window={"mode": "OFF"},
            action_after_completion=completion,
            target={"arn": f"arn:aws:states:{REGION}:111122223333:stateMachine:m", "role_arn": role.arn},
        )
        pulumi.export("arn", schedule.arn)

    return program


def test_a_schedule_moves_and_goes(stack: Stack) -> None:
    scheduler = stack.client("scheduler")
    before = stack.deploy(schedule_program("at(2090-01-01T00:00:00)", "NONE"))
    assert stack.deploy(schedule_program("at(2091-01-01T00:00:00)", "DELETE")) == before
    moved = scheduler.get_schedule(GroupName="contracts", Name="end")
    assert moved["ScheduleExpression"] == "at(2091-01-01T00:00:00)"
    assert moved["ActionAfterCompletion"] == "DELETE"
    stack.deploy(nothing)
    assert scheduler.list_schedules(GroupName="contracts")["Schedules"] == []


def test_a_failure_half_way_is_gone_on_from(stack: Stack, calls: list[str]) -> None:
    def program(role: str) -> Program:
        def declare() -> None:
            queue = aws.sqs.Queue("q", name="half-way")
            aws.iam.RolePolicy("p", name="x", role=queue.arn.apply(lambda _: role), policy=allowing("*"))

        return declare

    stack.client("iam").create_role(
        RoleName="somebody", AssumeRolePolicyDocument=trusting("lambda.amazonaws.com")
    )
    with pytest.raises(DeploymentError, match=r"aws:iam/rolePolicy:RolePolicy 'p'"):
        stack.deploy(program("nobody"))
    calls.clear()
    stack.deploy(program("somebody"))
    assert calls == ["PutRolePolicy"]


def test_another_process_goes_on_with_the_same_emulator(stack: Stack, calls: list[str]) -> None:
    program = bucket_program("handed-over", 7)
    first = stack.deploy(program)
    elsewhere = Emulator.attached(stack.emulator.url, stack.emulator.authority)
    calls.clear()
    assert Stack(elsewhere, stack.name).deploy(program) == first
    assert calls == []
    elsewhere.stop()
    assert stack.client("s3").list_buckets()["Buckets"]


def test_what_is_remembered_is_for_this_user_alone_and_ends_with_the_emulator(worker_id: str) -> None:
    def program() -> None:
        pool = aws.cognito.UserPool("p", name="p")
        client = aws.cognito.UserPoolClient("c", name="c", user_pool_id=pool.id, generate_secret=True)
        pulumi.export("secret", client.client_secret)

    with Emulator(name=f"remembered-{worker_id}") as emulator:
        secret = Stack(emulator, "s").deploy(program)["secret"]
        holding = [
            file
            for file in emulator.folder.rglob("*")
            if file.is_file() and secret in file.read_text(encoding="utf-8", errors="replace")
        ]
        assert holding
        assert {file.stat().st_mode & 0o777 for file in holding} == {0o600}
        assert emulator.folder.stat().st_mode & 0o777 == 0o700
    assert [file for file in holding if file.exists()] == []
    assert not emulator.folder.exists()


def test_what_is_there_takes_up_what_is_new_and_both_go_in_the_right_order(
    stack: Stack, calls: list[str]
) -> None:
    def program(*keys: str) -> Program:
        def declare() -> None:
            made = [aws.kms.Key(key) for key in keys]
            aws.kms.Alias("a", name="alias/moving", target_key_id=made[-1].key_id)
            pulumi.export("key", made[-1].key_id)

        return declare

    stack.deploy(program("first"))
    calls.clear()
    new = stack.deploy(program("first", "second"))["key"]
    assert calls == ["CreateKey", "UpdateAlias"]
    assert stack.client("kms").describe_key(KeyId="alias/moving")["KeyMetadata"]["KeyId"] == new
    calls.clear()
    stack.deploy(nothing)
    assert calls == ["DeleteAlias", "ScheduleKeyDeletion", "ScheduleKeyDeletion"]


def test_what_the_program_wants_kept_leaves_the_stack_and_stays(stack: Stack, calls: list[str]) -> None:
    def program() -> None:
        aws.sqs.Queue("q", name="kept-on", opts=pulumi.ResourceOptions(retain_on_delete=True))

    stack.deploy(program)
    calls.clear()
    stack.deploy(nothing)
    assert calls == []
    assert stack.client("sqs").get_queue_url(QueueName="kept-on")


def test_an_option_that_would_not_be_carried_out_is_named(stack: Stack) -> None:
    def program() -> None:
        aws.sqs.Queue("q", name="optional", opts=pulumi.ResourceOptions(ignore_changes=["delaySeconds"]))

    with pytest.raises(DeploymentError, match=r"aws:sqs/queue:Queue 'q': .*option ignoreChanges"):
        stack.deploy(program)


def test_a_stack_does_not_move_to_another_region(stack: Stack) -> None:
    stack.deploy(bucket_program("at-home", 7))
    with pytest.raises(DeploymentError, match="deployed to eu-west-1 and cannot move to us-east-1"):
        stack.deploy(nothing, region="us-east-1")


def test_one_deployment_of_a_stack_at_a_time(stack: Stack) -> None:
    def program() -> None:
        with pytest.raises(DeploymentError, match="another deployment of it is going on"):
            stack.deploy(nothing)
        pulumi.export("tried", value=True)

    assert stack.deploy(program) == {"tried": True}


def test_a_step_that_a_killed_deployment_did_not_finish_to_record_is_not_taken_for_done(
    stack: Stack, calls: list[str]
) -> None:
    program = bucket_program("cut-off", 7)
    first = stack.deploy(program)
    (remembered,) = stack.emulator.folder.glob(f"*{stack.name}.state")
    with remembered.open("a", encoding="utf-8") as lines:
        lines.write('{"key": "urn:half')
    calls.clear()
    assert stack.deploy(program) == first
    assert stack.deploy(program) == first
    assert calls == []
