"""API Gateway REST APIs."""

from collections.abc import Callable
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
    known_keys,
    picked,
    properties,
    retag,
)

_GONE = "NotFoundException"

_SETTINGS = {
    "throttlingRateLimit": "throttling/rateLimit",
    "throttlingBurstLimit": "throttling/burstLimit",
    "loggingLevel": "logging/loglevel",
    "metricsEnabled": "metrics/enabled",
    "dataTraceEnabled": "logging/dataTrace",
    "cachingEnabled": "caching/enabled",
}
"""Method settings, and the path of each in a stage's patch."""


def _replace(path: str, value: Any) -> dict[str, str]:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return {"op": "replace", "path": path, "value": text}


def _api(aws: Aws, name: str, inputs: Inputs) -> Made:
    endpoint = {}
    if inputs.get("endpointConfiguration"):
        known_keys(name, inputs["endpointConfiguration"], "types ipAddressType")
        endpoint = {"endpointConfiguration": picked(inputs["endpointConfiguration"], types="types")}
        endpoint["endpointConfiguration"]["types"] = _types(name, inputs["endpointConfiguration"]["types"])
    api = aws.client("apigateway").create_rest_api(
        name=inputs.get("name") or name,
        tags=inputs.get("tags") or {},
        **picked(
            inputs,
            description="description",
            policy="policy",
            binaryMediaTypes="binaryMediaTypes",
            minimumCompressionSize="minimumCompressionSize",
            disableExecuteApiEndpoint="disableExecuteApiEndpoint",
            apiKeySource="apiKeySource",
        ),
        **endpoint,
    )
    return Made(
        api["id"],
        {
            "name": api["name"],
            "arn": f"arn:aws:apigateway:{aws.region}::/restapis/{api['id']}",
            "executionArn": aws.arn("execute-api", api["id"]),
            "rootResourceId": api["rootResourceId"],
        },
    )


def _types(name: str, types: Any) -> list[str]:
    kinds = [types] if isinstance(types, str) else list(types)
    if kinds != ["REGIONAL"]:
        raise DeploymentError(
            f"aws:apigateway/restApi:RestApi {name!r}: only a REGIONAL endpoint is known here"
        )
    return kinds


def _resource(aws: Aws, _name: str, inputs: Inputs) -> Made:
    resource = aws.client("apigateway").create_resource(
        **picked(inputs, restApiId="restApi", parentId="parentId", pathPart="pathPart")
    )
    return Made(resource["id"], {"path": resource["path"]})


