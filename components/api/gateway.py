"""The privacy API: a regional REST API made from `openapi.yaml`."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pulumi
from pulumi_aws import apigateway

from ..functions.function import PrivacyFunction
from ..ground import Ground
from ..standard.log_group import encrypted_log_group
from .contract import Routes, routes
from .firewall import Firewall, FirewallArgs
from .responses import CONTENT_TYPE, GATEWAY_RESPONSES
from .routes import RouteParts, declare_routes

STAGE = "live"

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
}
"""The route, not the path; no address, no user agent: nothing that could name a person."""

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
        child = pulumi.ResourceOptions(parent=self)
        api = apigateway.RestApi(
            f"{name}-api",
            name=names.prefix,
            description="Erasure and correction, for the programs of customers.",
            endpoint_configuration=apigateway.RestApiEndpointConfigurationArgs(types="REGIONAL"),
            security_policy=TLS_POLICY,
            endpoint_access_mode="STRICT",
            tags=names.tags("personal"),
            opts=child,
        )
        authorizer = apigateway.Authorizer(
            f"{name}-authorizer",
            name="programs",
            rest_api=api.id,
            type="COGNITO_USER_POOLS",
            provider_arns=[args.pool_arn],
            identity_source="method.request.header.Authorization",
            opts=child,
        )
        parts = RouteParts(
            api=api,
            stage=STAGE,
            authorizer=authorizer,
            validators={
                has_body: apigateway.RequestValidator(
                    f"{name}-validate-{'body' if has_body else 'parameters'}",
                    name="body" if has_body else "parameters",
                    rest_api=api.id,
                    validate_request_body=has_body,
                    validate_request_parameters=True,
                    opts=child,
                )
                for has_body in (True, False)
            },
            body=apigateway.Model(
                f"{name}-body",
                name="Body",
                rest_api=api.id,
                content_type="application/json",
                schema=json.dumps(BODY_SCHEMA),
                opts=child,
            ),
            routes=routes(),
            functions=args.functions,
        )
        made = [*declare_routes(name, parts, self), *self._responses(name, api)]
        stage = self._stage(name, args, api, made)
        Firewall(
            f"{name}-firewall",
            FirewallArgs(ground=args.ground, stage_arn=stage.arn),
            opts=child,
        )
        self.url = stage.invoke_url
        self.register_outputs({"url": self.url})

    def _responses(self, name: str, api: apigateway.RestApi) -> list[pulumi.Resource]:
        return [
            apigateway.Response(
                f"{name}-answer-{kind.lower().replace('_', '-')}",
                rest_api_id=api.id,
                response_type=kind,
                status_code=str(problem.status),
                response_templates={"application/json": problem.template},
                response_parameters={
                    f"gatewayresponse.header.{header}": f"'{value}'"
                    for header, value in {**problem.headers, "Content-Type": CONTENT_TYPE}.items()
                },
                opts=pulumi.ResourceOptions(parent=self),
            )
            for kind, problem in GATEWAY_RESPONSES.items()
        ]

    def _stage(
        self, name: str, args: PrivacyApiArgs, api: apigateway.RestApi, made: list[pulumi.Resource]
    ) -> apigateway.Stage:
        names = args.ground.names
        logs = encrypted_log_group(f"{name}-logs", parent=self, ground=args.ground, group=names.api_logs)
        deployment = apigateway.Deployment(
            f"{name}-deployment",
            rest_api=api.id,
            # A deployment is a snapshot: another one is due whenever a route or an answer changes.
            triggers={"routes": _fingerprint(routes())},
            opts=pulumi.ResourceOptions(parent=self, depends_on=made),
        )
        stage = apigateway.Stage(
            f"{name}-stage",
            rest_api=api.id,
            deployment=deployment.id,
            stage_name=STAGE,
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


def _fingerprint(declared: Routes) -> str:
    answers = {kind: asdict(problem) for kind, problem in GATEWAY_RESPONSES.items()}
    content = json.dumps([asdict(declared), answers, BODY_SCHEMA], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
