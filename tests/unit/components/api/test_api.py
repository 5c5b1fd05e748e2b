import json
import re
from typing import Any

import pytest
import yaml

from components.api.contract import DOCUMENT, routes
from components.api.firewall import COUNTED_RULES
from components.api.gateway import ACCESS_LOG
from components.api.responses import GATEWAY_RESPONSES

from ..programs import Deployment, Made, stack_settings

CONTRACT: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
VERBS = {"get", "put", "post", "delete", "patch", "head", "options"}
OPERATIONS = {
    (path, verb.upper()): operation
    for path, item in CONTRACT["paths"].items()
    for verb, operation in item.items()
    if verb in VERBS
}
SCOPES = [
    "privacy/access",
    "privacy/correct",
    "privacy/erase",
    "privacy/ingest",
    "privacy/read",
    "privacy/unmask",
]


def paths(deployment: Deployment) -> dict[str, str]:
    """Return each resource's path by its id."""
    resources = {f"{made.name}-id": made.inputs for made in deployment.of("aws:apigateway/resource:Resource")}

    def path(id_: str) -> str:
        if id_ == "root":
            return ""
        return f"{path(resources[id_]['parentId'])}/{resources[id_]['pathPart']}"

    return {id_: path(id_) for id_ in resources}


def by_route(deployment: Deployment, type_: str) -> dict[tuple[str, str], Made]:
    known = paths(deployment)
    return {
        (known[made.inputs["resourceId"]], made.inputs["httpMethod"]): made for made in deployment.of(type_)
    }


def test_the_gateway_has_the_methods_of_the_contract_and_says_405_to_all_others(
    deployment: Deployment,
) -> None:
    methods = by_route(deployment, "aws:apigateway/method:Method")
    assert len(OPERATIONS) >= 8
    assert set(methods) == {*OPERATIONS, *((path, "ANY") for path in CONTRACT["paths"])}


@pytest.mark.parametrize(("path", "verb"), OPERATIONS)
def test_a_method_is_secured_validated_and_served_as_the_contract_says(
    deployment: Deployment, path: str, verb: str
) -> None:
    operation = OPERATIONS[path, verb]
    method = by_route(deployment, "aws:apigateway/method:Method")[path, verb].inputs
    if operation["security"]:
        assert method["authorization"] == "COGNITO_USER_POOLS"
        assert method["authorizerId"] == f"{deployment.prefix}-api-authorizer-id"
        # The function checks which scope: the gateway could only say 401 where 403 is due.
        assert method["authorizationScopes"] == SCOPES
    else:
        assert method["authorization"] == "NONE"
        assert "authorizationScopes" not in method
    body = "requestBody" in operation
    assert method["requestValidatorId"].endswith("validate-body-id" if body else "validate-parameters-id")
    assert method.get("requestModels") == ({"application/json": "Body"} if body else None)

    function = f"{deployment.prefix}-{operation['x-function'].replace('_', '-')}"
    integration = by_route(deployment, "aws:apigateway/integration:Integration")[path, verb].inputs
    assert (integration["type"], integration["integrationHttpMethod"]) == ("AWS_PROXY", "POST")
    assert integration["uri"] == f"arn:mock:invoke:{function}"
    assert integration["timeoutMilliseconds"] == 29_000
    anything = re.sub(r"\{\w+\}", "*", path)
    granted = [
        made.inputs["function"]
        for made in deployment.of("aws:lambda/permission:Permission")
        if made.inputs["sourceArn"] == f"arn:mock:execute-api:{deployment.prefix}/live/{verb}{anything}"
    ]
    assert granted == [function]


def test_parameters_are_those_of_the_contract(deployment: Deployment) -> None:
    methods = by_route(deployment, "aws:apigateway/method:Method")
    put_record = methods["/v1/datasets/{dataset}/records/{record_id}", "PUT"].inputs["requestParameters"]
    assert put_record == {"method.request.path.dataset": True, "method.request.path.record_id": True}
    erase = methods["/v1/erasure-requests", "POST"].inputs["requestParameters"]
    assert erase == {"method.request.header.Idempotency-Key": False}
    assert methods["/v1/requests", "GET"].inputs["requestParameters"] == {
        f"method.request.querystring.{name}": False
        for name in ("state", "type", "client_id", "person_id", "limit", "cursor")
    }


