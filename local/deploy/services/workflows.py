"""Step Functions state machines and CloudWatch log groups."""

from typing import Any

from local.deploy.creator import (
    Aws,
    Creator,
    Existing,
    Inputs,
    Made,
    gone_is_fine,
    if_there,
    known_keys,
    picked,
    properties,
    retag,
)

_GONE = "ResourceNotFoundException"

_CHANGEABLE = "definition roleArn loggingConfiguration tracingConfiguration encryptionConfiguration"


def _machine_settings(name: str, inputs: Inputs) -> dict[str, Any]:
    logging = {}
    if settings := inputs.get("loggingConfiguration"):
        known_keys(name, settings, "logDestination includeExecutionData level")
        logging = {
            "loggingConfiguration": {
                **picked(settings, level="level", includeExecutionData="includeExecutionData"),
                "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": settings["logDestination"]}}],
            }
        }
    return {
        **picked(
            inputs,
            definition="definition",
            roleArn="roleArn",
            tracingConfiguration="tracingConfiguration",
            encryptionConfiguration="encryptionConfiguration",
        ),
        **logging,
    }


def _machine_tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _state_machine(aws: Aws, name: str, inputs: Inputs) -> Made:
    machine = inputs.get("name") or name
    arn = aws.client("stepfunctions").create_state_machine(
        name=machine,
        tags=_machine_tags(inputs.get("tags") or {}),
        **picked(inputs, type="type"),
        **_machine_settings(name, inputs),
    )["stateMachineArn"]
    return Made(arn, {"arn": arn, "name": machine})


def _read_state_machine(aws: Aws, machine: Existing) -> Existing | None:
    workflows = aws.client("stepfunctions")
    return if_there(
        machine,
        lambda: workflows.describe_state_machine(stateMachineArn=machine.id),
        "StateMachineDoesNotExist",
    )


def _update_state_machine(aws: Aws, machine: Existing, inputs: Inputs) -> Made:
    workflows = aws.client("stepfunctions")
    if any(inputs.get(key) != machine.inputs.get(key) for key in _CHANGEABLE.split()):
        workflows.update_state_machine(stateMachineArn=machine.id, **_machine_settings(machine.name, inputs))
    retag(
        machine,
        inputs,
        tag=lambda tags: workflows.tag_resource(resourceArn=machine.id, tags=_machine_tags(tags)),
        untag=lambda keys: workflows.untag_resource(resourceArn=machine.id, tagKeys=keys),
    )
    return machine.unchanged


def _delete_state_machine(aws: Aws, machine: Existing) -> None:
    aws.client("stepfunctions").delete_state_machine(stateMachineArn=machine.id)  # no error when it is gone


def _log_group(aws: Aws, name: str, inputs: Inputs) -> Made:
    group = inputs.get("name") or name
    logs = aws.client("logs")
    logs.create_log_group(
        logGroupName=group,
        tags=inputs.get("tags") or {},
        **picked(inputs, kmsKeyId="kmsKeyId", logGroupClass="logGroupClass"),
    )
    if inputs.get("retentionInDays"):
        logs.put_retention_policy(logGroupName=group, retentionInDays=inputs["retentionInDays"])
    return Made(group, {"name": group, "arn": aws.arn("logs", f"log-group:{group}")})


def _read_log_group(aws: Aws, group: Existing) -> Existing | None:
    pages = aws.client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=group.id)
    return if_there(
        group, lambda: any(each["logGroupName"] == group.id for page in pages for each in page["logGroups"])
    )


def _update_log_group(aws: Aws, group: Existing, inputs: Inputs) -> Made:
    logs = aws.client("logs")
    if inputs.get("retentionInDays") != group.inputs.get("retentionInDays"):
        if inputs.get("retentionInDays"):
            logs.put_retention_policy(logGroupName=group.id, retentionInDays=inputs["retentionInDays"])
        else:
            logs.delete_retention_policy(logGroupName=group.id)
    if inputs.get("kmsKeyId") != group.inputs.get("kmsKeyId"):
        if inputs.get("kmsKeyId"):
            logs.associate_kms_key(logGroupName=group.id, kmsKeyId=inputs["kmsKeyId"])
        else:
            logs.disassociate_kms_key(logGroupName=group.id)
    retag(
        group,
        inputs,
        tag=lambda tags: logs.tag_log_group(logGroupName=group.id, tags=tags),
        untag=lambda keys: logs.untag_log_group(logGroupName=group.id, tags=keys),
    )
    return group.unchanged


def _delete_log_group(aws: Aws, group: Existing) -> None:
    if not group.inputs.get("skipDestroy"):
        with gone_is_fine(_GONE):
            aws.client("logs").delete_log_group(logGroupName=group.id)


CREATORS = (
    Creator(
        token="aws:sfn/stateMachine:StateMachine",
        create=_state_machine,
        read=_read_state_machine,
        properties=properties(
            "name definition roleArn type loggingConfiguration tracingConfiguration "
            "encryptionConfiguration tags"
        ),
        update=_update_state_machine,
        updatable=properties(f"{_CHANGEABLE} tags"),
        delete=_delete_state_machine,
    ),
    Creator(
        token="aws:cloudwatch/logGroup:LogGroup",
        create=_log_group,
        read=_read_log_group,
        properties=properties("name kmsKeyId logGroupClass retentionInDays tags skipDestroy"),
        update=_update_log_group,
        updatable=properties("kmsKeyId retentionInDays tags skipDestroy"),
        delete=_delete_log_group,
    ),
)
