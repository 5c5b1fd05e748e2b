"""EventBridge buses, rules and their targets."""

from typing import Any

from local.deploy.creator import (
    Aws,
    Creator,
    DeploymentError,
    Existing,
    Inputs,
    Made,
    again,
    gone_is_fine,
    if_there,
    known_keys,
    pascal,
    picked,
    properties,
    retag,
    tag_list,
)

_DEFAULT = "default"
_GONE = "ResourceNotFoundException"


def _retag(aws: Aws, existing: Existing, inputs: Inputs) -> None:
    events, arn = aws.client("events"), existing.outputs["arn"]
    retag(
        existing,
        inputs,
        tag=lambda tags: events.tag_resource(ResourceARN=arn, Tags=tag_list({"tags": tags})),
        untag=lambda keys: events.untag_resource(ResourceARN=arn, TagKeys=keys),
    )


def _bus(aws: Aws, name: str, inputs: Inputs) -> Made:
    bus = inputs.get("name") or name
    arn = aws.client("events").create_event_bus(
        Name=bus,
        Tags=tag_list(inputs),
        **picked(inputs, Description="description", KmsKeyIdentifier="kmsKeyIdentifier"),
    )["EventBusArn"]
    return Made(bus, {"name": bus, "arn": arn})


def _read_bus(aws: Aws, bus: Existing) -> Existing | None:
    return if_there(bus, lambda: aws.client("events").describe_event_bus(Name=bus.id), _GONE)


def _update_bus(aws: Aws, bus: Existing, inputs: Inputs) -> Made:
    _retag(aws, bus, inputs)
    return bus.unchanged


def _delete_bus(aws: Aws, bus: Existing) -> None:
    with gone_is_fine(_GONE):
        aws.client("events").delete_event_bus(Name=bus.id)


def _put_rule(aws: Aws, name: str, inputs: Inputs) -> str:
    arn: str = aws.client("events").put_rule(
        Name=name,
        **picked(
            inputs,
            EventBusName="eventBusName",
            EventPattern="eventPattern",
            ScheduleExpression="scheduleExpression",
            Description="description",
            State="state",
            RoleArn="roleArn",
        ),
    )["RuleArn"]
    return arn


def _rule(aws: Aws, name: str, inputs: Inputs) -> Made:
    rule, bus = inputs.get("name") or name, inputs.get("eventBusName") or _DEFAULT
    made = Made(
        rule if bus == _DEFAULT else f"{bus}/{rule}",
        {"name": rule, "arn": _put_rule(aws, rule, inputs), "eventBusName": bus},
    )
    if inputs.get("tags"):
        aws.client("events").tag_resource(ResourceARN=made.outputs["arn"], Tags=tag_list(inputs))
    return made


def _read_rule(aws: Aws, rule: Existing) -> Existing | None:
    known_as = picked(dict(rule.outputs), Name="name", EventBusName="eventBusName")
    return if_there(rule, lambda: aws.client("events").describe_rule(**known_as), _GONE)


def _update_rule(aws: Aws, rule: Existing, inputs: Inputs) -> Made:
    _put_rule(aws, rule.outputs["name"], inputs)
    _retag(aws, rule, inputs)
    return rule.unchanged


def _delete_rule(aws: Aws, rule: Existing) -> None:
    with gone_is_fine(_GONE):
        aws.client("events").delete_rule(Name=rule.outputs["name"], EventBusName=rule.outputs["eventBusName"])


def _target_settings(name: str, inputs: Inputs) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    if transformer := inputs.get("inputTransformer"):
        known_keys(name, transformer, "inputPaths inputTemplate")
        nested["InputTransformer"] = picked(
            transformer, InputPathsMap="inputPaths", InputTemplate="inputTemplate"
        )
    if letters := inputs.get("deadLetterConfig"):
        nested["DeadLetterConfig"] = pascal(letters)
    if retries := inputs.get("retryPolicy"):
        nested["RetryPolicy"] = pascal(retries)
    return {
        **picked(inputs, Arn="arn", RoleArn="roleArn", Input="input", InputPath="inputPath"),
        **nested,
    }


def _target(aws: Aws, name: str, inputs: Inputs) -> Made:
    target, bus = inputs.get("targetId") or name, inputs.get("eventBusName") or _DEFAULT
    refused = aws.client("events").put_targets(
        Rule=inputs["rule"],
        EventBusName=bus,
        Targets=[{"Id": target, **_target_settings(name, inputs)}],
    )["FailedEntries"]
    if refused:
        raise DeploymentError(
            f"aws:cloudwatch/eventTarget:EventTarget {name!r}: {refused[0].get('ErrorMessage')}"
        )
    parts = [inputs["rule"], target] if bus == _DEFAULT else [bus, inputs["rule"], target]
    return Made("-".join(parts), {"targetId": target, "eventBusName": bus})


def _read_target(aws: Aws, target: Existing) -> Existing | None:
    pages = (
        aws.client("events")
        .get_paginator("list_targets_by_rule")
        .paginate(Rule=target.inputs["rule"], EventBusName=target.outputs["eventBusName"])
    )
    wanted = target.outputs["targetId"]
    return if_there(
        target, lambda: any(each["Id"] == wanted for page in pages for each in page["Targets"]), _GONE
    )


def _delete_target(aws: Aws, target: Existing) -> None:
    with gone_is_fine(_GONE):
        aws.client("events").remove_targets(
            Rule=target.inputs["rule"],
            EventBusName=target.outputs["eventBusName"],
            Ids=[target.outputs["targetId"]],
        )


CREATORS = (
    Creator(
        token="aws:cloudwatch/eventBus:EventBus",
        create=_bus,
        read=_read_bus,
        properties=properties("name description kmsKeyIdentifier tags"),
        update=_update_bus,
        updatable=properties("tags"),
        delete=_delete_bus,
    ),
    Creator(
        token="aws:cloudwatch/eventRule:EventRule",
        create=_rule,
        read=_read_rule,
        properties=properties(
            "name eventBusName eventPattern scheduleExpression description state roleArn tags"
        ),
        update=_update_rule,
        updatable=properties("eventPattern scheduleExpression description state roleArn tags"),
        delete=_delete_rule,
    ),
    Creator(
        token="aws:cloudwatch/eventTarget:EventTarget",
        create=_target,
        read=_read_target,
        properties=properties(
            "rule eventBusName targetId arn roleArn input inputPath inputTransformer deadLetterConfig "
            "retryPolicy"
        ),
        update=again(_target),
        updatable=properties("arn roleArn input inputPath inputTransformer deadLetterConfig retryPolicy"),
        delete=_delete_target,
    ),
)
