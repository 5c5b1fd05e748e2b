"""What is the same for every operation, seen through one of them."""

import base64
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import example, given
from hypothesis import strategies as st

from privacy.api import http
from privacy.aws import clients as aws_clients
from privacy.customers.registry import destruction_key
from privacy.requests.store import RequestStore
from tests.properties import examples

from ..support.api import ALL_SCOPES, Api

ERASURES = "/v1/erasure-requests"
RECORD = "/v1/datasets/{dataset}/records/{record_id}"
ONE = {"subjects": ["ada@example.org"]}


def test_the_service_describes_itself_without_a_token(api: Api) -> None:
    event = api.event("GET", "/v1/health")
    del event["requestContext"]["authorizer"]
    assert api.send(event).json == {"status": "ok"}
    event |= {"resource": "/v1/openapi.json"}
    served = api.send(event)
    assert served.json == api.document
    assert served.headers["Content-Type"] == "application/json"


def test_a_monitor_may_ask_with_head(api: Api) -> None:
    event = api.event("HEAD", "/v1/health")
    del event["requestContext"]["authorizer"]
    answer, get = api.send(event), api.send(event | {"httpMethod": "GET"})
    assert (answer.status, answer.text) == (200, "")
    assert answer.headers == get.headers


def test_an_operation_that_a_public_function_does_not_have_is_not_found(api: Api) -> None:
    event = api.event("POST", "/v1/health")
    answer = api.module("describe_service").handler(event, None)
    assert answer["statusCode"] == 404


@pytest.mark.parametrize(
    ("method", "path", "scopes", "status"),
    [
        ("POST", ERASURES, "privacy/erase", 202),
        ("POST", ERASURES, "privacy/correct privacy/read", 403),
        ("POST", ERASURES, "", 403),
        ("POST", ERASURES, "erase privacy/eras privacy/erase2", 403),
        ("GET", "/v1/requests", "privacy/erase", 200),
        ("GET", "/v1/requests", "privacy/correct", 200),
        ("GET", "/v1/requests", "privacy/access", 200),
        ("GET", "/v1/requests", "privacy/read", 200),
        ("GET", "/v1/requests", "privacy/ingest privacy/unmask", 403),
    ],
)
def test_scopes(api: Api, method: str, path: str, scopes: str, status: int) -> None:
    response = api(method, path, ONE if method == "POST" else None, scopes=scopes)
    assert response.status == status
    if status == 403:
        assert response.problem == "insufficient-scope"


@pytest.mark.parametrize(
    ("method", "path", "scopes", "challenge"),
    [
        ("POST", ERASURES, "privacy/read", 'Bearer error="insufficient_scope", scope="privacy/erase"'),
        # Any of several would do: which one to ask for, the detail says.
        ("GET", "/v1/requests", "privacy/ingest", 'Bearer error="insufficient_scope"'),
    ],
)
def test_a_token_that_lacks_a_scope_is_told_which(
    api: Api, method: str, path: str, scopes: str, challenge: str
) -> None:
    response = api(method, path, ONE if method == "POST" else None, scopes=scopes)
    assert response.headers["WWW-Authenticate"] == challenge  # RFC 6750, 3 and 3.1
    assert "WWW-Authenticate" not in api(method, path, ONE, client="stranger").headers


def test_a_client_of_no_customer_is_refused(api: Api) -> None:
    response = api("POST", ERASURES, ONE, client="stranger")
    assert (response.status, response.problem) == (403, "unknown-client")


@pytest.mark.parametrize(
    ("contract", "problem"),
    [
        ({"contract_ends": "2021-12-31"}, "contract-ended"),
        ({"contract_starts": "9999-01-01"}, "contract-not-started"),
    ],
)
def test_a_contract_that_does_not_run_is_refused(api: Api, contract: dict[str, str], problem: str) -> None:
    api.cloud.register("acme", **contract)
    for response in (api("POST", ERASURES, ONE), api("GET", "/v1/requests")):
        assert (response.status, response.problem) == (403, problem)
    assert api("POST", ERASURES, ONE, client="zenith-dpo").status == 202


