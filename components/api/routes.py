"""The API's routes as API Gateway has them: one resource a path segment, one method an operation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import apigateway, lambda_

from ..functions.function import PrivacyFunction
from .contract import Operation, Routes
from .responses import CONTENT_TYPE, GatewayProblem, method_not_allowed
from .snapshot import Named, Snapshot

GATEWAY_TIMEOUT = 29_000
"""Milliseconds; the longest that API Gateway waits for a function unless a quota is raised."""


@dataclass(frozen=True, kw_only=True)
class RouteParts:
    """What all routes of an API share.

    `generation` is the API's id as methods and what belongs to them take it (see `Snapshot.generation`).
    """

    snapshot: Snapshot
    api: apigateway.RestApi
    generation: Named
    stage: str
    authorizer: Named
    validators: Mapping[bool, Named]
    """Validators by whether there is a body to check."""
    body: Named
    routes: Routes
    functions: Mapping[str, PrivacyFunction]


def declare_routes(name: str, parts: RouteParts, parent: pulumi.Resource) -> None:
    """Declare every route, and under `parent` the permissions to call the functions; `name` is the API's."""
    resources = _resources(parts)
    for operation in parts.routes.operations:
        _operation(parts, operation, resources[operation.path])
        _permission(name, parts, operation, parent)
    for path, methods in parts.routes.methods.items():
        _other_methods(parts, path, method_not_allowed(methods), resources[path])


def slug(path: str) -> str:
    """Return a path as part of a resource's name."""
    return path.strip("/").replace("/", "-").replace("{", "").replace("}", "").replace(".", "-")


def _resources(parts: RouteParts) -> Mapping[str, Named]:
    """Declare one resource for each path and for what lies above it; return their ids."""
    ids = {"": Named(parts.api.root_resource_id, "/")}
    for path in parts.routes.methods:
        above = ""
        for segment in path.strip("/").split("/"):
            here = f"{above}/{segment}"
            if here not in ids:
                resource = parts.snapshot.declare(
                    apigateway.Resource,
                    f"path-{slug(here)}",
                    rest_api=Named(parts.api.id, "api"),
                    parent_id=ids[above],
                    path_part=segment,
                )
                ids[here] = Named(resource.id, here)
            above = here
    return ids


def _operation(parts: RouteParts, operation: Operation, resource_id: Named) -> None:
    route = f"{operation.method.lower()}-{slug(operation.path)}"
    method = parts.snapshot.declare(
        apigateway.Method,
        f"{route}-method",
        rest_api=parts.generation,
        resource_id=resource_id,
        http_method=operation.method,
        authorization="COGNITO_USER_POOLS" if operation.secured else "NONE",
        authorizer_id=parts.authorizer if operation.secured else None,
        # Any scope of this API: the gateway could only say 401 to a token that lacks one. The function
        # says which scope is missing, with the 403 that RFC 6750 wants.
        authorization_scopes=sorted(parts.routes.scopes) if operation.secured else None,
        request_validator_id=parts.validators[operation.has_body],
        request_models={"application/json": parts.body} if operation.has_body else None,
        request_parameters=dict(operation.parameters) or None,
    )
    parts.snapshot.declare(
        apigateway.Integration,
        f"{route}-integration",
        rest_api=parts.generation,
        resource_id=resource_id,
        http_method=Named(method.http_method, operation.method),
        type="AWS_PROXY",
        integration_http_method="POST",
        uri=Named(parts.functions[operation.function].invoke_arn, operation.function),
        timeout_milliseconds=GATEWAY_TIMEOUT,
    )


def _permission(name: str, parts: RouteParts, operation: Operation, parent: pulumi.Resource) -> None:
    lambda_.Permission(
        f"{name}-{operation.method.lower()}-{slug(operation.path)}-permission",
        action="lambda:InvokeFunction",
        function=parts.functions[operation.function].function_name,
        principal="apigateway.amazonaws.com",
        source_arn=parts.api.execution_arn.apply(
            lambda arn: f"{arn}/{parts.stage}/{operation.method}{operation.permission_path}"
        ),
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _other_methods(parts: RouteParts, path: str, problem: GatewayProblem, resource_id: Named) -> None:
    """Answer 405 to what a path does not have; the gateway by itself would say that the path is not there."""
    route = f"any-{slug(path)}"
    headers = {**problem.sent_headers, "Content-Type": CONTENT_TYPE}
    status = str(problem.status)
    method = parts.snapshot.declare(
        apigateway.Method,
        f"{route}-method",
        rest_api=parts.generation,
        resource_id=resource_id,
        http_method="ANY",
        authorization="NONE",
    )
    of_it: dict[str, Any] = {
        "rest_api": parts.generation,
        "resource_id": resource_id,
        "http_method": Named(method.http_method, "ANY"),
    }
    integration = parts.snapshot.declare(
        apigateway.Integration,
        f"{route}-integration",
        **of_it,
        type="MOCK",
        request_templates={"application/json": f'{{"statusCode": {status}}}'},
        # A body of another type would be taken for the template's result and fail with 500; so it gets a 415.
        passthrough_behavior="WHEN_NO_TEMPLATES",
    )
    method_response = parts.snapshot.declare(
        apigateway.MethodResponse,
        f"{route}-response",
        **of_it,
        status_code=status,
        response_parameters={f"method.response.header.{header}": True for header in headers},
    )
    parts.snapshot.declare(
        apigateway.IntegrationResponse,
        f"{route}-answer",
        after=[integration],
        **of_it,
        status_code=Named(method_response.status_code, status),
        response_parameters={
            f"method.response.header.{header}": f"'{value}'" for header, value in headers.items()
        },
        response_templates={"application/json": problem.template},
    )
