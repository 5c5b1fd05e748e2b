"""The privacy API: a regional REST API made from `openapi.yaml`."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import apigateway

from ..functions.function import PrivacyFunction
from ..ground import Ground
from ..naming import API_STAGE
from ..standard.log_group import encrypted_log_group
from .contract import Routes, routes
from .firewall import Firewall, FirewallArgs
from .responses import CONTENT_TYPE, GATEWAY_RESPONSES
from .routes import RouteParts, declare_routes
from .snapshot import Named, Snapshot

REQUESTS_PER_SECOND = 200
BURST = 400
"""Throttle of the stage; the account's own quota is 10,000 a second in most regions."""

TLS_POLICY = "SecurityPolicy_TLS13_1_2_2021_06"
"""TLS 1.3 or 1.2 with forward secrecy (API Gateway Developer Guide, "Supported security policies")."""

ACCESS_LOG = {
    "requestId": "$context.requestId",
    "method": "$context.httpMethod",
    "resource": "$context.resourcePath",
    "status": "$context.status",
    "latency": "$context.responseLatency",
    "client": "$context.authorizer.claims.client_id",
    "functionRequestId": "$context.integration.requestId",
    "refusedAs": "$context.error.responseType",
    "firewall": "$context.wafResponseCode",
}
"""The route, not the path; no address, no user agent: nothing that could name a person.

`requestId` is the call's id, in problem details, in requests and in what the functions log of a call;
`functionRequestId` is in every line that Lambda writes. `refusedAs` says why the gateway itself refused."""

BODY_SCHEMA = {"$schema": "http://json-schema.org/draft-04/schema#", "title": "Body", "type": "object"}
"""API Gateway knows JSON Schema draft 4 only; the functions check against the later one of openapi.yaml."""


@dataclass(frozen=True, kw_only=True)
class PrivacyApiArgs:
    """The functions behind the routes by module name, and the pool whose tokens count.

    `ready` is what has to exist before access can be logged: API Gateway's role, where this stack makes it.
    """

    ground: Ground
    functions: Mapping[str, PrivacyFunction]
    pool_arn: pulumi.Input[str]
    ready: pulumi.Resource | None = None


class PrivacyApi(pulumi.ComponentResource):
    """REST API with authorizer, request validation, throttle, firewall and an access log without people.

    Execution logs, data traces and X-Ray are off: each of them would record paths, headers or bodies.
    """

    url: pulumi.Output[str]

    def __init__(self, name: str, args: PrivacyApiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gdpr:api:PrivacyApi", name, None, opts)
        names = args.ground.names
        snapshot = Snapshot(name, self)
        api = snapshot.declare(
            apigateway.RestApi,
            "api",
            # Neither is copied: the same API in two stacks has the same fingerprint.
            name=Named(names.prefix, "prefix"),
            tags=Named(names.tags("personal"), "tags"),
            description="Erasure and correction, for the programs of customers.",
            endpoint_configuration={"types": "REGIONAL"},
            security_policy=TLS_POLICY,
            endpoint_access_mode="STRICT",
        )
        declared = routes()
        generation = snapshot.generation(api, _parts(declared))
        declare_routes(name, _route_parts(args, snapshot, api, generation, declared), self)
        _declare_answers(snapshot, generation)
        stage = self._stage(name, args, api, snapshot)
        Firewall(
            f"{name}-firewall",
            FirewallArgs(ground=args.ground, stage_arn=stage.arn),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.url = stage.invoke_url
        self.register_outputs({"url": self.url})

    def _stage(
        self, name: str, args: PrivacyApiArgs, api: apigateway.RestApi, snapshot: Snapshot
    ) -> apigateway.Stage:
        names = args.ground.names
        logs = encrypted_log_group(f"{name}-logs", parent=self, ground=args.ground, group=names.api_logs)
        deployment = apigateway.Deployment(
            f"{name}-deployment",
            rest_api=api.id,
            triggers={"routes": snapshot.fingerprint},
            opts=pulumi.ResourceOptions(parent=self, depends_on=snapshot.made),
        )
        stage = apigateway.Stage(
            f"{name}-stage",
            rest_api=api.id,
            deployment=deployment.id,
            stage_name=API_STAGE,
            xray_tracing_enabled=False,
            access_log_settings=apigateway.StageAccessLogSettingsArgs(
                destination_arn=logs.arn, format=json.dumps(ACCESS_LOG)
            ),
            tags=names.tags("personal"),
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[args.ready] if args.ready is not None else None
            ),
        )
        apigateway.MethodSettings(
            f"{name}-settings",
            rest_api=api.id,
            stage_name=stage.stage_name,
            method_path="*/*",
            settings=apigateway.MethodSettingsSettingsArgs(
                throttling_rate_limit=REQUESTS_PER_SECOND,
                throttling_burst_limit=BURST,
                metrics_enabled=True,
                logging_level="OFF",
                data_trace_enabled=False,
                caching_enabled=False,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return stage


def _parts(declared: Routes) -> Iterator[str]:
    """Yield what a deployment copies because it is there: methods, and the gateway's answers to errors."""
    for operation in declared.operations:
        yield f"{operation.method} {operation.path}"
    yield from GATEWAY_RESPONSES


def _route_parts(
    args: PrivacyApiArgs,
    snapshot: Snapshot,
    api: apigateway.RestApi,
    generation: Named,
    declared: Routes,
) -> RouteParts:
    api_id = Named(api.id, "api")
    authorizer = snapshot.declare(
        apigateway.Authorizer,
        "authorizer",
        name="programs",
        rest_api=api_id,
        type="COGNITO_USER_POOLS",
        provider_arns=[Named(args.pool_arn, "pool")],
        identity_source="method.request.header.Authorization",
    )
    validators = {
        has_body: snapshot.declare(
            apigateway.RequestValidator,
            f"validate-{which}",
            name=which,
            rest_api=api_id,
            validate_request_body=has_body,
            validate_request_parameters=True,
        )
        for has_body, which in ((True, "body"), (False, "parameters"))
    }
    body = snapshot.declare(
        apigateway.Model,
        "body",
        name="Body",
        rest_api=api_id,
        content_type="application/json",
        schema=json.dumps(BODY_SCHEMA),
    )
    return RouteParts(
        snapshot=snapshot,
        api=api,
        generation=generation,
        stage=API_STAGE,
        authorizer=Named(authorizer.id, "authorizer"),
        validators={has_body: Named(made.id, str(has_body)) for has_body, made in validators.items()},
        body=Named(body.name, "Body"),
        routes=declared,
        functions=args.functions,
    )


def _declare_answers(snapshot: Snapshot, generation: Named) -> None:
    for kind, problem in GATEWAY_RESPONSES.items():
        snapshot.declare(
            apigateway.Response,
            f"answer-{kind.lower().replace('_', '-')}",
            rest_api_id=generation,
            response_type=kind,
            status_code=str(problem.status),
            response_templates={"application/json": problem.template},
            response_parameters={
                f"gatewayresponse.header.{header}": f"'{value}'"
                for header, value in {**problem.sent_headers, "Content-Type": CONTENT_TYPE}.items()
            },
        )
