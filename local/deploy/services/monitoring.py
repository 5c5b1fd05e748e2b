"""CloudWatch alarms, metrics made from log lines, and the SNS topics that alarms go to."""

import json

from local.deploy.creator import (
    Aws,
    Creator,
    Existing,
    Inputs,
    Made,
    again,
    gone_is_fine,
    if_there,
    known_keys,
    picked,
    properties,
    retag,
    tag_list,
)

_NO_TOPIC = "NotFound"


def _topic(aws: Aws, name: str, inputs: Inputs) -> Made:
    topic = inputs.get("name") or name
    arn = aws.client("sns").create_topic(
        Name=topic,
        Attributes=picked(inputs, KmsMasterKeyId="kmsMasterKeyId", DisplayName="displayName"),
        Tags=tag_list(inputs),
    )["TopicArn"]
    return Made(arn, {"arn": arn, "name": topic})


def _read_topic(aws: Aws, topic: Existing) -> Existing | None:
    return if_there(topic, lambda: aws.client("sns").get_topic_attributes(TopicArn=topic.id), _NO_TOPIC)


def _update_topic(aws: Aws, topic: Existing, inputs: Inputs) -> Made:
    sns = aws.client("sns")
    for ours, theirs in (("kmsMasterKeyId", "KmsMasterKeyId"), ("displayName", "DisplayName")):
        if inputs.get(ours) != topic.inputs.get(ours):
            sns.set_topic_attributes(
                TopicArn=topic.id, AttributeName=theirs, AttributeValue=inputs.get(ours) or ""
            )
    retag(
        topic,
        inputs,
        tag=lambda tags: sns.tag_resource(ResourceArn=topic.id, Tags=tag_list({"tags": tags})),
        untag=lambda keys: sns.untag_resource(ResourceArn=topic.id, TagKeys=keys),
    )
    return topic.unchanged


def _delete_topic(aws: Aws, topic: Existing) -> None:
    with gone_is_fine(_NO_TOPIC):
        aws.client("sns").delete_topic(TopicArn=topic.id)


def _topic_policy(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("sns").set_topic_attributes(
        TopicArn=inputs["arn"], AttributeName="Policy", AttributeValue=inputs["policy"]
    )
    return Made(inputs["arn"])


def _read_topic_policy(aws: Aws, policy: Existing) -> Existing | None:
    def look() -> object:
        return aws.client("sns").get_topic_attributes(TopicArn=policy.id)["Attributes"].get("Policy")

    return if_there(policy, look, _NO_TOPIC)


def _reset_topic_policy(aws: Aws, policy: Existing) -> None:
    """A topic always has a policy: the provider, too, goes back to one for the topic's own account."""
    own = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{aws.account}:root"},
                "Action": ["sns:Publish", "sns:Subscribe"],
                "Resource": policy.id,
            }
        ],
    }
    with gone_is_fine(_NO_TOPIC):
        aws.client("sns").set_topic_attributes(
            TopicArn=policy.id, AttributeName="Policy", AttributeValue=json.dumps(own)
        )


