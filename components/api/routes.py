"""The API's routes as API Gateway has them: one resource a path segment, one method an operation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import apigateway, lambda_

from ..functions.function import PrivacyFunction
from .contract import Operation, Routes
from .responses import CONTENT_TYPE, GatewayProblem, method_not_allowed

GATEWAY_TIMEOUT = 29_000
"""Milliseconds; the longest that API Gateway waits for a function unless a quota is raised."""


@dataclass(frozen=True, kw_only=True)
class RouteParts:
    """What all routes of an API share."""

    api: apigateway.RestApi
    stage: str
    authorizer: apigateway.Authorizer
    validators: Mapping[bool, apigateway.RequestValidator]
    """Validators by whether there is a body to check."""
    body: apigateway.Model
    routes: Routes
    functions: Mapping[str, PrivacyFunction]


def declare_routes(name: str, parts: RouteParts, parent: pulumi.Resource) -> list[pulumi.Resource]:
    """Declare every route and return what a deployment has to wait for."""
    resources = _resources(name, parts, parent)
    made: list[pulumi.Resource] = []
    for operation in parts.routes.operations:
        made += _operation(name, parts, operation, resources[operation.path], parent)
    for path, methods in parts.routes.methods.items():
        made += _other_methods(name, parts, path, method_not_allowed(methods), resources[path], parent)
    return made


def slug(path: str) -> str:
    """Return a path as part of a resource's name."""
    return path.strip("/").replace("/", "-").replace("{", "").replace("}", "").replace(".", "-")


def _resources(name: str, parts: RouteParts, parent: pulumi.Resource) -> Mapping[str, pulumi.Output[str]]:
    """Declare one resource for each path and for what lies above it; return their ids."""
    ids: dict[str, pulumi.Output[str]] = {"": parts.api.root_resource_id}
    for path in parts.routes.methods:
        above = ""
        for segment in path.strip("/").split("/"):
            here = f"{above}/{segment}"
            if here not in ids:
                ids[here] = apigateway.Resource(
                    f"{name}-path-{slug(here)}",
                    rest_api=parts.api.id,
                    parent_id=ids[above],
                    path_part=segment,
                    opts=pulumi.ResourceOptions(parent=parent),
                ).id
            above = here
    return ids


def _operation(
    name: str,
    parts: RouteParts,
    operation: Operation,
    resource_id: pulumi.Output[str],
    parent: pulumi.Resource,
) -> Iterable[pulumi.Resource]:
    route = f"{name}-{operation.method.lower()}-{slug(operation.path)}"
    child = pulumi.ResourceOptions(parent=parent)
    function = parts.functions[operation.function]
    method = apigateway.Method(
        f"{route}-method",
        rest_api=parts.api.id,
        resource_id=resource_id,
        http_method=operation.method,
        authorization="COGNITO_USER_POOLS" if operation.secured else "NONE",
        authorizer_id=parts.authorizer.id if operation.secured else None,
        # Any scope of this API: the gateway could only say 401 to a token that lacks one. The function
        # says which scope is missing, with the 403 that RFC 6750 wants.
        authorization_scopes=sorted(parts.routes.scopes) if operation.secured else None,
        request_validator_id=parts.validators[operation.has_body].id,
        request_models={"application/json": parts.body.name} if operation.has_body else None,
        request_parameters=operation.parameters or None,
        opts=child,
    )
    integration = apigateway.Integration(
        f"{route}-integration",
        rest_api=parts.api.id,
        resource_id=resource_id,
        http_method=method.http_method,
        type="AWS_PROXY",
        integration_http_method="POST",
        uri=function.invoke_arn,
        timeout_milliseconds=GATEWAY_TIMEOUT,
        opts=child,
    )
    lambda_.Permission(
        f"{route}-permission",
        action="lambda:InvokeFunction",
        function=function.function_name,
        principal="apigateway.amazonaws.com",
        source_arn=parts.api.execution_arn.apply(
            lambda arn: f"{arn}/{parts.stage}/{operation.method}{operation.permission_path}"
        ),
        opts=child,
    )
    return [method, integration]


def _other_methods(
    name: str,
    parts: RouteParts,
    path: str,
    problem: GatewayProblem,
    resource_id: pulumi.Output[str],
    parent: pulumi.Resource,
) -> Iterable[pulumi.Resource]:
    """Answer 405 to what a path does not have; the gateway by itself would say that the path is not there."""
    route = f"{name}-any-{slug(path)}"
    child = pulumi.ResourceOptions(parent=parent)
    headers = {**problem.headers, "Content-Type": CONTENT_TYPE}
    status = str(problem.status)
    method = apigateway.Method(
        f"{route}-method",
        rest_api=parts.api.id,
        resource_id=resource_id,
        http_method="ANY",
        authorization="NONE",
        opts=child,
    )
    integration = apigateway.Integration(
        f"{route}-integration",
        rest_api=parts.api.id,
        resource_id=resource_id,
        http_method=method.http_method,
        type="MOCK",
        request_templates={"application/json": f'{{"statusCode": {status}}}'},
        # A body of another type would be taken for the template's result and fail with 500; so it gets a 415.
        passthrough_behavior="WHEN_NO_TEMPLATES",
        opts=child,
    )
    method_response = apigateway.MethodResponse(
        f"{route}-response",
        rest_api=parts.api.id,
        resource_id=resource_id,
        http_method=method.http_method,
        status_code=status,
        response_parameters={f"method.response.header.{header}": True for header in headers},
        opts=child,
    )
    answer = apigateway.IntegrationResponse(
        f"{route}-answer",
        rest_api=parts.api.id,
        resource_id=resource_id,
        http_method=method.http_method,
        status_code=method_response.status_code,
        response_parameters={
            f"method.response.header.{header}": f"'{value}'" for header, value in headers.items()
        },
        response_templates={"application/json": problem.template},
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[integration]),
    )
    return [method, integration, method_response, answer]
