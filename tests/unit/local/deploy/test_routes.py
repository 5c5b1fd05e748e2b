"""A route that left the contract is gone with the next deployment, as it would be on AWS.

API Gateway serves the copy of the API that a deployment took. The emulator serves routes as they are, but
notes with each deployment which it took, and takes the answers to errors from that copy.
"""

import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pulumi
import pulumi_aws as aws
import pytest

from components.api import gateway
from components.api.contract import Operation, routes
from components.api.gateway import PrivacyApi, PrivacyApiArgs
from components.api.responses import GATEWAY_RESPONSES
from components.ground import Ground
from components.naming import RegionNames
from local.deploy.creator import DeploymentError
from local.emulator.emulator import ACCOUNT
from tests.unit.local.support import REGION, Program, Stack, trusting

ALL = routes()


class _Function:
    """One small function that stands for all of the API's."""

    def __init__(self, name: str, folder: Path) -> None:
        role = aws.iam.Role("role", name=name, assume_role_policy=trusting("lambda.amazonaws.com"))
        function = aws.lambda_.Function(
            "function",
            name=name,
            role=role.arn,
            handler="handler.handle",
            runtime="python3.11",
            code=pulumi.FileArchive(str(folder)),
        )
        self.function_name, self.invoke_arn = function.name, function.invoke_arn


def api_program(stack: str, folder: Path) -> Program:
    folder.joinpath("handler.py").write_text(
        "def handle(event, context):\n    return {'statusCode': 200, 'body': 'the function'}\n"
    )
    names = RegionNames(project="gdpr", stack=stack, account=ACCOUNT, region=REGION)

    def program() -> None:
        key = aws.kms.Key("key", description="logs")
        pool = aws.cognito.UserPool("pool", name=stack)
        function: Any = _Function(stack, folder)
        args = PrivacyApiArgs(
            ground=Ground(names=names, boundary_arn="", region_key_arn=key.arn, dead_letters_arn=""),
            functions=dict.fromkeys([operation.function for operation in ALL.operations], function),
            pool_arn=pool.arn,
        )
        pulumi.export("url", PrivacyApi("api", args).url)

    return program


def without(left_out: Callable[[Operation], bool], patch: pytest.MonkeyPatch) -> None:
    fewer = tuple(operation for operation in ALL.operations if not left_out(operation))
    assert len(fewer) < len(ALL.operations)
    patch.setattr(gateway, "routes", lambda: replace(ALL, operations=fewer))


def call(stack: Stack, url: str, path: str, method: str = "GET") -> httpx.Response:
    trust = ssl.create_default_context(cafile=str(stack.emulator.authority))
    return httpx.request(method, url + path, verify=trust)


def taken(stack: Stack, url: str) -> dict[str, Any]:
    """Paths and methods that the live deployment took."""
    client, api = stack.client("apigateway"), url.split("/")[-2]
    live = client.get_stage(restApiId=api, stageName="live")["deploymentId"]
    summary: dict[str, Any] = client.get_deployment(restApiId=api, deploymentId=live)["apiSummary"]
    return summary


def test_a_path_that_left_is_in_no_deployment_and_answers_404(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = api_program("path-left", tmp_path)
    url = stack.deploy(program)["url"]
    assert call(stack, url, "/v1/health").text == "the function"
    assert "GET" in taken(stack, url)["/v1/health"]
    without(lambda operation: operation.path == "/v1/health", monkeypatch)
    assert stack.deploy(program)["url"] == url  # it is what customers call
    assert "/v1/health" not in taken(stack, url)
    assert set(taken(stack, url)) == {operation.path for operation in ALL.operations} - {"/v1/health"}
    answer = call(stack, url, "/v1/health")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:gdpr:problem:not-found")
    assert call(stack, url, "/v1/openapi.json").text == "the function"


def test_a_method_that_left_is_in_no_deployment_and_answers_405(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = api_program("method-left", tmp_path)
    both = replace(
        ALL,
        operations=(*ALL.operations, replace(ALL.operations[0], path="/v1/openapi.json", method="DELETE")),
    )
    monkeypatch.setattr(gateway, "routes", lambda: both)
    url = stack.deploy(program)["url"]
    assert call(stack, url, "/v1/openapi.json", "DELETE").text == "the function"
    assert set(taken(stack, url)["/v1/openapi.json"]) == {"ANY", "DELETE", "GET"}
    monkeypatch.setattr(gateway, "routes", lambda: ALL)
    stack.deploy(program)
    assert set(taken(stack, url)["/v1/openapi.json"]) == {"ANY", "GET"}
    answer = call(stack, url, "/v1/openapi.json", "DELETE")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


def test_an_answer_of_the_gateways_own_that_left_is_in_no_deployment(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = api_program("answer-left", tmp_path)
    url = stack.deploy(program)["url"]
    assert call(stack, url, "/v1/nothing").status_code == 404
    fewer = {kind: GATEWAY_RESPONSES[kind] for kind in GATEWAY_RESPONSES if "MISSING" not in kind}
    monkeypatch.setattr(gateway, "GATEWAY_RESPONSES", fewer)
    stack.deploy(program)
    assert call(stack, url, "/v1/nothing").status_code == 403  # API Gateway's own


def models(name: str, methods: tuple[str, ...], *, protect: bool = False) -> Program:
    """Methods that have the API's id from a model, and so go before it."""

    def program() -> None:
        api = aws.apigateway.RestApi("api", name="order", endpoint_configuration={"types": "REGIONAL"})
        model = aws.apigateway.Model(
            "model",
            name=name,
            rest_api=api.id,
            content_type="application/json",
            schema="{}",
            opts=pulumi.ResourceOptions(delete_before_replace=True),
        )
        made = [
            aws.apigateway.Method(
                f"method-{method}",
                rest_api=model.rest_api,
                resource_id=api.root_resource_id,
                http_method=method,
                authorization="NONE",
                opts=pulumi.ResourceOptions(protect=protect),
            )
            for method in methods
        ]
        aws.apigateway.Deployment(
            "deployment",
            rest_api=api.id,
            triggers={"methods": ",".join(methods)},
            opts=pulumi.ResourceOptions(depends_on=made),
        )

    return program


def test_what_depends_on_a_resource_that_is_deleted_before_it_is_replaced_goes_first(
    stack: Stack, calls: list[str]
) -> None:
    stack.deploy(models("First", ("GET", "PUT")))
    calls.clear()
    stack.deploy(models("Second", ("GET",)))
    # Without that option, PUT would go at the end, after the deployment that copies it.
    assert calls == [
        "DeleteMethod",
        "DeleteMethod",
        "DeleteModel",
        "CreateModel",
        "PutMethod",
        "CreateDeployment",
        "DeleteDeployment",
    ]
    calls.clear()
    stack.deploy(models("Second", ("GET",)))
    assert calls == []


def test_what_is_protected_does_not_go_before_a_replacement_either(stack: Stack, calls: list[str]) -> None:
    stack.deploy(models("First", ("GET", "PUT"), protect=True))
    calls.clear()
    with pytest.raises(DeploymentError, match=r"'method-(GET|PUT)'.* because it is protected"):
        stack.deploy(models("Second", ("GET", "PUT"), protect=True))
    assert calls == []
