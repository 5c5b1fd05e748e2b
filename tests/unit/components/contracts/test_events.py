"""Events about contracts on their way from a function to whoever is told."""

import json

from components.iam import keys, resources
from components.naming import RegionNames

from ..programs import ACCOUNT, Deployment

NAMES = RegionNames(project="gdpr", stack="eu-west", account=ACCOUNT, region="eu-west-1")


def test_every_event_of_the_bus_goes_to_the_topic_and_is_kept_where_it_cannot(deployment: Deployment) -> None:
    name = f"{deployment.prefix}-contracts"
    (bus,) = deployment.of("aws:cloudwatch/eventBus:EventBus")
    (rule,) = deployment.of("aws:cloudwatch/eventRule:EventRule")
    (target,) = deployment.of("aws:cloudwatch/eventTarget:EventTarget")
    assert bus.inputs["name"] == rule.inputs["name"] == rule.inputs["eventBusName"] == name
    assert json.loads(rule.inputs["eventPattern"]) == {"source": ["gdpr.contracts"]}
    assert (target.inputs["rule"], target.inputs["eventBusName"]) == (name, name)
    assert target.inputs["arn"] == f"arn:mock:Topic:{name}"
    assert target.inputs["deadLetterConfig"] == {"arn": f"arn:mock:Queue:{deployment.prefix}-dead-letters"}
    # AWS warns of a role together with encrypted topics.
    assert "roleArn" not in target.inputs
    policy = deployment.named("aws:sns/topicPolicy:TopicPolicy", f"arn:mock:Topic:{name}", "arn")
    assert policy.urn in target.dependencies


def test_the_topic_is_encrypted_and_takes_nothing_but_what_this_rule_sends(deployment: Deployment) -> None:
    name = f"{deployment.prefix}-contracts"
    topic = deployment.named("aws:sns/topic:Topic", name)
    assert topic.inputs["kmsMasterKeyId"] == f"arn:mock:Key:{deployment.prefix}-key-key"
    policy = deployment.named("aws:sns/topicPolicy:TopicPolicy", f"arn:mock:Topic:{name}", "arn")
    allowed, denied = policy.document()["Statement"]
    rule = f"arn:aws:events:{deployment.region}:{ACCOUNT}:rule/{name}/{name}"
    assert allowed["Principal"] == {"Service": ["events.amazonaws.com"]}
    assert allowed["Action"] == ["sns:Publish"]
    assert allowed["Condition"] == {"ArnEquals": {"aws:SourceArn": rule}}
    assert (denied["Effect"], denied["Principal"]) == ("Deny", "*")


def test_the_regions_key_lets_eventbridge_use_this_topic_and_the_dead_letters() -> None:
    of_topic, of_queue = (
        statement
        for statement in keys.region_key(NAMES)
        if statement.principals and statement.principals.names == ["events.amazonaws.com"]
    )
    (topic, _) = resources.contracts_topic(NAMES)
    assert of_topic.conditions == {
        "StringEquals": {"kms:EncryptionContext:aws:sns:topicArn": topic.resources[0]}
    }
    assert of_queue.conditions == {
        "StringEquals": {"kms:EncryptionContext:aws:sqs:arn": NAMES.queue_arn("dead-letters")}
    }


def test_the_dead_letters_take_events_from_this_rule_only() -> None:
    allowed, denied = resources.dead_letters_queue(NAMES)
    assert allowed.conditions == {"ArnEquals": {"aws:SourceArn": NAMES.event_rule_arn}}
    assert denied.effect == "Deny"
