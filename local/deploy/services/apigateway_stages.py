"""API Gateway's deployments and stages, with what is set on a stage and once an account."""

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
)
from local.deploy.services.apigateway import GONE, deleted_by, read_by, replaced, retag_by_arn

_SETTINGS = {
    "throttlingRateLimit": "throttling/rateLimit",
    "throttlingBurstLimit": "throttling/burstLimit",
    "loggingLevel": "logging/loglevel",
    "metricsEnabled": "metrics/enabled",
    "dataTraceEnabled": "logging/dataTrace",
    "cachingEnabled": "caching/enabled",
}
"""Method settings, and the path of each in a stage's patch."""


def _deployment(aws: Aws, _name: str, inputs: Inputs) -> Made:
    deployment = aws.client("apigateway").create_deployment(
        **picked(inputs, restApiId="restApi", description="description", variables="variables")
    )
    return Made(deployment["id"])


def _stage(aws: Aws, _name: str, inputs: Inputs) -> Made:
    api, stage = inputs["restApi"], inputs["stageName"]
    gateway = aws.client("apigateway")
    gateway.create_stage(
        tags=inputs.get("tags") or {},
        **picked(
            inputs,
            restApiId="restApi",
            stageName="stageName",
            deploymentId="deployment",
            description="description",
            variables="variables",
            tracingEnabled="xrayTracingEnabled",
        ),
    )
    if logs := inputs.get("accessLogSettings"):
        gateway.update_stage(
            restApiId=api,
            stageName=stage,
            patchOperations=[
                replaced("/accessLogSettings/destinationArn", logs["destinationArn"]),
                replaced("/accessLogSettings/format", logs["format"]),
            ],
        )
    return Made(
        f"ags-{api}-{stage}",
        {
            "arn": f"arn:aws:apigateway:{aws.region}::/restapis/{api}/stages/{stage}",
            "executionArn": aws.arn("execute-api", f"{api}/{stage}"),
            "invokeUrl": f"{aws.emulator.url}/_aws/execute-api/{api}/{stage}",
        },
    )


def _method_settings(aws: Aws, name: str, inputs: Inputs) -> Made:
    settings = inputs["settings"]
    known_keys(name, settings, " ".join(_SETTINGS))
    aws.client("apigateway").update_stage(
        restApiId=inputs["restApi"],
        stageName=inputs["stageName"],
        patchOperations=[
            replaced(f"/{inputs['methodPath']}/{_SETTINGS[key]}", value) for key, value in settings.items()
        ],
    )
    return Made(f"{inputs['restApi']}-{inputs['stageName']}-{inputs['methodPath']}")


def _account(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("apigateway").update_account(
        patchOperations=[replaced("/cloudwatchRoleArn", inputs["cloudwatchRoleArn"])]
    )
    return Made("api-gateway-account")


def _update_stage(aws: Aws, stage: Existing, inputs: Inputs) -> Made:
    changed = []
    if inputs["deployment"] != stage.inputs["deployment"]:
        changed.append(replaced("/deploymentId", inputs["deployment"]))
    for key, path in (("description", "/description"), ("xrayTracingEnabled", "/tracingEnabled")):
        if inputs.get(key) != stage.inputs.get(key):
            changed.append(replaced(path, inputs.get(key) or ("" if key == "description" else False)))
    if changed:
        aws.client("apigateway").update_stage(
            restApiId=inputs["restApi"], stageName=inputs["stageName"], patchOperations=changed
        )
    retag_by_arn(aws, stage, inputs)
    return stage.unchanged


def _read_method_settings(aws: Aws, settings: Existing) -> Existing | None:
    stage = picked(settings.inputs, restApiId="restApi", stageName="stageName")

    def look() -> bool:
        found = aws.client("apigateway").get_stage(**stage)
        return settings.inputs["methodPath"] in found.get("methodSettings", {})

    return if_there(settings, look, GONE)


def _reset_method_settings(aws: Aws, settings: Existing) -> None:
    with gone_is_fine(GONE):
        aws.client("apigateway").update_stage(
            restApiId=settings.inputs["restApi"],
            stageName=settings.inputs["stageName"],
            patchOperations=[{"op": "remove", "path": f"/{settings.inputs['methodPath']}"}],
        )


def _read_account(aws: Aws, account: Existing) -> Existing | None:
    return if_there(account, aws.client("apigateway").get_account)


def _account_stays(_aws: Aws, _account: Existing) -> None:
    """The account's settings are not the stack's alone; the provider leaves them, too."""


CREATORS = (
    Creator(
        token="aws:apigateway/deployment:Deployment",
        create=_deployment,
        read=read_by("get_deployment", restApiId="restApi", deploymentId="id"),
        properties=properties("restApi description variables triggers"),
        replacing=properties("description variables triggers"),
        delete=deleted_by("delete_deployment", restApiId="restApi", deploymentId="id"),
    ),
    Creator(
        token="aws:apigateway/stage:Stage",
        create=_stage,
        read=read_by("get_stage", restApiId="restApi", stageName="stageName"),
        properties=properties(
            "restApi stageName deployment description variables xrayTracingEnabled accessLogSettings tags"
        ),
        update=_update_stage,
        updatable=properties("deployment description xrayTracingEnabled tags"),
        delete=deleted_by("delete_stage", restApiId="restApi", stageName="stageName"),
    ),
    Creator(
        token="aws:apigateway/methodSettings:MethodSettings",
        create=_method_settings,
        read=_read_method_settings,
        properties=properties("restApi stageName methodPath settings"),
        update=again(_method_settings),
        updatable=properties("settings"),
        delete=_reset_method_settings,
    ),
    Creator(
        token="aws:apigateway/account:Account",
        create=_account,
        read=_read_account,
        properties=properties("cloudwatchRoleArn"),
        update=again(_account),
        updatable=properties("cloudwatchRoleArn"),
        delete=_account_stays,
    ),
)
