"""The same key and body: the same answer. The same key and another body: refused."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from local.client import ProblemError
from tests.e2e.support import World, somebody


def test_a_request_sent_again_with_its_key_gets_the_first_answer(world: World) -> None:
    api, person = world.api("eu-west", "acme"), somebody()
    headers, body = {"Idempotency-Key": '"again-1"'}, {"subjects": [person]}
    first = api.call("POST", "/v1/erasure-requests", json=body, headers=headers)
    api.wait(first.json()["id"])
    again = api.call("POST", "/v1/erasure-requests", json=body, headers=headers)

    assert first.status_code == again.status_code == httpx.codes.ACCEPTED
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert len([request for request in api.requests(limit=100) if request.id == first.json()["id"]]) == 1


def test_a_correction_sent_many_times_at_once_keeps_its_new_values_for_one_request(world: World) -> None:
    api, view, person = world.api("eu-west", "acme"), world.view("eu-west", "acme"), somebody()
    changes = [{"dataset": "profiles", "set": {"name": "Only Once"}}]
    with ThreadPoolExecutor(3) as pool:
        sent = [
            pool.submit(api.request_correction, person, changes, idempotency_key="correction-1")
            for _ in range(6)
        ]
    (one,) = {each.result().id for each in sent}
    api.wait(one)
    assert [pk for pk, _ in view.digests() if pk.startswith("request#")] == []


def test_a_key_with_another_body_is_refused(world: World) -> None:
    api = world.api("eu-west", "acme")
    request = api.request_erasure([somebody()], idempotency_key="other-1")
    with pytest.raises(ProblemError) as refusal:
        api.request_erasure([somebody()], idempotency_key="other-1")
    assert refusal.value.status == httpx.codes.UNPROCESSABLE_ENTITY
    assert refusal.value.kind == "urn:gdpr:problem:idempotency-key-reused"
    api.wait(request.id)


def test_one_key_sent_many_times_at_once_makes_one_request(world: World) -> None:
    api, person = world.api("eu-west", "acme"), somebody()
    with ThreadPoolExecutor(3) as pool:
        sent = [pool.submit(api.request_erasure, [person], idempotency_key="at-once-1") for _ in range(6)]
    assert len({each.result().id for each in sent}) == 1


def test_a_key_is_one_clients_own(world: World) -> None:
    key, subjects = "shared-key-1", [somebody()]
    one = world.api("eu-west", "acme").request_erasure(subjects, idempotency_key=key)
    other = world.api("eu-west", "globex").request_erasure(subjects, idempotency_key=key)
    assert one.id != other.id


@pytest.mark.parametrize("key", ["", "x" * 256, "with\ttab"])
def test_a_malformed_key_is_refused(world: World, key: str) -> None:
    response = world.api("eu-west", "acme").call(
        "POST", "/v1/erasure-requests", json={"subjects": [somebody()]}, headers={"Idempotency-Key": key}
    )
    assert response.status_code == httpx.codes.BAD_REQUEST
