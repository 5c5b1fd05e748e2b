"""API Gateway REST APIs."""

from typing import Any

from local.deploy.creator import Aws, Creator, DeploymentError, Inputs, Made, known_keys, picked, properties

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
    ),
    Creator(
        token="aws:apigateway/resource:Resource",
        create=_resource,
        properties=properties("restApi parentId pathPart"),
    ),
    Creator(
        token="aws:apigateway/method:Method",
        create=_method,
        properties=properties(
            "restApi resourceId httpMethod authorization authorizerId authorizationScopes apiKeyRequired "
            "operationName requestParameters requestModels requestValidatorId"
        ),
    ),
    Creator(
        token="aws:apigateway/methodResponse:MethodResponse",
        create=_method_response,
        properties=properties("restApi resourceId httpMethod statusCode responseParameters responseModels"),
    ),
    Creator(
        token="aws:apigateway/integration:Integration",
        create=_integration,
        properties=properties(
            "restApi resourceId httpMethod type integrationHttpMethod uri credentials passthroughBehavior "
            "requestParameters requestTemplates timeoutMilliseconds contentHandling"
        ),
    ),
    Creator(
        token="aws:apigateway/integrationResponse:IntegrationResponse",
        create=_integration_response,
        properties=properties(
            "restApi resourceId httpMethod statusCode selectionPattern responseParameters responseTemplates "
            "contentHandling"
        ),
    ),
    Creator(
        token="aws:apigateway/model:Model",
        create=_model,
        properties=properties("restApi name contentType description schema"),
    ),
    Creator(
        token="aws:apigateway/requestValidator:RequestValidator",
        create=_validator,
        properties=properties("restApi name validateRequestBody validateRequestParameters"),
    ),
    Creator(
        token="aws:apigateway/authorizer:Authorizer",
        create=_authorizer,
        properties=properties("restApi name type providerArns identitySource authorizerResultTtlInSeconds"),
    ),
    Creator(
        token="aws:apigateway/deployment:Deployment",
        create=_deployment,
        properties=properties("restApi description variables"),
        without_effect={"triggers": "it says when an update deploys again; here everything is made afresh"},
    ),
    Creator(
        token="aws:apigateway/stage:Stage",
        create=_stage,
        properties=properties(
            "restApi stageName deployment description variables xrayTracingEnabled accessLogSettings tags"
        ),
    ),
    Creator(
        token="aws:apigateway/methodSettings:MethodSettings",
        create=_method_settings,
        properties=properties("restApi stageName methodPath settings"),
    ),
    Creator(
        token="aws:apigateway/response:Response",
        create=_gateway_response,
        properties=properties("restApiId responseType statusCode responseParameters responseTemplates"),
    ),
    Creator(
        token="aws:apigateway/account:Account", create=_account, properties=properties("cloudwatchRoleArn")
    ),
)