def _subscription(aws: Aws, _name: str, inputs: Inputs) -> Made:
    arn = aws.client("sns").subscribe(
        TopicArn=inputs["topic"],
        Protocol=inputs["protocol"],
        Endpoint=inputs["endpoint"],
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    return Made(arn, {"arn": arn})


def _read_subscription(aws: Aws, subscription: Existing) -> Existing | None:
    sns = aws.client("sns")
    return if_there(
        subscription, lambda: sns.get_subscription_attributes(SubscriptionArn=subscription.id), _NO_TOPIC
    )


def _unsubscribe(aws: Aws, subscription: Existing) -> None:
    with gone_is_fine(_NO_TOPIC):
        aws.client("sns").unsubscribe(SubscriptionArn=subscription.id)


def _metric_filter(aws: Aws, name: str, inputs: Inputs) -> Made:
    filter_name, made = inputs.get("name") or name, inputs["metricTransformation"]
    known_keys(name, made, "name namespace value defaultValue unit")
    transformation = picked(
        made, metricName="name", metricNamespace="namespace", metricValue="value", unit="unit"
    )
    if "defaultValue" in made:
        transformation["defaultValue"] = float(made["defaultValue"])
    aws.client("logs").put_metric_filter(
        logGroupName=inputs["logGroupName"],
        filterName=filter_name,
        filterPattern=inputs["pattern"],
        metricTransformations=[transformation],
    )
    return Made(filter_name, {"name": filter_name})


def _read_metric_filter(aws: Aws, existing: Existing) -> Existing | None:
    group = existing.inputs["logGroupName"]
    pages = (
        aws.client("logs")
        .get_paginator("describe_metric_filters")
        .paginate(logGroupName=group, filterNamePrefix=existing.id)
    )
    return if_there(
        existing,
        lambda: any(each["filterName"] == existing.id for page in pages for each in page["metricFilters"]),
        "ResourceNotFoundException",
    )


def _delete_metric_filter(aws: Aws, existing: Existing) -> None:
    with gone_is_fine("ResourceNotFoundException"):
        aws.client("logs").delete_metric_filter(
            logGroupName=existing.inputs["logGroupName"], filterName=existing.id
        )


def _alarm(aws: Aws, name: str, inputs: Inputs) -> Made:
    alarm = inputs.get("name") or name
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName=alarm,
        Dimensions=[
            {"Name": dimension, "Value": value}
            for dimension, value in (inputs.get("dimensions") or {}).items()
        ],
        Tags=tag_list(inputs),
        **picked(
            inputs,
            AlarmDescription="alarmDescription",
            Namespace="namespace",
            MetricName="metricName",
            Statistic="statistic",
            ComparisonOperator="comparisonOperator",
            Threshold="threshold",
            Period="period",
            EvaluationPeriods="evaluationPeriods",
            DatapointsToAlarm="datapointsToAlarm",
            TreatMissingData="treatMissingData",
            AlarmActions="alarmActions",
            OKActions="okActions",
        ),
    )
    return Made(alarm, {"name": alarm, "arn": aws.arn("cloudwatch", f"alarm:{alarm}")})


def _read_alarm(aws: Aws, alarm: Existing) -> Existing | None:
    cloudwatch = aws.client("cloudwatch")
    return if_there(alarm, lambda: cloudwatch.describe_alarms(AlarmNames=[alarm.id])["MetricAlarms"])


def _update_alarm(aws: Aws, alarm: Existing, inputs: Inputs) -> Made:
    cloudwatch, arn = aws.client("cloudwatch"), alarm.outputs["arn"]
    if any(inputs.get(key) != alarm.inputs.get(key) for key in {*inputs, *alarm.inputs} - {"tags"}):
        _alarm(aws, alarm.name, inputs)  # of an alarm that is there it leaves the tags alone
    retag(
        alarm,
        inputs,
        tag=lambda tags: cloudwatch.tag_resource(ResourceARN=arn, Tags=tag_list({"tags": tags})),
        untag=lambda keys: cloudwatch.untag_resource(ResourceARN=arn, TagKeys=keys),
    )
    return alarm.unchanged


def _delete_alarm(aws: Aws, alarm: Existing) -> None:
    aws.client("cloudwatch").delete_alarms(AlarmNames=[alarm.id])  # no error when it is gone


_ALARM = (
    "alarmDescription namespace metricName dimensions statistic comparisonOperator threshold period "
    "evaluationPeriods datapointsToAlarm treatMissingData alarmActions okActions tags"
)

CREATORS = (
    Creator(
        token="aws:sns/topic:Topic",
        create=_topic,
        read=_read_topic,
        properties=properties("name kmsMasterKeyId displayName tags"),
        update=_update_topic,
        updatable=properties("kmsMasterKeyId displayName tags"),
        delete=_delete_topic,
    ),
    Creator(
        token="aws:sns/topicPolicy:TopicPolicy",
        create=_topic_policy,
        read=_read_topic_policy,
        properties=properties("arn policy"),
        update=again(_topic_policy),
        updatable=properties("policy"),
        delete=_reset_topic_policy,
    ),
    Creator(
        token="aws:sns/topicSubscription:TopicSubscription",
        create=_subscription,
        read=_read_subscription,
        properties=properties("topic protocol endpoint"),
        replacing=properties("topic protocol endpoint"),
        delete=_unsubscribe,
    ),
    Creator(
        token="aws:cloudwatch/logMetricFilter:LogMetricFilter",
        create=_metric_filter,
        read=_read_metric_filter,
        properties=properties("name logGroupName pattern metricTransformation"),
        update=again(_metric_filter),
        updatable=properties("pattern metricTransformation"),
        delete=_delete_metric_filter,
    ),
    Creator(
        token="aws:cloudwatch/metricAlarm:MetricAlarm",
        create=_alarm,
        read=_read_alarm,
        properties=properties(f"name {_ALARM}"),
        update=_update_alarm,
        updatable=properties(_ALARM),
        delete=_delete_alarm,
    ),
)
