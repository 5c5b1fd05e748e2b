"""Alarms: what an operator is told about, and the topic that tells it.

Metrics carry no customer and nothing of a request; the log of the function that an alarm is about says whose.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import pulumi
from pulumi_aws import cloudwatch, sns

from ..functions.function import PrivacyFunction
from ..ground import Ground
from ..iam.documents import document
from ..iam.resources import alarms_topic
from ..naming import API_STAGE, RegionNames

PERIOD_SECONDS: Final = 300
"""As long as from one sweep to the next."""

WATCH_SECONDS: Final = 3600
"""As long as from one watch over the contracts to the next."""

SESSION_SECONDS: Final = 3600
"""As long as a function keeps a session in a vault at most: the next one has the same size."""

MOST_PACKED: Final = 80
"""Percent of AWS's space for a packed session policy that may be taken before somebody is told. Above 100 AWS
refuses the session (STS API Reference, AssumeRole, `PackedPolicySize`), and nothing reaches the vault."""

TOPIC: Final = "alarms"


@dataclass(frozen=True, kw_only=True)
class LineSpec:
    """Log lines of a function that are counted. `pattern` has terms, all of which a line has to hold.

    `name` is the filter's, where lines of several functions count for the same metric.
    """

    metric: str
    function: str
    pattern: str
    name: str | None = None


LINES: Final = (
    LineSpec(metric="RequestsFailed", function="complete_run", pattern='"request ended:" "state=failed"'),
    LineSpec(metric="RequestsDueSoon", function="sweep_runs", pattern='"requests due soon:"'),
    LineSpec(metric="DestructionsHeld", function="watch_contracts", pattern='"destruction held:"'),
    LineSpec(metric="ContractEndsOverdue", function="watch_contracts", pattern='"contract end overdue:"'),
    LineSpec(metric="ContentUnattributed", function="index_objects", pattern='"content not attributed:"'),
    LineSpec(
        metric="ContentUnattributed",
        function="reindex_objects",
        pattern='"content not attributed:"',
        name="ContentUnattributed-reindex",
    ),
    LineSpec(
        metric="ContentUnattributed",
        function="plan_run",
        pattern='"objects outside datasets:"',
        name="ContentUnattributed-outside",
    ),
    LineSpec(
        metric="ContractEndExceptions", function="verify_destruction", pattern='"contract end exception:"'
    ),
)
"""CloudWatch Logs finds quoted terms in any line, JSON too (User Guide, "Filter pattern syntax")."""

SECRETS_UNSAFE: Final = "SubjectSecretsUnsafe"
"""Metric of the log lines about a vault's subject secret, of every function of a purpose that reads one."""

MOST_REFUSED: Final = 100
"""Calls answered with 4xx in a period before somebody is told: a program is broken, or somebody tries."""

MOST_BLOCKED: Final = 10
"""Requests that the firewall blocks in a period before somebody is told: a few come to any address."""

PACKED_SIZE: Final = "PackedPolicySize"
"""Metric of what is logged of each new session in a vault, by every function that has a purpose."""

_PACKED_SIZE_FIELD: Final = "packedPolicySize"


@dataclass(frozen=True, kw_only=True)
class AlarmSpec:
    """One alarm: `breaching` of the last `periods` have to reach the threshold, or stay `below` it.

    `missing` says what a period without any data is, `seconds` how long a period is.
    """

    name: str
    why: str
    namespace: str
    metric: str
    dimensions: Mapping[str, str] = field(default_factory=dict)
    statistic: Literal["Sum", "Maximum"] = "Sum"
    threshold: int = 1
    below: bool = False
    seconds: int = PERIOD_SECONDS
    periods: int = 1
    breaching: int = 1
    missing: Literal["breaching", "notBreaching"] = "notBreaching"


