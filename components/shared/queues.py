"""Queues: what could not be delivered, and what happens in the vaults' buckets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import lambda_, sqs

from ..functions.catalogue import LONGEST_TIMEOUT
from ..functions.function import PrivacyFunction
from ..ground import Ground
from ..iam.documents import Statement, document
from ..iam.resources import dead_letters_queue, events_queue, queue
from ..naming import RegionNames

RETENTION_SECONDS = 14 * 24 * 3600
"""The longest that SQS keeps a message: nobody has to hurry to look at what failed."""

RECEIVES = 10
"""Times that an event is tried, over some four hours, before it is put aside; AWS advises at least 5."""


def _encrypted_queue(
    resource: str,
    *,
    parent: pulumi.Resource,
    names: RegionNames,
    queue_name: str,
    key_arn: pulumi.Input[str],
    policy: list[Statement],
    visibility_seconds: int | None = None,
    dead_letters_arn: pulumi.Output[str] | None = None,
) -> tuple[sqs.Queue, sqs.QueuePolicy]:
    made = sqs.Queue(
        resource,
        name=names.name(queue_name),
        kms_master_key_id=key_arn,
        message_retention_seconds=RETENTION_SECONDS,
        visibility_timeout_seconds=visibility_seconds,
        redrive_policy=dead_letters_arn.apply(
            lambda arn: json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": RECEIVES})
        )
        if dead_letters_arn is not None
        else None,
        tags=names.tags("pseudonymous"),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    guarded = sqs.QueuePolicy(
        f"{resource}-policy",
        queue_url=made.url,
        policy=document(policy),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return made, guarded


@dataclass(frozen=True, kw_only=True)
class DeadLettersArgs:
    """The stack's names, and the key that the queue is encrypted under."""

    names: RegionNames
    region_key_arn: pulumi.Input[str]


class DeadLetters(pulumi.ComponentResource):
    """Where Lambda, the scheduler and EventBridge leave what they could not deliver."""

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: DeadLettersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gdpr:queues:DeadLetters", name, None, opts)
        made, _ = _encrypted_queue(
            f"{name}-queue",
            parent=self,
            names=args.names,
            queue_name="dead-letters",
            key_arn=args.region_key_arn,
            policy=dead_letters_queue(args.names),
        )
        self.arn = made.arn
        self.register_outputs({"arn": self.arn})


@dataclass(frozen=True, kw_only=True)
class ObjectEventsArgs:
    """The functions by module name: one of them takes the events, so many of it `at_once`."""

    ground: Ground
    functions: Mapping[str, PrivacyFunction]
    at_once: int


class ObjectEvents(pulumi.ComponentResource):
    """Bucket events on their way to the index: a queue that loses none, another for what keeps failing."""

    queue_arn: pulumi.Output[str]
    """ARN of the queue, known only once S3 may send to it: S3 tries when a notification is set up."""

    def __init__(self, name: str, args: ObjectEventsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gdpr:queues:ObjectEvents", name, None, opts)
        names, key_arn = args.ground.names, args.ground.region_key_arn
        dead, _ = _encrypted_queue(
            f"{name}-dead",
            parent=self,
            names=names,
            queue_name="object-events-dead",
            key_arn=key_arn,
            policy=queue(names, "object-events-dead"),
        )
        events, allowed = _encrypted_queue(
            f"{name}-queue",
            parent=self,
            names=names,
            queue_name="object-events",
            key_arn=key_arn,
            policy=events_queue(names, "object-events"),
            # Lambda Developer Guide, "Using Lambda with Amazon SQS": six times the function's timeout.
            visibility_seconds=6 * LONGEST_TIMEOUT,
            dead_letters_arn=dead.arn,
        )
        lambda_.EventSourceMapping(
            f"{name}-mapping",
            event_source_arn=events.arn,
            function_name=args.functions["index_objects"].arn,
            batch_size=10,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config=lambda_.EventSourceMappingScalingConfigArgs(maximum_concurrency=args.at_once),
            tags=names.tags("operational"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.queue_arn = pulumi.Output.all(events.arn, allowed.id).apply(lambda made: str(made[0]))
        self.register_outputs({"queueArn": self.queue_arn})