@pytest.mark.parametrize("state", ["destroying", "scheduled", "destroyed"])
def test_a_contract_that_was_renewed_too_late_stays_refused(api: Api, state: str) -> None:
    item = {
        "pk": {"S": destruction_key("acme")},
        "state": {"S": state},
        "since": {"S": "2026-05-04T00:00:01Z"},
    }
    aws_clients.dynamodb().put_item(TableName=api.cloud.registry_table, Item=item)
    for response in (api("POST", ERASURES, ONE), api("GET", "/v1/requests")):
        assert (response.status, response.problem) == (403, "contract-ended")
    assert api("POST", ERASURES, ONE, client="zenith-dpo").status == 202


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 202),
        ("Application/JSON; charset=UTF-8", 202),
        ('application/json;charset="utf-8"', 202),
        ("application/json; charset=utf8", 202),
        ("application/json; Charset=UTF8; q=1", 202),
        ("application/json;", 202),
        ("application/json; q=1; charset=utf-16", 415),
        ("application/json; charset=latin-1", 415),
        ("application/x-www-form-urlencoded", 415),
        ("text/json", 415),
        ("", 415),
    ],
)
def test_only_json_is_taken(api: Api, content_type: str, status: int) -> None:
    response = api("POST", ERASURES, ONE, headers={"Content-Type": content_type})
    assert response.status == status


def test_no_content_type_is_not_json(api: Api) -> None:
    event = api.event("POST", ERASURES, ONE)
    event["multiValueHeaders"] = None
    assert api.send(event).problem == "unsupported-media-type"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "{",
        "{} {}",
        '{"subjects": [NaN]}',
        '{"subjects": ["a"], "subjects": ["b"]}',
        '{"subjects": [Infinity]}',
        '{"subjects": [1e999]}',
        '{"subjects": ["\\ud800"]}',
        '{"\\udfff": 1}',
        '{"subjects": [' + "1" * 5000 + "]}",
        "\ufeff{}",
    ],
)
def test_what_is_not_json_is_a_400(api: Api, raw: str) -> None:
    response = api("POST", ERASURES, raw=raw)
    assert (response.status, response.problem) == (400, "invalid-json")


@pytest.mark.parametrize("levels", [101, 300, 5_000, 100_000])
def test_one_bound_of_depth_holds_for_every_body(api: Api, levels: int) -> None:
    deep = "[" * (levels - 1) + "]" * (levels - 1)
    bodies = {
        ("PUT", RECORD): '{"subject": "ada@example.org", "fields": {"a": ' + deep[1:-1] + "}}",
        ("POST", ERASURES): f'{{"subjects": {deep}}}',
        ("POST", "/v1/correction-requests"): f'{{"subject": "ada@example.org", "changes": {deep}}}',
        ("POST", "/v1/datasets/{dataset}/uploads"): f'{{"key": {deep}}}',
    }
    for (method, path), raw in bodies.items():
        names = {"dataset": "profiles", "record_id": "p-1"} if "{" in path else {}
        response = api(method, path, raw=raw, **names)
        assert (response.status, response.problem) == (422, "invalid-body"), path
        assert response.json["errors"] == [{"pointer": "", "detail": "is nested deeper than 100 levels"}]
    assert not [item for item in api.cloud.items("vault-acme") if "fields" in item]


def test_a_record_as_deep_as_the_bound_is_taken(api: Api) -> None:
    raw = '{"subject": "ada@example.org", "fields": {"a": ' + "[" * 98 + "]" * 98 + "}}"
    assert api("PUT", RECORD, raw=raw, dataset="profiles", record_id="p-1").status == 204


def test_a_paired_surrogate_is_json(api: Api) -> None:
    assert api("POST", ERASURES, raw='{"subjects": ["\\ud83d\\ude00@example.org"]}').status == 202


def test_a_body_in_base64_is_the_same_body(api: Api) -> None:
    event = api.event("POST", ERASURES, ONE) | {"isBase64Encoded": True}
    event["multiValueHeaders"]["Idempotency-Key"] = ["k"]
    plain = api("POST", ERASURES, ONE, headers={"Idempotency-Key": "k"})
    assert plain.status == 202
    encoded = api.send(event | {"body": base64.b64encode(json.dumps(ONE).encode()).decode()})
    assert encoded.json == plain.json
    assert api.send(event | {"body": base64.b64encode(b'{"\xff": 1}').decode()}).problem == "invalid-json"
    assert api.send(event | {"body": "no base64!"}).problem == "invalid-json"