def alarm_specs(names: RegionNames) -> list[AlarmSpec]:
    """Return the alarms of a stack. All that count ring at the first event, or message, or line."""
    machine = {"StateMachineArn": names.run_machine_arn}
    contract_end = {"StateMachineArn": names.machine_arn("contract-end")}
    export = {"StateMachineArn": names.machine_arn("export")}
    sweep = {"FunctionName": names.name("sweep-runs")}
    watch = {"FunctionName": names.name("watch-contracts")}
    api = {"ApiName": names.prefix, "Stage": API_STAGE}
    return [
        AlarmSpec(
            name="run-failed",
            why="A run ended early: the requests that it had taken have failed.",
            namespace="AWS/States",
            metric="ExecutionsFailed",
            dimensions=machine,
        ),
        AlarmSpec(
            name="run-timed-out",
            why="A run took longer than it may: the sweep starts another one for its requests.",
            namespace="AWS/States",
            metric="ExecutionsTimedOut",
            dimensions=machine,
        ),
        AlarmSpec(
            name="run-aborted",
            why="Somebody stopped a run: the sweep starts another one for its requests.",
            namespace="AWS/States",
            metric="ExecutionsAborted",
            dimensions=machine,
        ),
        AlarmSpec(
            name="replay-failed",
            why="A replay ended early: not everybody who had been erased is asked to be erased again.",
            namespace="AWS/States",
            metric="ExecutionsFailed",
            dimensions={"StateMachineArn": names.machine_arn("replay")},
        ),
        AlarmSpec(
            name="reindex-failed",
            why="A reindex ended early: not every object was compared with the index.",
            namespace="AWS/States",
            metric="ExecutionsFailed",
            dimensions={"StateMachineArn": names.machine_arn("reindex")},
        ),
        AlarmSpec(
            name="reindex-timed-out",
            why="A reindex took longer than it may: not every object was compared with the index.",
            namespace="AWS/States",
            metric="ExecutionsTimedOut",
            dimensions={"StateMachineArn": names.machine_arn("reindex")},
        ),
        AlarmSpec(
            name="replay-timed-out",
            why="A replay took longer than it may: people who were erased are in a restored vault again.",
            namespace="AWS/States",
            metric="ExecutionsTimedOut",
            dimensions={"StateMachineArn": names.machine_arn("replay")},
        ),
        AlarmSpec(
            name="export-failed",
            why="An export ended early: a customer who asked for its data does not get it.",
            namespace="AWS/States",
            metric="ExecutionsFailed",
            dimensions=export,
        ),
        AlarmSpec(
            name="export-timed-out",
            why="An export took longer than it may, or waited that long for a run to end.",
            namespace="AWS/States",
            metric="ExecutionsTimedOut",
            dimensions=export,
        ),
        AlarmSpec(
            name="requests-failed",
            why="Requests ended failed, whether or not their run did.",
            namespace=names.prefix,
            metric="RequestsFailed",
        ),
        AlarmSpec(
            name="requests-due-soon",
            why="A request that has not ended is due within seven days, or was.",
            namespace=names.prefix,
            metric="RequestsDueSoon",
        ),
        AlarmSpec(
            name="content-unattributed",
            why="A file came that nobody can attribute: until it is mended, every erasure ends partial.",
            namespace=names.prefix,
            metric="ContentUnattributed",
        ),
        AlarmSpec(
            name="api-server-errors",
            why="A call of the API was answered with 5xx: a bug, no room, or AWS failing.",
            namespace="AWS/ApiGateway",
            metric="5XXError",
            dimensions=api,
        ),
        AlarmSpec(
            name="api-client-errors",
            why=f"{MOST_REFUSED} calls were answered with 4xx: a program is broken, or somebody tries.",
            namespace="AWS/ApiGateway",
            metric="4XXError",
            dimensions=api,
            threshold=MOST_REFUSED,
        ),
        AlarmSpec(
            name="api-blocked",
            why=f"The firewall blocked {MOST_BLOCKED} requests: an attack, or calls that it should let in.",
            namespace="AWS/WAFV2",
            metric="BlockedRequests",
            # An ACL as a whole has it under these three (WAF Developer Guide, "Metrics and dimensions").
            dimensions={"WebACL": names.prefix, "Region": names.region, "Rule": "ALL"},
            threshold=MOST_BLOCKED,
        ),
        AlarmSpec(
            name="object-events-dead",
            why="Bucket events that nobody could index: an index, and so an erasure, may be incomplete.",
            namespace="AWS/SQS",
            metric="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": names.name("object-events-dead")},
            statistic="Maximum",
        ),
        AlarmSpec(
            name="dead-letters",
            why="Calls of functions that could not be made, or that kept failing.",
            namespace="AWS/SQS",
            metric="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": names.name("dead-letters")},
            statistic="Maximum",
        ),
        AlarmSpec(
            name="sweep-failing",
            why="The sweep failed for some customers in two of three times; once mends itself.",
            namespace="AWS/Lambda",
            metric="Errors",
            dimensions=sweep,
            periods=3,
            breaching=2,
        ),
        AlarmSpec(
            name="sweep-silent",
            why="Nobody has called the sweep for a quarter of an hour: nothing would notice what is due.",
            namespace="AWS/Lambda",
            metric="Invocations",
            dimensions=sweep,
            below=True,
            periods=3,
            breaching=3,
            missing="breaching",
        ),
        AlarmSpec(
            name="session-policy-large",
            why=f"A session policy takes more than {MOST_PACKED} % of the space that AWS has for it.",
            namespace=names.prefix,
            metric=PACKED_SIZE,
            statistic="Maximum",
            threshold=MOST_PACKED + 1,
            seconds=SESSION_SECONDS,
        ),
        AlarmSpec(
            name="subject-secret",
            why="A vault's subject secret is missing, another one, or kept in one place only.",
            namespace=names.prefix,
            metric=SECRETS_UNSAFE,
        ),
        AlarmSpec(
            name="contract-end-failed",
            why="The end of a contract failed: the customer's data is not, or not wholly, destroyed.",
            namespace="AWS/States",
            metric="ExecutionsFailed",
            dimensions=contract_end,
        ),
        AlarmSpec(
            name="contract-end-timed-out",
            why="The end of a contract took longer than it may.",
            namespace="AWS/States",
            metric="ExecutionsTimedOut",
            dimensions=contract_end,
        ),
        AlarmSpec(
            name="contract-end-aborted",
            why="Somebody stopped the end of a contract.",
            namespace="AWS/States",
            metric="ExecutionsAborted",
            dimensions=contract_end,
        ),
        AlarmSpec(
            name="contract-end-exception",
            why="Something of a vault was gone before its end came to it, or S3 refuses to delete versions.",
            namespace=names.prefix,
            metric="ContractEndExceptions",
        ),
        AlarmSpec(
            name="contract-end-overdue",
            why="Data that was due for destruction more than a day ago is not destroyed.",
            namespace=names.prefix,
            metric="ContractEndsOverdue",
            seconds=WATCH_SECONDS,
            # A watch may come a little late: then a period has none, and the next one two.
            periods=2,
        ),
        AlarmSpec(
            name="contract-held",
            why="A hold keeps data from being destroyed; it rings for as long as one stands.",
            namespace=names.prefix,
            metric="DestructionsHeld",
            seconds=WATCH_SECONDS,
            periods=2,
        ),
        AlarmSpec(
            name="watch-failing",
            why="The watch over contracts failed for some customers in two of three times.",
            namespace="AWS/Lambda",
            metric="Errors",
            dimensions=watch,
            seconds=WATCH_SECONDS,
            periods=3,
            breaching=2,
        ),
        AlarmSpec(
            name="watch-silent",
            why="Nobody has called the watch over contracts for three hours: a missed end stays missed.",
            namespace="AWS/Lambda",
            metric="Invocations",
            dimensions=watch,
            below=True,
            seconds=WATCH_SECONDS,
            periods=3,
            breaching=3,
            missing="breaching",
        ),
    ]