def test_permissions_to_call_are_one_a_route_for_the_gateway_alone(deployment: Deployment) -> None:
    permissions = deployment.of("aws:lambda/permission:Permission")
    assert len(permissions) == len(OPERATIONS)
    assert {made.inputs["principal"] for made in permissions} == {"apigateway.amazonaws.com"}
    assert not [made for made in permissions if made.inputs["sourceArn"].endswith("/*/*")]


@pytest.mark.parametrize("path", CONTRACT["paths"])
def test_another_method_gets_a_405_that_lists_those_there_are(deployment: Deployment, path: str) -> None:
    there = ", ".join(sorted(verb for route, verb in OPERATIONS if route == path))
    method = by_route(deployment, "aws:apigateway/method:Method")[path, "ANY"].inputs
    assert method["authorization"] == "NONE"
    integration = by_route(deployment, "aws:apigateway/integration:Integration")[path, "ANY"].inputs
    assert integration["type"] == "MOCK"
    assert integration["requestTemplates"] == {"application/json": '{"statusCode": 405}'}
    assert integration["passthroughBehavior"] == "WHEN_NO_TEMPLATES"
    declared = by_route(deployment, "aws:apigateway/methodResponse:MethodResponse")[path, "ANY"].inputs
    answer = by_route(deployment, "aws:apigateway/integrationResponse:IntegrationResponse")[
        path, "ANY"
    ].inputs
    assert declared["statusCode"] == answer["statusCode"] == "405"
    assert answer["responseParameters"] == {
        "method.response.header.Allow": f"'{there}'",
        "method.response.header.Content-Type": "'application/problem+json'",
        "method.response.header.Cache-Control": "'no-store'",
    }
    assert set(declared["responseParameters"]) == set(answer["responseParameters"])
    problem = json.loads(answer["responseTemplates"]["application/json"])
    assert (problem["status"], problem["type"]) == (405, "urn:gdpr:problem:method-not-allowed")


STATUSES = {
    "ACCESS_DENIED": 403,
    "BAD_REQUEST_BODY": 400,
    "BAD_REQUEST_PARAMETERS": 400,
    "EXPIRED_TOKEN": 401,
    "INTEGRATION_TIMEOUT": 504,
    "MISSING_AUTHENTICATION_TOKEN": 404,
    "QUOTA_EXCEEDED": 429,
    "REQUEST_TOO_LARGE": 413,
    "RESOURCE_NOT_FOUND": 404,
    "THROTTLED": 429,
    "UNAUTHORIZED": 401,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "WAF_FILTERED": 403,
}


