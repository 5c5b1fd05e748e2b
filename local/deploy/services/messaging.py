"""SQS queues and EventBridge schedules."""

from typing import Any

from local.deploy.creator import (
    Aws,
    Creator,
    Existing,
    Inputs,
    Made,
    again,
    gone_is_fine,
    if_there,
    pascal,
    picked,
    properties,
    retag,
    tag_list,
)

_ATTRIBUTES = {
    "visibilityTimeoutSeconds": "VisibilityTimeout",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "maxMessageSize": "MaximumMessageSize",
    "delaySeconds": "DelaySeconds",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
    "redrivePolicy": "RedrivePolicy",
    "redriveAllowPolicy": "RedriveAllowPolicy",
    "policy": "Policy",
}


_NO_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
_NO_SCHEDULE = "ResourceNotFoundException"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) else str(value)


def _queue(aws: Aws, name: str, inputs: Inputs) -> Made:
    queue = inputs.get("name") or name
    url = aws.client("sqs").create_queue(
        QueueName=queue,
        Attributes={
            theirs: _text(inputs[ours])
            for ours, theirs in _ATTRIBUTES.items()
            if inputs.get(ours) is not None
        },
        tags=inputs.get("tags") or {},
    )["QueueUrl"]
    return Made(url, {"name": queue, "arn": aws.arn("sqs", queue), "url": url})


def _read_queue(aws: Aws, queue: Existing) -> Existing | None:
    sqs = aws.client("sqs")
    return if_there(
        queue, lambda: sqs.get_queue_attributes(QueueUrl=queue.id, AttributeNames=["QueueArn"]), *_NO_QUEUE
    )


def _update_queue(aws: Aws, queue: Existing, inputs: Inputs) -> Made:
    sqs = aws.client("sqs")
    changed = {
        theirs: _text(inputs[ours]) if inputs.get(ours) is not None else ""
        for ours, theirs in _ATTRIBUTES.items()
        if inputs.get(ours) != queue.inputs.get(ours)
    }
    if changed:
        sqs.set_queue_attributes(QueueUrl=queue.id, Attributes=changed)
    retag(
        queue,
        inputs,
        tag=lambda tags: sqs.tag_queue(QueueUrl=queue.id, Tags=tags),
        untag=lambda keys: sqs.untag_queue(QueueUrl=queue.id, TagKeys=keys),
    )
    return queue.unchanged


def _delete_queue(aws: Aws, queue: Existing) -> None:
    with gone_is_fine(*_NO_QUEUE):
        aws.client("sqs").delete_queue(QueueUrl=queue.id)


