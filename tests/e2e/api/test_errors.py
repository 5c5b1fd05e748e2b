"""Every wrong call gets the status that says what is wrong, as problem+json, and never a 5xx."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from tests.e2e.support import World, somebody

SECRET = "not-to-be-echoed@post.example"
ERASURES = "/v1/erasure-requests"
CORRECTIONS = "/v1/correction-requests"
RECORD = "/v1/datasets/profiles/records/r-1"
UPLOADS = "/v1/datasets/feedback/uploads"
CHANGE = {"dataset": "profiles", "set": {"name": "N"}}

WRONG_CALLS: list[tuple[str, str, Mapping[str, Any], int]] = [
    ("POST", ERASURES, {"content": b"{"}, 400),
    ("POST", ERASURES, {"content": b"\xff\xfe"}, 400),
    ("POST", ERASURES, {"content": b""}, 400),
    ("POST", ERASURES, {"content": b"[" * 100_000}, 400),
    ("GET", "/v1/requests", {"params": {"limit": "many"}}, 400),
    ("GET", "/v1/requests", {"params": {"limit": "101"}}, 400),
    ("GET", "/v1/requests", {"params": {"state": "lost"}}, 400),
    ("GET", "/v1/requests", {"params": {"cursor": "%00"}}, 400),
    ("GET", "/v1/requests", {"params": {"client_id": SECRET}}, 400),
    ("GET", "/v1/requests/no-such-id", {"params": {"subject": SECRET}}, 400),
    ("POST", ERASURES, {"json": {"subjects": [SECRET]}, "headers": {"Idempotency-Key": '"x'}}, 400),
    ("GET", "/v1/requests/no-such-id", {}, 404),
    ("GET", "/v1/requests/0196a6d5-3a40-7c3e-9a51-6f0d7f1b2c3d", {}, 404),
    ("GET", "/v1/nothing-here", {}, 404),
    ("PUT", "/v1/datasets/none/records/r-1", {"json": {"subject": SECRET, "fields": {}}}, 404),
    ("POST", "/v1/datasets/none/uploads", {"json": {"key": "none/a.jsonl"}}, 404),
    ("DELETE", "/v1/requests", {}, 405),
    ("PATCH", ERASURES, {}, 405),
    ("POST", ERASURES, {"json": {"subjects": [SECRET], "x": "a" * 1_100_000}}, 413),
    ("PUT", RECORD, {"json": {"subject": SECRET, "fields": {"name": "a" * 300_000}}}, 413),
    # An object, because the emulator holds every body against the JSON model; AWS only what says it is JSON.
    ("POST", ERASURES, {"json": {"subjects": [SECRET]}, "headers": {"Content-Type": "text/plain"}}, 415),
    (
        "POST",
        CORRECTIONS,
        {"json": {}, "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        415,
    ),
    ("PUT", RECORD, {"content": '{"subject": "a", "fields": {"a": ' + "[" * 99 + "]" * 99 + "}}"}, 422),
    ("POST", CORRECTIONS, {"json": {"subject": "a", "changes": [{**CHANGE, "set": {SECRET: {}}}]}}, 422),
    ("POST", ERASURES, {"json": {}}, 422),
    ("POST", ERASURES, {"json": {"subjects": []}}, 422),
    ("POST", ERASURES, {"json": {"subjects": ["  "]}}, 422),
    ("POST", ERASURES, {"json": {"subjects": [SECRET, 7]}}, 422),
    ("POST", ERASURES, {"json": {"subjects": [f"{n}" for n in range(1001)]}}, 422),
    ("POST", ERASURES, {"json": {"subjects": [SECRET], "reason": "because"}}, 422),
    ("POST", CORRECTIONS, {"json": {"subject": SECRET, "changes": []}}, 422),
    (
        "POST",
        CORRECTIONS,
        {"json": {"subject": SECRET, "changes": [{"dataset": "letters", "set": {"a": 1}}]}},
        422,
    ),
    (
        "POST",
        CORRECTIONS,
        {"json": {"subject": SECRET, "changes": [{"dataset": "none", "set": {"a": 1}}]}},
        422,
    ),
    ("POST", CORRECTIONS, {"json": {"subject": SECRET, "changes": [{**CHANGE, "set": {"plan": "x"}}]}}, 422),
    (
        "POST",
        CORRECTIONS,
        {"json": {"subject": SECRET, "changes": [{**CHANGE, "set": {"email": "x@y"}}]}},
        422,
    ),
    ("PUT", "/v1/datasets/feedback/records/r-1", {"json": {"subject": SECRET, "fields": {}}}, 422),
    (
        "PUT",
        f"/v1/datasets/profiles/records/{SECRET.split('@')[0]}@x",
        {"json": {"subject": "a", "fields": {}}},
        422,
    ),
    ("POST", UPLOADS, {"json": {"key": "elsewhere/a.jsonl"}}, 422),
    ("POST", UPLOADS, {"json": {"key": "feedback/../letters/a.jsonl"}}, 422),
    ("POST", UPLOADS, {"json": {"key": "feedback/a.jsonl", "subject": SECRET}}, 422),
    ("POST", "/v1/datasets/letters/uploads", {"json": {"key": "letters/a.txt"}}, 422),
    ("POST", "/v1/datasets/letters/uploads", {"json": {"key": f"letters/{SECRET}", "subject": SECRET}}, 422),
]


@pytest.mark.parametrize(("method", "path", "call", "status"), WRONG_CALLS)
def test_a_wrong_call_is_told_what_is_wrong_and_nothing_is_repeated(
    world: World, method: str, path: str, call: Mapping[str, Any], status: int
) -> None:
    headers = {"Content-Type": "application/json", **call.get("headers", {})}
    response = world.api("eu-west", "acme").call(method, path, **{**call, "headers": headers})

    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/problem+json")
    assert response.headers["cache-control"] == "no-store"
    problem = response.json()
    assert problem["status"] == status
    assert problem["type"].startswith("urn:gdpr:problem:")
    assert problem["title"]
    assert SECRET not in response.text
    assert "not-to-be-echoed" not in response.text


def test_a_path_says_which_methods_it_has(world: World) -> None:
    api = world.api("eu-west", "acme")
    assert api.call("PUT", ERASURES).headers["allow"] == "POST"
    assert api.call("POST", "/v1/requests").headers["allow"] == "GET"


@pytest.mark.parametrize("header", [None, "Bearer nonsense", "Basic YTpi", "Bearer " + "e30.e30.e30"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/requests"), ("POST", ERASURES), ("PUT", RECORD)])
def test_no_valid_token_is_a_401(world: World, method: str, path: str, header: str | None) -> None:
    api = world.api("eu-west", "acme")
    headers = {} if header is None else {"Authorization": header}
    url = world.stacks["eu-west"].api_url + path
    response = httpx.request(method, url, headers=headers, verify=api.trust)
    assert response.status_code == httpx.codes.UNAUTHORIZED
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["type"] == "urn:gdpr:problem:unauthorized"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", ERASURES, {"subjects": [SECRET]}),
        ("POST", CORRECTIONS, {"subject": SECRET, "changes": [CHANGE]}),
        ("PUT", RECORD, {"subject": SECRET, "fields": {}}),
        ("POST", UPLOADS, {"key": "feedback/x.jsonl"}),
    ],
)
def test_a_token_without_the_scope_is_a_403(
    world: World, method: str, path: str, body: Mapping[str, Any]
) -> None:
    support = world.api("eu-west", "acme", "support")
    response = support.call(method, path, json=body)
    assert response.status_code == httpx.codes.FORBIDDEN
    assert response.json()["type"] == "urn:gdpr:problem:insufficient-scope"
    assert response.headers["www-authenticate"].startswith('Bearer error="insufficient_scope", scope="')


def test_reading_requests_takes_a_scope_that_has_to_do_with_requests(world: World) -> None:
    assert world.api("eu-west", "acme", "support").requests(limit=1) is not None
    response = world.api("eu-west", "globex", "ingest").call("GET", "/v1/requests")
    assert response.status_code == httpx.codes.FORBIDDEN


def test_a_client_that_belongs_to_no_customer_any_more_is_refused(world: World) -> None:
    stack = world.stacks["eu-west"]
    registry, client = f"{stack.prefix}-registry", stack.clients["globex"]["ingest"].client_id
    dynamodb = world.emulator.client("dynamodb", stack.region)
    key = {"pk": {"S": f"client#{client}"}}
    entry = dynamodb.get_item(TableName=registry, Key=key)["Item"]
    dynamodb.delete_item(TableName=registry, Key=key)
    try:
        response = world.api("eu-west", "globex", "ingest").call(
            "POST", "/v1/datasets/reviews/uploads", json={"key": "reviews/x.jsonl"}
        )
    finally:
        dynamodb.put_item(TableName=registry, Item=entry)
    assert response.status_code == httpx.codes.FORBIDDEN
    assert response.json()["type"] == "urn:gdpr:problem:unknown-client"


def test_a_contract_that_has_ended_is_refused(world: World) -> None:
    stack = world.stacks["us-east"]
    dynamodb = world.emulator.client("dynamodb", stack.region)
    key = {"pk": {"S": "customer#umbra"}}
    entry = dynamodb.get_item(TableName=f"{stack.prefix}-registry", Key=key)["Item"]
    dynamodb.put_item(
        TableName=f"{stack.prefix}-registry", Item={**entry, "contract_ends": {"S": "2026-01-31"}}
    )
    try:
        # A function remembers a customer for a minute: this one is called for umbra by no other test.
        response = world.api("us-east", "umbra").call(
            "POST", CORRECTIONS, json={"subject": SECRET, "changes": [CHANGE]}
        )
    finally:
        dynamodb.put_item(TableName=f"{stack.prefix}-registry", Item=entry)
    assert response.status_code == httpx.codes.FORBIDDEN
    assert response.json()["type"] == "urn:gdpr:problem:contract-ended"


def test_the_public_endpoints_need_no_token(world: World) -> None:
    api = world.api("eu-west", "acme")
    url = world.stacks["eu-west"].api_url
    assert httpx.get(f"{url}/v1/health", verify=api.trust).json() == {"status": "ok"}
    head = httpx.head(f"{url}/v1/health", verify=api.trust)
    assert (head.status_code, head.content) == (200, b"")
    document = httpx.get(f"{url}/v1/openapi.json", verify=api.trust).json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) >= {ERASURES, CORRECTIONS, "/v1/requests", "/v1/requests/{id}"}


def test_an_upload_works_with_the_signed_headers_only(world: World) -> None:
    api, person = world.api("eu-west", "acme"), somebody()
    place = api.call(
        "POST", "/v1/datasets/letters/uploads", json={"key": "letters/signed.txt", "subject": person}
    ).json()
    without = httpx.put(place["url"], content=b"x", verify=api.trust)
    forged = httpx.put(place["url"], content=b"x", headers={"x-amz-meta-subject": "0" * 64}, verify=api.trust)
    elsewhere = httpx.put(place["url"].replace("signed.txt", "other.txt"), content=b"x", verify=api.trust)
    right = httpx.put(place["url"], content=b"x", headers=place["headers"], verify=api.trust)
    assert [each.status_code for each in (without, forged, elsewhere, right)] == [403, 403, 403, 200]


def test_an_upload_url_takes_one_put(world: World) -> None:
    api = world.api("eu-west", "acme")

    def place() -> dict[str, Any]:
        found: dict[str, Any] = api.call("POST", UPLOADS, json={"key": "feedback/once.jsonl"}).json()
        return found

    def put(where: Mapping[str, Any], content: bytes) -> int:
        return httpx.put(
            where["url"], content=content, headers=where["headers"], verify=api.trust
        ).status_code

    first, rival = place(), place()
    assert [put(first, b"{}\n"), put(first, b"{}\n"), put(rival, b"{}\n")] == [200, 412, 412]
    again = place()
    assert [put(again, b"{ }\n"), put(again, b"{}\n"), put(first, b"{}\n")] == [200, 412, 412]
    assert [put({**place(), "headers": {}}, b"{}\n"), put({**first, "headers": {}}, b"{}\n")] == [403, 403]


def test_requests_can_be_found_by_the_program_that_asked(world: World) -> None:
    stack, api = world.stacks["eu-west"], world.api("eu-west", "acme")
    asked = api.request_erasure([somebody()])
    client = stack.clients["acme"]["dpo"].client_id
    found = api.call("GET", f"/v1/requests/{asked.id}").json()
    assert found["client_id"] == client
    assert found["call_id"]
    assert asked.id in {each.id for each in api.requests(client_id=client)}
    other = stack.clients["acme"]["support"].client_id
    assert api.requests(client_id=other) == []
