"""Step Functions state machines and CloudWatch log groups."""

from local.deploy.creator import Aws, Creator, Inputs, Made, known_keys, picked, properties


def _state_machine(aws: Aws, name: str, inputs: Inputs) -> Made:
    machine = inputs.get("name") or name
    logging = {}
    if settings := inputs.get("loggingConfiguration"):
        known_keys(name, settings, "logDestination includeExecutionData level")
        logging = {
            "loggingConfiguration": {
                **picked(settings, level="level", includeExecutionData="includeExecutionData"),
                "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": settings["logDestination"]}}],
            }
        }
    created = aws.client("stepfunctions").create_state_machine(
        name=machine,
        tags=[{"key": key, "value": value} for key, value in (inputs.get("tags") or {}).items()],
        **picked(
            inputs,
            definition="definition",
            roleArn="roleArn",
            type="type",
            tracingConfiguration="tracingConfiguration",
            encryptionConfiguration="encryptionConfiguration",
        ),
        **logging,
    )
    return Made(created["stateMachineArn"], {"arn": created["stateMachineArn"], "name": machine})


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


CREATORS = (
    Creator(
        token="aws:sfn/stateMachine:StateMachine",
        create=_state_machine,
        properties=properties(
            "name definition roleArn type loggingConfiguration tracingConfiguration "
            "encryptionConfiguration tags"
        ),
    ),
    Creator(
        token="aws:cloudwatch/logGroup:LogGroup",
        create=_log_group,
        properties=properties("name kmsKeyId logGroupClass retentionInDays tags"),
        without_effect={"skipDestroy": "only `pulumi destroy` uses it"},
    ),
)
