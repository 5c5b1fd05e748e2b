"""Events about contracts: the bus they are put on, and the topic that tells people of them.

They name a customer and dates of its contract, and nobody's data.
"""

import json
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, sns

from lambdas.privacy import environment

from ..ground import Ground
from ..iam.documents import document
from ..iam.resources import contracts_topic


@dataclass(frozen=True, kw_only=True)
class ContractEventsArgs:
    """The address that is told of the events (None: nobody is)."""

    ground: Ground
    recipient: str | None


class ContractEvents(pulumi.ComponentResource):
    """The region's bus of events about contracts. A rule passes every one of them to a topic.

    The operator's systems may add rules of their own; what cannot be passed on goes to the dead letters.
    """

    def __init__(
        self, name: str, args: ContractEventsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("gdpr:contract_events:ContractEvents", name, None, opts)
        names, child = args.ground.names, pulumi.ResourceOptions(parent=self)
        bus = cloudwatch.EventBus(
            f"{name}-bus",
            name=names.event_bus,
            description="What becomes of customers' contracts.",
            tags=names.tags("operational"),
            opts=child,
        )
        topic = sns.Topic(
            f"{name}-topic",
            name=names.event_bus,
            kms_master_key_id=args.ground.region_key_arn,
            tags=names.tags("operational"),
            opts=child,
        )
        allowed = sns.TopicPolicy(
            f"{name}-topic-policy", arn=topic.arn, policy=document(contracts_topic(names)), opts=child
        )
        if args.recipient is not None:
            # Whoever it is has to confirm: until then nobody is told.
            sns.TopicSubscription(
                f"{name}-recipient", topic=topic.arn, protocol="email", endpoint=args.recipient, opts=child
            )
        rule = cloudwatch.EventRule(
            f"{name}-rule",
            name=names.event_bus,
            description="Every event of the bus.",
            event_bus_name=bus.name,
            event_pattern=json.dumps({"source": [environment.EVENT_SOURCE]}),
            tags=names.tags("operational"),
            opts=child,
        )
        cloudwatch.EventTarget(
            f"{name}-target",
            rule=rule.name,
            event_bus_name=bus.name,
            target_id="topic",
            arn=topic.arn,
            dead_letter_config=cloudwatch.EventTargetDeadLetterConfigArgs(arn=args.ground.dead_letters_arn),
            # An event that comes before the policy would be refused.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed]),
        )
        self.register_outputs({})
