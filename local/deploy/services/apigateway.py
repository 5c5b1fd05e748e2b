"""API Gateway REST APIs: their resources, methods and answers. Stages are in `apigateway_stages`."""

from collections.abc import Callable, Mapping
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
    picked,
    properties,
    retag,
)

GONE = "NotFoundException"


def replaced(path: str, value: Any) -> dict[str, str]:
    """Return the patch that sets what stands at a path."""
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


def _update_api(aws: Aws, api: Existing, inputs: Inputs) -> Made:
    gateway = aws.client("apigateway")
    changed = [
        replaced(f"/{key}", inputs.get(key) or "")
        for key in ("description", "policy")
        if inputs.get(key) != api.inputs.get(key)
    ]
    if changed:
        gateway.update_rest_api(restApiId=api.id, patchOperations=changed)
    retag_by_arn(aws, api, inputs)
    return api.unchanged


def retag_by_arn(aws: Aws, existing: Existing, inputs: Inputs) -> None:
    """Bring the tags of an API or a stage from the recorded to the wanted ones."""
    gateway, arn = aws.client("apigateway"), existing.outputs["arn"]
    retag(
        existing,
        inputs,
        tag=lambda tags: gateway.tag_resource(resourceArn=arn, tags=tags),
        untag=lambda keys: gateway.untag_resource(resourceArn=arn, tagKeys=keys),
    )


def deleted_by(operation: str, **names: str) -> Callable[[Aws, Existing], None]:
    """The deletion by the operation of this name; of each parameter the input's name, `id` for the id."""

    def delete(aws: Aws, existing: Existing) -> None:
        with gone_is_fine(GONE):
            _call(aws, existing, operation, names)

    return delete


def read_by(operation: str, **names: str) -> Callable[[Aws, Existing], Existing | None]:
    """The reading by the operation of this name; of each parameter the input's name, `id` for the id."""
    return lambda aws, existing: if_there(existing, lambda: _call(aws, existing, operation, names), GONE)


def _call(aws: Aws, existing: Existing, operation: str, names: Mapping[str, str]) -> object:
    facts = {**existing.inputs, **existing.outputs, "id": existing.id}
    return getattr(aws.client("apigateway"), operation)(**picked(facts, **names))


CREATORS = (
    Creator(
        token="aws:apigateway/restApi:RestApi",
        create=_api,
        read=read_by("get_rest_api", restApiId="id"),
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
        delete=deleted_by("delete_rest_api", restApiId="id"),
    ),
    Creator(
        token="aws:apigateway/resource:Resource",
        create=_resource,
        read=read_by("get_resource", restApiId="restApi", resourceId="id"),
        properties=properties("restApi parentId pathPart"),
        delete=deleted_by("delete_resource", restApiId="restApi", resourceId="id"),
    ),
    Creator(
        token="aws:apigateway/method:Method",
        create=_method,
        read=read_by("get_method", restApiId="restApi", resourceId="resourceId", httpMethod="httpMethod"),
        properties=properties(
            "restApi resourceId httpMethod authorization authorizerId authorizationScopes apiKeyRequired "
            "operationName requestParameters requestModels requestValidatorId"
        ),
        replacing=properties("restApi resourceId httpMethod"),
        delete=deleted_by(
            "delete_method", restApiId="restApi", resourceId="resourceId", httpMethod="httpMethod"
        ),
    ),
    Creator(
        token="aws:apigateway/methodResponse:MethodResponse",
        create=_method_response,
        read=read_by(
            "get_method_response",
            restApiId="restApi",
            resourceId="resourceId",
            httpMethod="httpMethod",
            statusCode="statusCode",
        ),
        properties=properties("restApi resourceId httpMethod statusCode responseParameters responseModels"),
        replacing=properties("restApi resourceId httpMethod statusCode"),
        delete=deleted_by(
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
        read=read_by(
            "get_integration", restApiId="restApi", resourceId="resourceId", httpMethod="httpMethod"
        ),
        properties=properties(
            "restApi resourceId httpMethod type integrationHttpMethod uri credentials passthroughBehavior "
            "requestParameters requestTemplates timeoutMilliseconds contentHandling"
        ),
        replacing=properties("restApi resourceId httpMethod"),
        delete=deleted_by(
            "delete_integration", restApiId="restApi", resourceId="resourceId", httpMethod="httpMethod"
        ),
    ),
    Creator(
        token="aws:apigateway/integrationResponse:IntegrationResponse",
        create=_integration_response,
        read=read_by(
            "get_integration_response",
            restApiId="restApi",
            resourceId="resourceId",
            httpMethod="httpMethod",
            statusCode="statusCode",
        ),
        properties=properties(
            "restApi resourceId httpMethod statusCode selectionPattern responseParameters responseTemplates "
            "contentHandling"
        ),
        update=again(_integration_response),
        updatable=properties("selectionPattern responseParameters responseTemplates contentHandling"),
        replacing=properties("restApi resourceId httpMethod statusCode"),
        delete=deleted_by(
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
        read=read_by("get_model", restApiId="restApi", modelName="name"),
        properties=properties("restApi name contentType description schema"),
        replacing=properties("restApi name contentType"),
        delete=deleted_by("delete_model", restApiId="restApi", modelName="name"),
    ),
    Creator(
        token="aws:apigateway/requestValidator:RequestValidator",
        create=_validator,
        read=read_by("get_request_validator", restApiId="restApi", requestValidatorId="id"),
        properties=properties("restApi name validateRequestBody validateRequestParameters"),
        delete=deleted_by("delete_request_validator", restApiId="restApi", requestValidatorId="id"),
    ),
    Creator(
        token="aws:apigateway/authorizer:Authorizer",
        create=_authorizer,
        read=read_by("get_authorizer", restApiId="restApi", authorizerId="id"),
        properties=properties("restApi name type providerArns identitySource authorizerResultTtlInSeconds"),
        delete=deleted_by("delete_authorizer", restApiId="restApi", authorizerId="id"),
    ),
    Creator(
        token="aws:apigateway/response:Response",
        create=_gateway_response,
        read=read_by("get_gateway_response", restApiId="restApiId", responseType="responseType"),
        properties=properties("restApiId responseType statusCode responseParameters responseTemplates"),
        update=again(_gateway_response),
        updatable=properties("statusCode responseParameters responseTemplates"),
        replacing=properties("restApiId responseType"),
        delete=deleted_by("delete_gateway_response", restApiId="restApiId", responseType="responseType"),
    ),
)