def test_a_mebibyte_is_taken_and_no_byte_more(api: Api) -> None:
    text = json.dumps(ONE)
    assert api("POST", ERASURES, raw=text.ljust(http.MAX_BODY_BYTES)).status == 202
    response = api("POST", ERASURES, raw=text.ljust(http.MAX_BODY_BYTES + 1))
    assert (response.status, response.problem) == (413, "content-too-large")
    # Bytes count, not characters.
    assert api("POST", ERASURES, raw="\u00e4" * (http.MAX_BODY_BYTES // 2 + 1)).status == 413


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ({"limit": "0"}, ["limit"]),
        ({"limit": "101"}, ["limit"]),
        ({"limit": "ten"}, ["limit"]),
        ({"limit": "\u0663"}, ["limit"]),
        ({"limit": "9" * 5000}, ["limit"]),
        ({"state": "done", "type": "access", "cursor": "!"}, ["state", "type", "cursor"]),
        ({"state": ["pending", "failed"]}, ["state"]),
    ],
)
def test_a_query_that_is_not_as_described(api: Api, query: dict[str, Any], parameters: list[str]) -> None:
    response = api("GET", "/v1/requests", query=query)
    assert (response.status, response.problem) == (400, "invalid-parameter")
    assert {error["parameter"] for error in response.json["errors"]} == set(parameters)


def test_no_operation_ignores_a_parameter_that_it_does_not_have(api: Api) -> None:
    known = {"dataset": "feedback", "record_id": "p-1", "id": "0" * 36}
    for path, item in api.document["paths"].items():
        names = {name: value for name, value in known.items() if f"{{{name}}}" in path}
        for method in item.keys() - {"parameters", "head"}:
            if not item[method]["security"]:
                continue
            response = api(method.upper(), path, query={"ada@example.org": "1"}, **names)
            assert (response.status, response.problem) == (400, "invalid-parameter"), path
            assert "ada@" not in response.text


def test_a_misspelt_parameter_is_not_ignored(api: Api) -> None:
    response = api("GET", "/v1/requests", query={"stat": "failed"})
    assert (response.status, response.problem) == (400, "invalid-parameter")
    assert response.json["detail"] == (
        "The query's parameters are: state, type, client_id, person_id, limit, cursor."
    )


@examples(30)
@given(raw=st.text(max_size=60) | st.binary(max_size=60), key=st.text(max_size=20))
@example(raw='{"subjects": ["' + "a" * 600 + '"]}', key="k")
def test_no_input_is_our_fault(api: Api, raw: str | bytes, key: str) -> None:
    event = api.event("POST", ERASURES, ONE)
    event["multiValueHeaders"]["Idempotency-Key"] = [key]
    assert api.send(event).status in {202, 400}
    event |= {"body": raw, "isBase64Encoded": False}
    if isinstance(raw, bytes):
        event |= {"body": base64.b64encode(raw).decode(), "isBase64Encoded": True}
    assert api.send(event).status in {400, 422}


@pytest.fixture
def break_get(api: Api, monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], Any]:
    def get(error: Exception) -> Any:  # noqa: ANN401 - a Response
        def fail(_store: RequestStore, _customer: str, _request_id: str) -> None:
            raise error

        monkeypatch.setattr(RequestStore, "get", fail)
        return api("GET", "/v1/requests/{id}", id="0" * 36)

    return get


def test_an_unexpected_error_is_a_problem_and_its_text_stays_inside(
    break_get: Callable[[Exception], Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        response = break_get(ValueError("ada@example.org"))
    assert (response.status, response.problem) == (500, "internal-error")
    assert response.json["instance"] == "request-1"
    assert "ValueError" in caplog.text
    assert "request-1" in caplog.text
    assert "test_http.py" in caplog.text, "where it happened"
    assert "ada@" not in caplog.text + response.text


@pytest.mark.parametrize(
    ("code", "status", "problem"),
    [
        ("ThrottlingException", 429, "too-many-requests"),
        ("ProvisionedThroughputExceededException", 429, "too-many-requests"),
        ("AccessDeniedException", 500, "internal-error"),
    ],
)
def test_what_aws_refuses(
    break_get: Callable[[Exception], Any],
    caplog: pytest.LogCaptureFixture,
    code: str,
    status: int,
    problem: str,
) -> None:
    response = break_get(ClientError({"Error": {"Code": code, "Message": "ada@example.org"}}, "GetItem"))
    assert (response.status, response.problem) == (status, problem)
    assert response.headers.get("Retry-After") == ("1" if status == 429 else None)
    assert "ada@" not in caplog.text + response.text


def test_every_scope_of_the_contract_can_be_granted(api: Api) -> None:
    described = api.document["components"]["securitySchemes"]["oauth"]["flows"]["clientCredentials"]["scopes"]
    assert set(ALL_SCOPES.split()) == set(described)