@dataclass(frozen=True, kw_only=True)
class AlarmsArgs:
    """The functions by module name, and the address that gets the alarms (None: nobody does)."""

    ground: Ground
    functions: Mapping[str, PrivacyFunction]
    recipient: str | None


class Alarms(pulumi.ComponentResource):
    """The region's alarms and their topic, which only they publish to."""

    topic_arn: pulumi.Output[str]

    def __init__(self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gdpr:alarms:Alarms", name, None, opts)
        names, child = args.ground.names, pulumi.ResourceOptions(parent=self)
        topic = sns.Topic(
            f"{name}-topic",
            name=names.name(TOPIC),
            kms_master_key_id=args.ground.region_key_arn,
            tags=names.tags("operational"),
            opts=child,
        )
        sns.TopicPolicy(
            f"{name}-topic-policy", arn=topic.arn, policy=document(alarms_topic(names)), opts=child
        )
        if args.recipient is not None:
            # Whoever it is has to confirm: until then nobody is told.
            sns.TopicSubscription(
                f"{name}-recipient", topic=topic.arn, protocol="email", endpoint=args.recipient, opts=child
            )
        for line in LINES:
            cloudwatch.LogMetricFilter(
                f"{name}-{line.name or line.metric}",
                name=line.name or line.metric,
                log_group_name=args.functions[line.function].log_group,
                pattern=line.pattern,
                metric_transformation=cloudwatch.LogMetricFilterMetricTransformationArgs(
                    name=line.metric, namespace=names.prefix, value="1", default_value="0"
                ),
                opts=child,
            )
        for function in args.functions.values():
            if function.spec.purpose is None:
                continue
            if function.spec.secrets:
                cloudwatch.LogMetricFilter(
                    f"{name}-{SECRETS_UNSAFE}-{function.spec.name}",
                    name=SECRETS_UNSAFE,
                    log_group_name=function.log_group,
                    pattern='"subject secret unsafe:"',
                    metric_transformation=cloudwatch.LogMetricFilterMetricTransformationArgs(
                        name=SECRETS_UNSAFE, namespace=names.prefix, value="1", default_value="0"
                    ),
                    opts=child,
                )
            cloudwatch.LogMetricFilter(
                f"{name}-{PACKED_SIZE}-{function.spec.name}",
                name=PACKED_SIZE,
                log_group_name=function.log_group,
                # Of a JSON line's field, not of terms: the number is the value (User Guide, "Filter pattern
                # syntax"). No default: a line without it says nothing about a size.
                pattern=f"{{ $.{_PACKED_SIZE_FIELD} >= 0 }}",
                metric_transformation=cloudwatch.LogMetricFilterMetricTransformationArgs(
                    name=PACKED_SIZE, namespace=names.prefix, value=f"$.{_PACKED_SIZE_FIELD}"
                ),
                opts=child,
            )
        for spec in alarm_specs(names):
            cloudwatch.MetricAlarm(
                f"{name}-{spec.name}",
                name=names.name(spec.name),
                alarm_description=spec.why,
                namespace=spec.namespace,
                metric_name=spec.metric,
                dimensions=dict(spec.dimensions) or None,
                statistic=spec.statistic,
                comparison_operator="LessThanThreshold" if spec.below else "GreaterThanOrEqualToThreshold",
                threshold=spec.threshold,
                period=spec.seconds,
                evaluation_periods=spec.periods,
                datapoints_to_alarm=spec.breaching,
                treat_missing_data=spec.missing,
                alarm_actions=[topic.arn],
                ok_actions=[topic.arn],
                tags=names.tags("operational"),
                opts=child,
            )
        self.topic_arn = topic.arn
        self.register_outputs({"topicArn": self.topic_arn})
