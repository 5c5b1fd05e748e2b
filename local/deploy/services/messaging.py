"""SQS queues and EventBridge schedules."""

from local.deploy.creator import Aws, Creator, Inputs, Made, pascal, picked, properties

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


def _queue_policy(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("sqs").set_queue_attributes(
        QueueUrl=inputs["queueUrl"], Attributes={"Policy": inputs["policy"]}
    )
    return Made(inputs["queueUrl"])


def _schedule(aws: Aws, name: str, inputs: Inputs) -> Made:
    schedule = inputs.get("name") or name
    created = aws.client("scheduler").create_schedule(
        Name=schedule,
        FlexibleTimeWindow=pascal(inputs["flexibleTimeWindow"]),
        Target=pascal(inputs["target"]),
        **picked(
            inputs,
            GroupName="groupName",
            Description="description",
            ScheduleExpression="scheduleExpression",
            ScheduleExpressionTimezone="scheduleExpressionTimezone",
            State="state",
            KmsKeyArn="kmsKeyArn",
        ),
    )
    return Made(
        f"{inputs.get('groupName') or 'default'}/{schedule}",
        {"name": schedule, "arn": created["ScheduleArn"]},
    )


CREATORS = (
    Creator(token="aws:sqs/queue:Queue", create=_queue, properties=frozenset(_ATTRIBUTES) | {"name", "tags"}),
    Creator(
        token="aws:sqs/queuePolicy:QueuePolicy",
        create=_queue_policy,
        properties=properties("queueUrl policy"),
    ),
    Creator(
        token="aws:scheduler/schedule:Schedule",
        create=_schedule,
        properties=properties(
            "name groupName description flexibleTimeWindow target scheduleExpression "
            "scheduleExpressionTimezone "
            "state kmsKeyArn"
        ),
    ),
)