def _queue_policy(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("sqs").set_queue_attributes(
        QueueUrl=inputs["queueUrl"], Attributes={"Policy": inputs["policy"]}
    )
    return Made(inputs["queueUrl"])


def _read_queue_policy(aws: Aws, policy: Existing) -> Existing | None:
    def look() -> object:
        answer = aws.client("sqs").get_queue_attributes(QueueUrl=policy.id, AttributeNames=["Policy"])
        return answer.get("Attributes", {}).get("Policy")

    return if_there(policy, look, *_NO_QUEUE)


def _delete_queue_policy(aws: Aws, policy: Existing) -> None:
    with gone_is_fine(*_NO_QUEUE):
        aws.client("sqs").set_queue_attributes(QueueUrl=policy.id, Attributes={"Policy": ""})


def _schedule_settings(name: str, inputs: Inputs) -> dict[str, Any]:
    return {
        "Name": inputs.get("name") or name,
        "FlexibleTimeWindow": pascal(inputs["flexibleTimeWindow"]),
        "Target": pascal(inputs["target"]),
        **picked(
            inputs,
            GroupName="groupName",
            Description="description",
            ScheduleExpression="scheduleExpression",
            ScheduleExpressionTimezone="scheduleExpressionTimezone",
            State="state",
            KmsKeyArn="kmsKeyArn",
            ActionAfterCompletion="actionAfterCompletion",
        ),
    }


def _schedule(aws: Aws, name: str, inputs: Inputs) -> Made:
    settings = _schedule_settings(name, inputs)
    created = aws.client("scheduler").create_schedule(**settings)
    return Made(
        f"{inputs.get('groupName') or 'default'}/{settings['Name']}",
        {"name": settings["Name"], "arn": created["ScheduleArn"]},
    )


def _read_schedule(aws: Aws, schedule: Existing) -> Existing | None:
    group, _, name = schedule.id.partition("/")
    scheduler = aws.client("scheduler")
    return if_there(schedule, lambda: scheduler.get_schedule(GroupName=group, Name=name), _NO_SCHEDULE)


def _update_schedule(aws: Aws, schedule: Existing, inputs: Inputs) -> Made:
    # Each update states everything: what it leaves out falls back to the default.
    aws.client("scheduler").update_schedule(**_schedule_settings(schedule.name, inputs))
    return schedule.unchanged


def _delete_schedule(aws: Aws, schedule: Existing) -> None:
    group, _, name = schedule.id.partition("/")
    with gone_is_fine(_NO_SCHEDULE):
        aws.client("scheduler").delete_schedule(GroupName=group, Name=name)


def _schedule_group(aws: Aws, name: str, inputs: Inputs) -> Made:
    group = inputs.get("name") or name
    arn = aws.client("scheduler").create_schedule_group(Name=group, Tags=tag_list(inputs))["ScheduleGroupArn"]
    return Made(group, {"name": group, "arn": arn})


def _read_schedule_group(aws: Aws, group: Existing) -> Existing | None:
    scheduler = aws.client("scheduler")
    return if_there(group, lambda: scheduler.get_schedule_group(Name=group.id), _NO_SCHEDULE)


def _update_schedule_group(aws: Aws, group: Existing, inputs: Inputs) -> Made:
    scheduler, arn = aws.client("scheduler"), group.outputs["arn"]
    retag(
        group,
        inputs,
        tag=lambda tags: scheduler.tag_resource(ResourceArn=arn, Tags=tag_list({"tags": tags})),
        untag=lambda keys: scheduler.untag_resource(ResourceArn=arn, TagKeys=keys),
    )
    return group.unchanged


def _delete_schedule_group(aws: Aws, group: Existing) -> None:
    with gone_is_fine(_NO_SCHEDULE):
        aws.client("scheduler").delete_schedule_group(Name=group.id)  # and every schedule in it


CREATORS = (
    Creator(
        token="aws:sqs/queue:Queue",
        create=_queue,
        read=_read_queue,
        properties=frozenset(_ATTRIBUTES) | {"name", "tags"},
        update=_update_queue,
        updatable=frozenset(_ATTRIBUTES) | {"tags"},
        delete=_delete_queue,
    ),
    Creator(
        token="aws:sqs/queuePolicy:QueuePolicy",
        create=_queue_policy,
        read=_read_queue_policy,
        properties=properties("queueUrl policy"),
        update=again(_queue_policy),
        updatable=properties("policy"),
        delete=_delete_queue_policy,
    ),
    Creator(
        token="aws:scheduler/schedule:Schedule",
        create=_schedule,
        read=_read_schedule,
        properties=properties(
            "name groupName description flexibleTimeWindow target scheduleExpression "
            "scheduleExpressionTimezone state kmsKeyArn actionAfterCompletion"
        ),
        update=_update_schedule,
        updatable=properties(
            "description flexibleTimeWindow target scheduleExpression scheduleExpressionTimezone state "
            "kmsKeyArn actionAfterCompletion"
        ),
        delete=_delete_schedule,
    ),
    Creator(
        token="aws:scheduler/scheduleGroup:ScheduleGroup",
        create=_schedule_group,
        read=_read_schedule_group,
        properties=properties("name tags"),
        update=_update_schedule_group,
        updatable=properties("tags"),
        delete=_delete_schedule_group,
    ),
)
