"""Reading requests back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from privacy.identifiers import uuid7

from ..support.api import Api

ONE = "/v1/requests/{id}"
ALL = "/v1/requests"
NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)


def make(api: Api, count: int, customer: str = "acme", type_: Any = "erasure") -> list[str]:  # noqa: ANN401
    moments = [NOW + timedelta(seconds=number) for number in range(count)]
    return [
        str(
            api.cloud.requests.create(
                customer, type=type_, refs=["ab" * 32], request_id=uuid7(at), received_at=at
            ).answer["id"]
        )
        for at in moments
    ]


def test_how_a_request_ended(api: Api) -> None:
    (request_id,) = make(api, 1)
    detail = {"unparsed": [{"dataset": "feedback", "line": 3, "reason": "not JSON"}]}
    api.cloud.requests.claim("acme", request_id, uuid7())
    api.cloud.requests.finish("acme", request_id, state="partial", at=NOW, detail=detail)
    body = api("GET", ONE, id=request_id, scopes="privacy/read").json
    assert (body["state"], body["detail"], body["completed_at"]) == (
        "partial",
        detail,
        "2026-05-04T09:00:00Z",
    )


@pytest.mark.parametrize(
    "request_id",
    ["0196a6d5-3a40-7c3e-9a51-6f0d7f1b2c3d", "x", "x" * 36, "x" * 5000, "../requests", "\u00e4" * 36],
)
def test_a_request_that_does_not_exist(api: Api, request_id: str) -> None:
    response = api("GET", ONE, id=request_id)
    assert (response.status, response.problem) == (404, "not-found")


def test_another_customers_request_looks_like_none(api: Api) -> None:
    (request_id,) = make(api, 1, "zenith")
    theirs, none = api("GET", ONE, id=request_id), api("GET", ONE, id=uuid7())
    assert (theirs.status, theirs.text) == (none.status, none.text)
    assert api("GET", ONE, id=request_id, client="zenith-dpo").status == 200


def test_pages_are_newest_first_and_the_customers_own(api: Api) -> None:
    ids = make(api, 30)
    make(api, 3, "zenith")
    first = api("GET", ALL).json
    assert [request["id"] for request in first["requests"]] == ids[:4:-1]
    second = api("GET", ALL, query={"cursor": first["next_cursor"]}).json
    assert [request["id"] for request in second["requests"]] == ids[4::-1]
    assert "next_cursor" not in second


def test_filters(api: Api) -> None:
    erasures, (correction,) = make(api, 2), make(api, 1, type_="correction")
    api.cloud.requests.finish("acme", erasures[0], state="completed", at=NOW)

    def found(**query: str) -> set[str]:
        return {request["id"] for request in api("GET", ALL, query=query).json["requests"]}

    assert found(type="correction") == {correction}
    assert found(state="completed") == {erasures[0]}
    assert found(state="pending", type="erasure") == {erasures[1]}
    assert found(state="failed") == set()


def test_requests_of_one_program_or_one_person(api: Api) -> None:
    body = {"subjects": ["ada@example.org"]}
    jane = {"sub": "3c9f2a10-0000-4000-8000-000000000001", "username": "jane"}
    api.cloud.register("acme", programs={"acme-dpo": "dpo", "acme-console": "console"})
    script = api("POST", "/v1/erasure-requests", body).json["id"]
    console = api("POST", "/v1/erasure-requests", body, client="acme-console", claims=jane).json["id"]
    (nobodys,) = make(api, 1)

    def found(**query: str) -> set[str]:
        return {request["id"] for request in api("GET", ALL, query=query).json["requests"]}

    assert found(client_id="acme-dpo") == {script}
    assert found(client_id="acme-console", state="pending") == {console}
    assert found(person_id=jane["sub"]) == {console}
    assert found(client_id="zenith-dpo") == set()
    assert found() == {script, console, nobodys}


@pytest.mark.parametrize(
    "query",
    [{"client_id": ""}, {"client_id": "a b"}, {"client_id": "x" * 129}, {"person_id": "jane@example.org"}],
)
def test_who_asked_is_not_looked_for_by_any_text(api: Api, query: dict[str, str]) -> None:
    response = api("GET", ALL, query=query)
    assert (response.status, response.problem) == (400, "invalid-parameter")
    assert [error["parameter"] for error in response.json["errors"]] == list(query)
    assert "jane" not in response.text


def test_a_made_up_cursor_is_some_position_in_the_customers_own_requests(api: Api) -> None:
    make(api, 1)
    assert api("GET", ALL, query={"cursor": "A" * 22}).json == {"requests": []}
    (theirs,) = make(api, 1, "zenith")
    assert theirs not in api("GET", ALL, query={"cursor": "_" * 22}).text