def _method(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("apigateway").put_method(
        **picked(
            inputs,
            restApiId="restApi",
            resourceId="resourceId",
            httpMethod="httpMethod",
            authorizationType="authorization",
            authorizerId="authorizerId",
            authorizationScopes="authorizationScopes",
            apiKeyRequired="apiKeyRequired",
            operationName="operationName",
            requestParameters="requestParameters",
            requestModels="requestModels",
            requestValidatorId="requestValidatorId",
        )
    )
    return Made(f"agm-{inputs['restApi']}-{inputs['resourceId']}-{inputs['httpMethod']}")


def _method_response(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("apigateway").put_method_response(
        **picked(
            inputs,
            restApiId="restApi",
            resourceId="resourceId",
            httpMethod="httpMethod",
            statusCode="statusCode",
            responseParameters="responseParameters",
            responseModels="responseModels",
        )
    )
    return Made(
        f"agmr-{inputs['restApi']}-{inputs['resourceId']}-{inputs['httpMethod']}-{inputs['statusCode']}"
    )


def _integration(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("apigateway").put_integration(
        **picked(
            inputs,
            restApiId="restApi",
            resourceId="resourceId",
            httpMethod="httpMethod",
            type="type",
            integrationHttpMethod="integrationHttpMethod",
            uri="uri",
            credentials="credentials",
            passthroughBehavior="passthroughBehavior",
            requestParameters="requestParameters",
            requestTemplates="requestTemplates",
            timeoutInMillis="timeoutMilliseconds",
            contentHandling="contentHandling",
        )
    )
    return Made(f"agi-{inputs['restApi']}-{inputs['resourceId']}-{inputs['httpMethod']}")


def _integration_response(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("apigateway").put_integration_response(
        **picked(
            inputs,
            restApiId="restApi",
            resourceId="resourceId",
            httpMethod="httpMethod",
            statusCode="statusCode",
            selectionPattern="selectionPattern",
            responseParameters="responseParameters",
            responseTemplates="responseTemplates",
            contentHandling="contentHandling",
        )
    )
    return Made(
        f"agir-{inputs['restApi']}-{inputs['resourceId']}-{inputs['httpMethod']}-{inputs['statusCode']}"
    )


def _model(aws: Aws, name: str, inputs: Inputs) -> Made:
    model = aws.client("apigateway").create_model(
        name=inputs.get("name") or name,
        **picked(
            inputs, restApiId="restApi", contentType="contentType", description="description", schema="schema"
        ),
    )
    return Made(model["id"], {"name": model["name"]})


def _validator(aws: Aws, name: str, inputs: Inputs) -> Made:
    validator = aws.client("apigateway").create_request_validator(
        name=inputs.get("name") or name,
        **picked(
            inputs,
            restApiId="restApi",
            validateRequestBody="validateRequestBody",
            validateRequestParameters="validateRequestParameters",
        ),
    )
    return Made(validator["id"], {"name": validator["name"]})


def _authorizer(aws: Aws, name: str, inputs: Inputs) -> Made:
    authorizer = aws.client("apigateway").create_authorizer(
        name=inputs.get("name") or name,
        **picked(
            inputs,
            restApiId="restApi",
            type="type",
            providerARNs="providerArns",
            identitySource="identitySource",
            authorizerResultTtlInSeconds="authorizerResultTtlInSeconds",
        ),
    )
    return Made(authorizer["id"], {"name": authorizer["name"]})


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
                _replace("/accessLogSettings/destinationArn", logs["destinationArn"]),
                _replace("/accessLogSettings/format", logs["format"]),
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
            _replace(f"/{inputs['methodPath']}/{_SETTINGS[key]}", value) for key, value in settings.items()
        ],
    )
    return Made(f"{inputs['restApi']}-{inputs['stageName']}-{inputs['methodPath']}")


def _gateway_response(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("apigateway").put_gateway_response(
        **picked(
            inputs,
            restApiId="restApiId",
            responseType="responseType",
            statusCode="statusCode",
            responseParameters="responseParameters",
            responseTemplates="responseTemplates",
        )
    )
    return Made(f"aggr-{inputs['restApiId']}-{inputs['responseType']}")


def _account(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("apigateway").update_account(
        patchOperations=[_replace("/cloudwatchRoleArn", inputs["cloudwatchRoleArn"])]
    )
    return Made("api-gateway-account")


def _update_api(aws: Aws, api: Existing, inputs: Inputs) -> Made:
    gateway = aws.client("apigateway")
    changed = [
        _replace(f"/{key}", inputs.get(key) or "")
        for key in ("description", "policy")
        if inputs.get(key) != api.inputs.get(key)
    ]
    if changed:
        gateway.update_rest_api(restApiId=api.id, patchOperations=changed)
    _retag(aws, api, inputs)
    return api.unchanged


def _retag(aws: Aws, existing: Existing, inputs: Inputs) -> None:
    gateway, arn = aws.client("apigateway"), existing.outputs["arn"]
    retag(
        existing,
        inputs,
        tag=lambda tags: gateway.tag_resource(resourceArn=arn, tags=tags),
        untag=lambda keys: gateway.untag_resource(resourceArn=arn, tagKeys=keys),
    )


def _update_stage(aws: Aws, stage: Existing, inputs: Inputs) -> Made:
    changed = []
    if inputs["deployment"] != stage.inputs["deployment"]:
        changed.append(_replace("/deploymentId", inputs["deployment"]))
    for key, path in (("description", "/description"), ("xrayTracingEnabled", "/tracingEnabled")):
        if inputs.get(key) != stage.inputs.get(key):
            changed.append(_replace(path, inputs.get(key) or ("" if key == "description" else False)))
    if changed:
        aws.client("apigateway").update_stage(
            restApiId=inputs["restApi"], stageName=inputs["stageName"], patchOperations=changed
        )
    _retag(aws, stage, inputs)
    return stage.unchanged


def _reset_method_settings(aws: Aws, settings: Existing) -> None:
    with gone_is_fine(_GONE):
        aws.client("apigateway").update_stage(
            restApiId=settings.inputs["restApi"],
            stageName=settings.inputs["stageName"],
            patchOperations=[{"op": "remove", "path": f"/{settings.inputs['methodPath']}"}],
        )


def _by(operation: str, **names: str) -> Callable[[Aws, Existing], None]:
    """The deletion by the operation of this name; of each parameter the input's name, `id` for the id."""

    def delete(aws: Aws, existing: Existing) -> None:
        with gone_is_fine(_GONE):
            getattr(aws.client("apigateway"), operation)(
                **picked({**existing.inputs, **existing.outputs, "id": existing.id}, **names)
            )

    return delete


def _account_stays(_aws: Aws, _account: Existing) -> None:
    """The account's settings are not the stack's alone; the provider leaves them, too."""


CREATORS = (
    Creator(
        token="aws:apigateway/restApi:RestApi",
        create=_api,
        properties=properties(
            "name tags description policy binaryMediaTypes minimumCompressionSize disableExecuteApiEndpoint "
            "apiKeySource endpointConfiguration"
        ),
        without_effect={
            "securityPolicy": "the emulator's TLS is its own: it does not follow the API's policy",
            "endpointAccessMode": "the emulator's TLS is its own: it does not follow the API's policy",
        },
        update=_update_api,
        updatable=properties("description policy tags"),
        delete=_by("delete_rest_api", restApiId="id"),
    ),
    Creator(
        token="aws:apigateway/resource:Resource",
        create=_resource,
        properties=properties("restApi parentId pathPart"),
        delete=_by("delete_resource", restApiId="restApi", resourceId="id"),
    ),
    Creator(
        token="aws:apigateway/method:Method",
        create=_method,
        properties=properties(
            "restApi resourceId httpMethod authorization authorizerId authorizationScopes apiKeyRequired "
            "operationName requestParameters requestModels requestValidatorId"
        ),
        delete=_by("delete_method", restApiId="restApi", resourceId="resourceId", httpMethod="httpMethod"),
    ),
    Creator(
        token="aws:apigateway/methodResponse:MethodResponse",
        create=_method_response,
        properties=properties("restApi resourceId httpMethod statusCode responseParameters responseModels"),
        delete=_by(
            "delete_method_response",
            restApiId="restApi",
            resourceId="resourceId",
            httpMethod="httpMethod",
            statusCode="statusCode",
        ),
    ),
    Creator(
        token="aws:apigateway/integration:Integration",
        create=_integration,
        properties=properties(
            "restApi resourceId httpMethod type integrationHttpMethod uri credentials passthroughBehavior "
            "requestParameters requestTemplates timeoutMilliseconds contentHandling"
        ),
        delete=_by(
            "delete_integration", restApiId="restApi", resourceId="resourceId", httpMethod="httpMethod"
        ),
    ),
    Creator(
        token="aws:apigateway/integrationResponse:IntegrationResponse",
        create=_integration_response,
        properties=properties(
            "restApi resourceId httpMethod statusCode selectionPattern responseParameters responseTemplates "
            "contentHandling"
        ),
        update=again(_integration_response),
        updatable=properties("selectionPattern responseParameters responseTemplates contentHandling"),
        delete=_by(
            "delete_integration_response",
            restApiId="restApi",
            resourceId="resourceId",
            httpMethod="httpMethod",
            statusCode="statusCode",
        ),
    ),
    Creator(
        token="aws:apigateway/model:Model",
        create=_model,
        properties=properties("restApi name contentType description schema"),
        delete=_by("delete_model", restApiId="restApi", modelName="name"),
    ),
    Creator(
        token="aws:apigateway/requestValidator:RequestValidator",
        create=_validator,
        properties=properties("restApi name validateRequestBody validateRequestParameters"),
        delete=_by("delete_request_validator", restApiId="restApi", requestValidatorId="id"),
    ),
    Creator(
        token="aws:apigateway/authorizer:Authorizer",
        create=_authorizer,
        properties=properties("restApi name type providerArns identitySource authorizerResultTtlInSeconds"),
        delete=_by("delete_authorizer", restApiId="restApi", authorizerId="id"),
    ),
    Creator(
        token="aws:apigateway/deployment:Deployment",
        create=_deployment,
        properties=properties("restApi description variables triggers"),
        replacing=properties("description variables triggers"),
        delete=_by("delete_deployment", restApiId="restApi", deploymentId="id"),
    ),
    Creator(
        token="aws:apigateway/stage:Stage",
        create=_stage,
        properties=properties(
            "restApi stageName deployment description variables xrayTracingEnabled accessLogSettings tags"
        ),
        update=_update_stage,
        updatable=properties("deployment description xrayTracingEnabled tags"),
        delete=_by("delete_stage", restApiId="restApi", stageName="stageName"),
    ),
    Creator(
        token="aws:apigateway/methodSettings:MethodSettings",
        create=_method_settings,
        properties=properties("restApi stageName methodPath settings"),
        update=again(_method_settings),
        updatable=properties("settings"),
        delete=_reset_method_settings,
    ),
    Creator(
        token="aws:apigateway/response:Response",
        create=_gateway_response,
        properties=properties("restApiId responseType statusCode responseParameters responseTemplates"),
        update=again(_gateway_response),
        updatable=properties("statusCode responseParameters responseTemplates"),
        delete=_by("delete_gateway_response", restApiId="restApiId", responseType="responseType"),
    ),
    Creator(
        token="aws:apigateway/account:Account",
        create=_account,
        properties=properties("cloudwatchRoleArn"),
        update=again(_account),
        updatable=properties("cloudwatchRoleArn"),
        delete=_account_stays,
    ),
)
