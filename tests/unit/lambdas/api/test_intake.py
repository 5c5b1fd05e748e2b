"""Erasure and correction requests from the call to the table."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

import pytest
from botocore.exceptions import ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from privacy.api import corrections
from privacy.customers.references import subject_reference
from privacy.requests.due_dates import due_at
from privacy.requests.store import RequestBusyError, RequestStore
from privacy.timestamps import parse_timestamp, timestamp
from privacy.vault import request_items
from privacy.vault.sessions import Vault
from tests.properties import examples

from ..region import client
from ..support.api import DATASETS, Api, Cloud, Response
from ..support.interleaving import Interleaving, interleavings

ERASURES = "/v1/erasure-requests"
CORRECTIONS = "/v1/correction-requests"
CHANGES = [
    {"dataset": "profiles", "record": "p-1", "set": {"name": "Ada M.", "phone": None}},
    {"dataset": "feedback", "set": {"author.name": "Ada M."}},
]
CORRECTION = {"subject": "ada@example.org", "changes": CHANGES}


def erase(api: Api, *subjects: str, key: str | None = None, client: str = "acme-dpo") -> Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return api("POST", ERASURES, {"subjects": list(subjects)}, headers=headers, client=client)


def correct(
    api: Api, changes: object = CHANGES, key: str | None = None, subject: str = "ada@example.org"
) -> Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return api("POST", CORRECTIONS, {"subject": subject, "changes": changes}, headers=headers)


def on_record(cloud: Cloud, customer: str = "acme") -> list[str]:
    return [request.id for request in cloud.requests.pending(customer, 1000)]


def waiting_changes(cloud: Cloud, customer: str = "acme") -> dict[str, Any]:
    return {
        item["sk"]["S"].removeprefix("changes#"): json.loads(item["changes"]["S"])
        for item in cloud.items(f"vault-{customer}")
        if item["sk"]["S"].startswith("changes#")
    }


def test_an_erasure_request_is_on_record_and_a_run_starts(api: Api) -> None:
    response = erase(api, "ada@example.org", "bob@example.org")
    assert response.status == 202
    body = response.json
    received = parse_timestamp(body["received_at"])
    assert abs(datetime.now(UTC) - received).total_seconds() < 60
    assert body == {
        "id": body["id"],
        "type": "erasure",
        "state": "pending",
        "received_at": body["received_at"],
        "due_at": timestamp(due_at(received)),
        "subjects": 2,
        "client_id": "acme-dpo",
        "call_id": "request-1",
    }
    location = urljoin("https://api.example/live/v1/erasure-requests", response.headers["Location"])
    assert location == f"https://api.example/live/v1/requests/{body['id']}"
    secret = api.cloud.secret()
    assert api.cloud.requests.refs("acme", body["id"]) == [
        subject_reference(secret, subject, "email") for subject in ("ada@example.org", "bob@example.org")
    ]
    (execution,) = api.cloud.executions()
    assert execution["name"].startswith("acme-")
    assert api("GET", "/v1/requests/{id}", id=body["id"]).json == body


@pytest.mark.parametrize("path", [ERASURES, CORRECTIONS])
def test_a_request_tells_who_asked_and_one_line_joins_it_to_the_call(
    api: Api, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    body = {"subjects": ["ada@example.org"]} if path == ERASURES else CORRECTION
    person = {"sub": "3c9f2a10-0000-4000-8000-000000000001", "username": "jane"}
    with caplog.at_level(logging.INFO):
        program, human = api("POST", path, body).json, api("POST", path, body, claims=person).json
    known = {"client_id": "acme-dpo", "call_id": "request-1"}
    assert {name: program.get(name) for name in ("client_id", "call_id", "person_id")} == known | {
        "person_id": None
    }
    assert {name: human.get(name) for name in ("client_id", "call_id", "person_id")} == known | {
        "person_id": person["sub"]
    }
    lines = [line for line in caplog.messages if line.startswith("request received:")]
    assert len(lines) == 2
    assert f"request={human['id']}" in lines[1]
    assert f"client=acme-dpo person={person['sub']} call=request-1" in lines[1]
    assert "person=- " in lines[0]
    assert "jane" not in caplog.text + str(api.cloud.items(api.cloud.request_table))


def test_a_call_sent_again_is_on_record_as_the_first_one(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        first = erase(api, "ada@example.org", key="k")
        event = api.event("POST", ERASURES, {"subjects": ["ada@example.org"]})
        event["multiValueHeaders"]["Idempotency-Key"] = ["k"]
        event["requestContext"]["requestId"] = "request-2"
        assert api.send(event).json == first.json
    assert len([line for line in caplog.messages if line.startswith("request received:")]) == 1


@pytest.mark.parametrize(
    "changes",
    [
        [{"dataset": "profiles", "set": {"name": "x", "ada@example.org": {}}}],
        [{"dataset": "profiles", "set": {"name": "x", "ada@example.org": ["ada@example.org"]}}],
        [{"dataset": "profiles", "set": {"name": "x", "ada@example.org": "x"}}],
        [{"dataset": "profiles", "set": {"name": "x"}, "ada@example.org": {}}],
    ],
)
def test_what_points_at_a_fault_repeats_no_name_of_the_callers(api: Api, changes: object) -> None:
    response = correct(api, changes)
    assert (response.status, response.problem) == (422, "invalid-body")
    assert "ada@" not in response.text
    (error,) = response.json["errors"]
    assert error["pointer"] in {"/changes/0/set", "/changes/0"}
    if error["pointer"] == "/changes/0/set":
        assert "2" in error["detail"], "which of them it is"


@pytest.mark.parametrize("key", ['"x', 'x"', '"', '""', '"a"b"', 'a"b', '"a\\"', "x y", "\u00e4"])
def test_a_key_that_is_half_quoted_is_none(api: Api, key: str) -> None:
    response = erase(api, "ada@example.org", key=key)
    assert (response.status, response.problem) == (400, "invalid-parameter")
    assert on_record(api.cloud) == []


@pytest.mark.parametrize("key", ['"x"', "x", ' "x" ', "a\\b", "a'b"])
def test_a_key_is_taken_with_both_quotes_or_with_none(api: Api, key: str) -> None:
    assert erase(api, "ada@example.org", key=key).status == 202


def test_the_reason_is_kept(api: Api) -> None:
    response = api("POST", ERASURES, {"subjects": ["a@b.c"], "reason": "objection"})
    assert response.json["reason"] == "objection"


def test_subjects_that_normalise_to_one_count_once(api: Api) -> None:
    assert erase(api, "ada@example.org", "ADA@example.org ", "bob@example.org").json["subjects"] == 2


def test_a_subject_that_prints_a_number_is_asked_for_as_text_and_as_the_number(api: Api) -> None:
    refs = [subject_reference(api.cloud.secret(), subject, "email") for subject in ("12.0", "12")]
    erased, corrected = erase(api, "12.0").json, correct(api, subject="12.0").json
    assert [api.cloud.requests.refs("acme", each["id"]) for each in (erased, corrected)] == [refs, refs]


def test_every_blank_subject_is_named_and_nothing_is_on_record(api: Api) -> None:
    response = erase(api, "ada@example.org", " ", "\u3000")
    assert (response.status, response.problem) == (422, "invalid-body")
    assert response.pointers == ["/subjects/1", "/subjects/2"]
    assert on_record(api.cloud) == []


def test_a_thousand_subjects_are_taken_and_no_more(api: Api) -> None:
    assert erase(api, *(f"{n}@example.org" for n in range(1000))).json["subjects"] == 1000
    response = erase(api, *(f"{n}@example.org" for n in range(1001)))
    assert (response.status, response.pointers) == (422, ["/subjects"])


def test_no_identifier_leaves_the_vault(api: Api) -> None:
    erase(api, "ada@example.org", key="k")
    correct(api, key="l")
    outside = str(api.cloud.items(api.cloud.request_table)) + str(api.cloud.executions())
    assert "example.org" not in outside
    assert "Ada M." not in outside


def test_a_run_that_cannot_start_does_not_lose_the_request(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN_STATE_MACHINE_ARN", f"{api.cloud.state_machine_arn}-gone")
    response = erase(api, "ada@example.org")
    assert response.status == 202
    assert on_record(api.cloud) == [response.json["id"]]
    assert api.cloud.lock.active_run("acme") is None


def test_the_same_key_and_body_get_the_same_answer(api: Api) -> None:
    first = erase(api, "ada@example.org", key="k-1")
    api.cloud.requests.finish("acme", first.json["id"], state="completed", at=datetime.now(UTC))
    again = erase(api, "ada@example.org", key='"k-1"')
    assert (again.status, again.json, again.headers) == (first.status, first.json, first.headers)
    assert len(api.cloud.executions()) == 1, "nothing new is there to run"


def test_the_same_key_with_another_body_is_refused(api: Api) -> None:
    first = erase(api, "ada@example.org", key="k-1")
    response = erase(api, "bob@example.org", key="k-1")
    assert (response.status, response.problem) == (422, "idempotency-key-reused")
    assert on_record(api.cloud) == [first.json["id"]]


def test_a_key_counts_for_one_client_and_operation(api: Api) -> None:
    assert erase(api, "ada@example.org", key="k").status == 202
    assert correct(api, key="k").status == 202
    assert erase(api, "bob@example.org", key="k", client="zenith-dpo").status == 202


def test_without_a_key_each_call_is_a_request(api: Api) -> None:
    assert erase(api, "ada@example.org").json["id"] != erase(api, "ada@example.org").json["id"]


@pytest.mark.parametrize("key", ["", '""', "a b", "\u00e4", "x" * 256, "a, b", "\x7f"])
def test_a_malformed_key_is_refused(api: Api, key: str) -> None:
    response = erase(api, "ada@example.org", key=key)
    assert (response.status, response.problem) == (400, "invalid-parameter")
    assert response.json["errors"][0]["parameter"] == "Idempotency-Key"
    assert on_record(api.cloud) == []


def test_a_correction_waits_in_the_vault_and_a_run_starts(api: Api) -> None:
    response = correct(api)
    assert response.status == 202
    assert (response.json["type"], response.json["subjects"]) == ("correction", 1)
    assert response.headers["Location"] == f"requests/{response.json['id']}"
    assert waiting_changes(api.cloud) == {response.json["id"]: CHANGES}
    (item,) = (i for i in api.cloud.items("vault-acme") if "changes" in i)
    assert int(item["expires_at"]["N"]) > datetime.now(UTC).timestamp() + 100 * 86400
    assert len(api.cloud.executions()) == 1


def test_a_repeated_correction_is_one_request_with_one_set_of_values(api: Api) -> None:
    first = correct(api, key="k")
    assert correct(api, key="k").json == first.json
    other = correct(api, [{"dataset": "profiles", "set": {"name": "B"}}], key="k")
    assert (other.status, other.problem) == (422, "idempotency-key-reused")
    assert waiting_changes(api.cloud) == {first.json["id"]: CHANGES}


def hours_left(cloud: Cloud) -> float:
    """For how long the only values that wait are kept."""
    (item,) = (item for item in cloud.items("vault-acme") if "changes" in item)
    return (int(item["expires_at"]["N"]) - datetime.now(UTC).timestamp()) / 3600


class Died(BaseException):
    """Nothing in the function may catch this."""


def test_what_a_call_that_died_left_goes_within_a_day(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object, **__: object) -> None:
        raise Died

    monkeypatch.setattr(RequestStore, "create", die)
    with pytest.raises(Died):
        correct(api)
    assert on_record(api.cloud) == []
    assert 1 < hours_left(api.cloud) < 24


def test_values_of_a_request_on_record_are_kept_by_the_same_call_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call dies between putting the request on record and keeping its values."""

    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(request_items, "confirm_changes", die)
        with pytest.raises(Died):
            correct(api, key="k")
    assert hours_left(api.cloud) < 24
    assert correct(api, key="k").status == 202
    assert hours_left(api.cloud) > 100 * 24
    assert list(waiting_changes(api.cloud)) == on_record(api.cloud) != []