def test_every_error_of_the_gateway_is_a_problem(deployment: Deployment) -> None:
    answers = {
        made.inputs["responseType"]: made.inputs for made in deployment.of("aws:apigateway/response:Response")
    }
    assert set(answers) == set(GATEWAY_RESPONSES)
    for kind, answer in answers.items():
        problem = json.loads(answer["responseTemplates"]["application/json"])
        assert set(problem) == {"type", "title", "status", "detail", "instance"}
        assert str(problem["status"]) == answer["statusCode"]
        assert problem["type"].startswith("urn:gdpr:problem:")
        assert problem["instance"] == "$context.requestId"
        headers = answer["responseParameters"]
        assert headers["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
        assert headers["gatewayresponse.header.Cache-Control"] == "'no-store'"
        if kind in STATUSES:
            assert problem["status"] == STATUSES[kind], kind
        assert ("gatewayresponse.header.WWW-Authenticate" in headers) == (problem["status"] == 401)
        assert ("gatewayresponse.header.Retry-After" in headers) == (problem["status"] == 429)


def test_no_error_repeats_what_was_sent() -> None:
    for problem in GATEWAY_RESPONSES.values():
        assert set(re.findall(r"\$[\w.]+", problem.template)) == {"$context.requestId"}


def test_the_api_is_regional_and_takes_tls_12_or_newer(deployment: Deployment) -> None:
    (api,) = deployment.of("aws:apigateway/restApi:RestApi")
    assert api.inputs["endpointConfiguration"] == {"types": "REGIONAL"}
    assert api.inputs["securityPolicy"] == "SecurityPolicy_TLS13_1_2_2021_06"
    assert api.inputs["endpointAccessMode"] == "STRICT"


def test_the_authorizer_takes_this_regions_tokens(deployment: Deployment) -> None:
    (authorizer,) = deployment.of("aws:apigateway/authorizer:Authorizer")
    assert authorizer.inputs["type"] == "COGNITO_USER_POOLS"
    assert authorizer.inputs["providerArns"] == [f"arn:mock:UserPool:{deployment.prefix}"]


def test_bodies_are_checked_to_be_objects_in_the_draft_the_gateway_knows(deployment: Deployment) -> None:
    model = deployment.named("aws:apigateway/model:Model", "Body")
    schema = model.document("schema")
    assert schema["$schema"] == "http://json-schema.org/draft-04/schema#"
    assert schema["type"] == "object"
    validators = {
        made.inputs["name"]: made.inputs
        for made in deployment.of("aws:apigateway/requestValidator:RequestValidator")
    }
    assert validators["body"]["validateRequestBody"] is True
    assert validators["parameters"]["validateRequestBody"] is False
    assert all(validator["validateRequestParameters"] for validator in validators.values())


def test_the_access_log_holds_nothing_that_could_name_a_person(deployment: Deployment) -> None:
    (stage,) = deployment.of("aws:apigateway/stage:Stage")
    format_ = json.loads(stage.inputs["accessLogSettings"]["format"])
    assert format_ == ACCESS_LOG
    assert set(format_.values()) == {
        "$context.requestId",
        "$context.httpMethod",
        "$context.resourcePath",
        "$context.status",
        "$context.responseLatency",
        "$context.authorizer.claims.client_id",
        "$context.integration.requestId",
        "$context.error.responseType",
        "$context.wafResponseCode",
    }
    assert (
        stage.inputs["accessLogSettings"]["destinationArn"]
        == f"arn:mock:LogGroup:/aws/apigateway/{deployment.prefix}"
    )


def test_neither_traces_nor_execution_logs_record_requests(deployment: Deployment) -> None:
    (stage,) = deployment.of("aws:apigateway/stage:Stage")
    assert stage.inputs["xrayTracingEnabled"] is False
    (settings,) = deployment.of("aws:apigateway/methodSettings:MethodSettings")
    assert settings.inputs["methodPath"] == "*/*"
    chosen = settings.inputs["settings"]
    assert (chosen["loggingLevel"], chosen["dataTraceEnabled"], chosen["cachingEnabled"]) == (
        "OFF",
        False,
        False,
    )
    assert chosen["throttlingRateLimit"] > 0
    assert chosen["throttlingBurstLimit"] >= chosen["throttlingRateLimit"]


def test_a_deployment_waits_for_every_route_and_answer(deployment: Deployment) -> None:
    (snapshot,) = deployment.of("aws:apigateway/deployment:Deployment")
    wanted = {
        made.urn
        for kind in (
            "method:Method",
            "integration:Integration",
            "methodResponse:MethodResponse",
            "integrationResponse:IntegrationResponse",
            "response:Response",
        )
        for made in deployment.of(f"aws:apigateway/{kind}")
    }
    assert wanted <= set(snapshot.dependencies)


def test_the_stage_waits_for_the_gateways_log_role(deployment: Deployment) -> None:
    (stage,) = deployment.of("aws:apigateway/stage:Stage")
    (account,) = deployment.of("aws:apigateway/account:Account")
    assert account.urn in stage.dependencies


def test_the_firewall_stands_before_the_stage_limits_rates_and_keeps_no_samples(
    deployment: Deployment,
) -> None:
    (acl,) = deployment.of("aws:wafv2/webAcl:WebAcl")
    rules = {rule["name"]: rule for rule in acl.inputs["rules"]}
    assert acl.inputs["scope"] == "REGIONAL"
    assert sorted(rule["priority"] for rule in rules.values()) == [0, 1, 2]
    for name in ("rate-per-address", "rate-per-token"):
        blocked = rules[name]["action"]["block"]["customResponse"]
        assert blocked["responseCode"] == 429
        assert {header["name"] for header in blocked["responseHeaders"]} == {"Retry-After", "Cache-Control"}
        assert rules[name]["statement"]["rateBasedStatement"]["limit"] > 0
    common = rules["common"]["statement"]["managedRuleGroupStatement"]
    assert (common["vendorName"], common["name"]) == ("AWS", "AWSManagedRulesCommonRuleSet")
    assert {rule["name"] for rule in common["ruleActionOverrides"]} == set(COUNTED_RULES)
    assert all("count" in rule["actionToUse"] for rule in common["ruleActionOverrides"])
    seen = [acl.inputs["visibilityConfig"], *(rule["visibilityConfig"] for rule in rules.values())]
    assert not any(config["sampledRequestsEnabled"] for config in seen)
    (association,) = deployment.of("aws:wafv2/webAclAssociation:WebAclAssociation")
    assert association.inputs["resourceArn"] == f"arn:mock:Stage:{deployment.prefix}-api-stage"


def test_a_body_of_a_thousand_subjects_is_larger_than_what_the_common_rules_let_through() -> None:
    body = json.dumps({"subjects": [f"person.{n}@example.org" for n in range(1000)]})
    assert len(body) > 8 * 1024


# identity


def test_the_resource_server_has_the_contracts_scopes(deployment: Deployment) -> None:
    (server,) = deployment.of("aws:cognito/resourceServer:ResourceServer")
    assert server.inputs["identifier"] == "privacy"
    names = [f"privacy/{scope['scopeName']}" for scope in server.inputs["scopes"]]
    assert sorted(names) == sorted(routes().scopes) == SCOPES


def test_the_contract_has_every_scope_that_the_config_may_give() -> None:
    from typing import get_args

    from components.settings.settings import Scope

    assert sorted(f"privacy/{scope}" for scope in get_args(Scope)) == SCOPES


def test_each_program_is_a_confidential_client_with_its_own_scopes(deployment: Deployment) -> None:
    clients = {
        made.inputs["name"]: made for made in deployment.of("aws:cognito/userPoolClient:UserPoolClient")
    }
    settings = stack_settings(deployment.prefix.removeprefix("gdpr-"))
    wanted = {
        f"{deployment.prefix}-{customer.id}.{program.name}": [f"privacy/{scope}" for scope in program.scopes]
        for customer in settings.customers
        for program in customer.programs
    }
    assert {name: made.inputs["allowedOauthScopes"] for name, made in clients.items()} == wanted
    (server,) = deployment.of("aws:cognito/resourceServer:ResourceServer")
    for made in clients.values():
        assert made.inputs["generateSecret"] is True
        assert made.inputs["allowedOauthFlows"] == ["client_credentials"]
        assert made.inputs["accessTokenValidity"] <= 60
        assert made.inputs["tokenValidityUnits"] == {"accessToken": "minutes"}
        assert made.inputs["enableTokenRevocation"] is True
        assert server.urn in made.dependencies


def test_the_pool_has_no_users_of_its_own_and_cannot_be_deleted_by_mistake(deployment: Deployment) -> None:
    (pool,) = deployment.of("aws:cognito/userPool:UserPool")
    assert pool.inputs["adminCreateUserConfig"] == {"allowAdminCreateUserOnly": True}
    assert pool.inputs["deletionProtection"] == "ACTIVE"
