"""CloudWatch alarms, metrics made from log lines, and the SNS topics that alarms go to."""

from local.deploy.creator import Aws, Creator, Inputs, Made, known_keys, picked, properties, tag_list


def _topic(aws: Aws, name: str, inputs: Inputs) -> Made:
    topic = inputs.get("name") or name
    arn = aws.client("sns").create_topic(
        Name=topic,
        Attributes=picked(inputs, KmsMasterKeyId="kmsMasterKeyId", DisplayName="displayName"),
        Tags=tag_list(inputs),
    )["TopicArn"]
    return Made(arn, {"arn": arn, "name": topic})


def _topic_policy(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("sns").set_topic_attributes(
        TopicArn=inputs["arn"], AttributeName="Policy", AttributeValue=inputs["policy"]
    )
    return Made(inputs["arn"])


def _subscription(aws: Aws, _name: str, inputs: Inputs) -> Made:
    arn = aws.client("sns").subscribe(
        TopicArn=inputs["topic"],
        Protocol=inputs["protocol"],
        Endpoint=inputs["endpoint"],
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    return Made(arn, {"arn": arn})


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


CREATORS = (
    Creator(
        token="aws:sns/topic:Topic",
        create=_topic,
        properties=properties("name kmsMasterKeyId displayName tags"),
    ),
    Creator(
        token="aws:sns/topicPolicy:TopicPolicy", create=_topic_policy, properties=properties("arn policy")
    ),
    Creator(
        token="aws:sns/topicSubscription:TopicSubscription",
        create=_subscription,
        properties=properties("topic protocol endpoint"),
    ),
    Creator(
        token="aws:cloudwatch/logMetricFilter:LogMetricFilter",
        create=_metric_filter,
        properties=properties("name logGroupName pattern metricTransformation"),
    ),
    Creator(
        token="aws:cloudwatch/metricAlarm:MetricAlarm",
        create=_alarm,
        properties=properties(
            "name alarmDescription namespace metricName dimensions statistic comparisonOperator threshold "
            "period evaluationPeriods datapointsToAlarm treatMissingData alarmActions okActions tags"
        ),
    ),
)