def test_values_that_went_meanwhile_do_not_come_back(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run has ended the request before the call says that the values are to be kept."""
    confirm = request_items.confirm_changes

    def drop_first(vault: Vault, refs: list[str], request_id: str, changes: str) -> None:
        request_items.drop_changes(vault, refs, request_id)
        confirm(vault, refs, request_id, changes)

    monkeypatch.setattr(request_items, "confirm_changes", drop_first)
    assert correct(api).status == 202
    assert waiting_changes(api.cloud) == {}


def test_a_repetition_does_not_prolong_what_waits_for_a_redrive(api: Api) -> None:
    request = correct(api, key="k").json["id"]
    (item,) = (item for item in api.cloud.items("vault-acme") if "changes" in item)
    item["expires_at"] = {"N": str(int(datetime.now(UTC).timestamp()) + 14 * 86400)}
    client("dynamodb").put_item(TableName="vault-acme", Item=item)
    assert correct(api, key="k").json["id"] == request
    assert hours_left(api.cloud) < 15 * 24


def test_a_request_is_accepted_although_its_values_could_not_be_confirmed(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise ReadTimeoutError(endpoint_url="x")

    monkeypatch.setattr(request_items, "confirm_changes", refuse)
    assert correct(api).status == 202
    assert "values not confirmed" in caplog.text
    assert list(waiting_changes(api.cloud)) == on_record(api.cloud) != []


def test_values_without_a_request_are_dropped(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object, **__: object) -> None:
        raise RequestBusyError

    monkeypatch.setattr(RequestStore, "create", busy)
    response = correct(api)
    assert (response.status, response.problem) == (409, "conflict")
    assert waiting_changes(api.cloud) == {}


def test_values_stay_where_the_request_may_exist(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    create = RequestStore.create

    def create_and_lose_the_answer(store: RequestStore, *args: Any, **more: Any) -> None:  # noqa: ANN401
        create(store, *args, **more)
        raise ReadTimeoutError(endpoint_url="x")

    monkeypatch.setattr(RequestStore, "create", create_and_lose_the_answer)
    assert correct(api).status == 500
    assert list(waiting_changes(api.cloud)) == on_record(api.cloud) != []


@pytest.mark.parametrize(
    ("changes", "pointers"),
    [
        ([], ["/changes"]),
        ([{"dataset": "profiles", "set": {}}], ["/changes/0/set"]),
        ([{"dataset": "profiles", "set": {"name": ["SECRET"]}}], ["/changes/0/set"]),
        ([{"dataset": "SECRET", "set": {"name": "x"}}], ["/changes/0/dataset"]),
        ([{"dataset": "letters", "set": {"name": "x"}}], ["/changes/0/dataset"]),
        ([{"dataset": "feedback", "record": "r", "set": {"text": "x"}}], ["/changes/0/record"]),
        ([{"dataset": "profiles", "set": {"SECRET": 1, "name": "x", "plan": "y"}}], ["/changes/0/set"] * 2),
        ([{"dataset": "feedback", "set": {"author.email": "SECRET"}}], ["/changes/0/set"]),
        ([{"dataset": "feedback", "set": {"author": "SECRET"}}], ["/changes/0/set"]),
        ([{"dataset": "profiles", "set": {"email": "SECRET"}}], ["/changes/0/set"]),
        (
            [*CHANGES, {"dataset": "SECRET", "set": {"a": 1}}, {"dataset": "letters", "set": {"a": 1}}],
            ["/changes/2/dataset", "/changes/3/dataset"],
        ),
    ],
)
def test_corrections_that_are_refused(api: Api, changes: list[Any], pointers: list[str]) -> None:
    response = correct(api, changes)
    assert (response.status, response.problem) == (422, "invalid-body")
    assert response.pointers == pointers
    assert "SECRET" not in response.text
    assert waiting_changes(api.cloud) == {}
    assert on_record(api.cloud) == []


def test_the_reason_for_not_changing_an_identifying_field_is_given(api: Api) -> None:
    (error,) = correct(api, [{"dataset": "profiles", "set": {"email": "b@c.d"}}]).json["errors"]
    assert "identifies the subject" in error["detail"]


def test_where_subjects_have_exact_ids_an_id_field_identifies_and_an_email_field_does_not(api: Api) -> None:
    profiles = {**DATASETS[0], "personal": {"email": "email", "member": "id"}}
    api.cloud.register("acme", subject_id="exact", datasets=[profiles])
    assert correct(api, [{"dataset": "profiles", "set": {"email": "b@c.d"}}]).status == 202
    refused = correct(api, [{"dataset": "profiles", "set": {"member": "MBR-2"}}])
    assert (refused.status, refused.pointers) == (422, ["/changes/0/set"])


def test_a_field_of_one_of_a_rows_people_is_corrected_only_where_it_is_clear_whose_it_is(api: Api) -> None:
    mails = {**DATASETS[1], "subject": None, "subjects": ["from.email", "to.email"]}
    mails["personal"] = {"from.email": "email", "from.name": "name", "phone": "phone", "text": "text"}
    api.cloud.register("acme", datasets=[mails])
    for field in ("from.name", "text"):
        assert correct(api, [{"dataset": "feedback", "set": {field: "x"}}]).status == 202
    for field, reason in (("phone", "is about one of the people"), ("from.email", "identifies the subject")):
        refused = correct(api, [{"dataset": "feedback", "set": {field: "x"}}])
        assert (refused.status, refused.pointers) == (422, ["/changes/0/set"])
        assert reason in refused.json["errors"][0]["detail"]


def test_changes_have_a_size(api: Api) -> None:
    changes = [{"dataset": "profiles", "set": {"name": "x" * corrections.MAX_CHANGES_BYTES}}]
    response = correct(api, changes)
    assert (response.status, response.problem) == (413, "content-too-large")
    assert waiting_changes(api.cloud) == {}
    assert on_record(api.cloud) == []


@examples(15)
@given(
    order=interleavings(),
    names=st.lists(st.sampled_from(["one", "two"]), min_size=2, max_size=3),
)
def test_of_concurrent_corrections_with_one_key_one_is_on_record(
    api: Api, fresh: Iterator[str], order: Interleaving, names: list[str]
) -> None:
    key = next(fresh)
    before = set(on_record(api.cloud))
    bodies = [[{"dataset": "profiles", "set": {"name": name}}] for name in names]
    # Warm functions: a cold start's calls are not what is interleaved here.
    api.module("create_correction_request")
    api.cloud.secret()
    responses = order.run([lambda changes=changes: correct(api, changes, key=key) for changes in bodies])
    (winner,) = set(on_record(api.cloud)) - before
    kept = waiting_changes(api.cloud)
    assert set(kept) == before | {winner}
    for body, response in zip(bodies, responses, strict=True):
        if body == kept[winner]:
            assert (response.status, response.json["id"]) == (202, winner)
        else:
            assert (response.status, response.problem) == (422, "idempotency-key-reused")


@examples(15)
@given(calls=st.lists(st.tuples(st.sampled_from("kl"), st.sampled_from("ab")), max_size=6))
def test_any_sequence_of_keys_and_bodies(
    api: Api, fresh: Iterator[str], calls: list[tuple[str, str]]
) -> None:
    salt = next(fresh)
    before = set(on_record(api.cloud))
    first: dict[str, tuple[str, dict[str, Any]]] = {}
    for key, subject in calls:
        response = erase(api, f"{subject}@example.org", key=f"{key}-{salt}")
        known = first.get(key)
        if known is not None and known[0] != subject:
            assert (response.status, response.problem) == (422, "idempotency-key-reused")
        else:
            assert response.status == 202
            assert first.setdefault(key, (subject, response.json)) == (subject, response.json)
    assert set(on_record(api.cloud)) - before == {answer["id"] for _, answer in first.values()}
