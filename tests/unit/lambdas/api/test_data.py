"""Records and uploads."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.api import records
from privacy.api.problems import ProblemError
from privacy.customers.references import subject_reference
from privacy.timestamps import parse_timestamp
from privacy.vault.sessions import open_vault
from tests.properties import examples

from ..region import client
from ..support.api import Api, Cloud, Response
from ..support.interleaving import Interleaving, interleavings

RECORD = "/v1/datasets/{dataset}/records/{record_id}"
UPLOADS = "/v1/datasets/{dataset}/uploads"


def put(
    api: Api,
    subject: str = "ada@example.org",
    *,
    record_id: str = "p-1",
    dataset: str = "profiles",
    scopes: str = "privacy/ingest",
    fields: object = None,
) -> Response:
    body = {"subject": subject, "fields": fields or {"name": "Ada"}}
    return api("PUT", RECORD, body, dataset=dataset, record_id=record_id, scopes=scopes)


def upload(api: Api, key: str, subject: str | None = None, dataset: str = "letters") -> Response:
    body = {"key": key} | ({} if subject is None else {"subject": subject})
    return api("POST", UPLOADS, body, dataset=dataset)


def ref(cloud: Cloud, subject: str, customer: str = "acme") -> str:
    return subject_reference(cloud.secret(customer), subject, "email")


def stored(cloud: Cloud, customer: str = "acme") -> dict[tuple[str, str], Any]:
    """The records: fields by subject reference and record."""
    return {
        (item["pk"]["S"].removeprefix("subject#"), item["sk"]["S"]): json.loads(item["fields"]["S"])
        for item in cloud.items(f"vault-{customer}")
        if "fields" in item
    }


def test_a_record_lies_under_its_subjects_reference(api: Api) -> None:
    fields = {"name": "Ada", "age": 36, "tags": ["a"], "nested": {"x": 1.5, "y": None}}
    assert put(api, " Ada@Example.org", fields=fields).status == 204
    assert stored(api.cloud) == {(ref(api.cloud, "ada@example.org"), "record#profiles/p-1"): fields}
    assert stored(api.cloud, "zenith") == {}
    assert "ada@example.org" not in str(api.cloud.items("vault-acme")).replace(json.dumps(fields), "")


def test_a_record_sent_again_is_replaced(api: Api) -> None:
    put(api)
    revisions = [item["revision"]["N"] for item in api.cloud.items("vault-acme") if "revision" in item]
    assert put(api, fields={"name": "Ada B."}).status == 204
    assert list(stored(api.cloud).values()) == [{"name": "Ada B."}]
    assert revisions != [i["revision"]["N"] for i in api.cloud.items("vault-acme") if "revision" in i]


def test_a_record_sent_under_another_subject_moves(api: Api) -> None:
    put(api)
    assert put(api, "bob@example.org", fields={"name": "Bob"}).status == 204
    assert stored(api.cloud) == {(ref(api.cloud, "bob@example.org"), "record#profiles/p-1"): {"name": "Bob"}}


@examples(15)
@given(order=interleavings(), writers=st.lists(st.sampled_from("abc"), min_size=2, max_size=3))
def test_a_record_has_one_owner_whoever_writes_at_once(
    api: Api, order: Interleaving, writers: list[str]
) -> None:
    cloud = api.cloud
    vault, now = open_vault(cloud.customer(), "ingest"), datetime.now(UTC)
    order.run(
        [
            lambda who=who: records.put_record(vault, "profiles", "p-1", who * 64, {"name": who}, now)
            for who in writers
        ]
    )
    ((owner, _), fields), *others = stored(cloud).items()
    assert others == []
    assert owner == fields["name"] * 64
    (pointer,) = (item["ref"]["S"] for item in cloud.items("vault-acme") if "ref" in item)
    assert pointer == owner


def test_a_record_that_others_keep_writing_is_a_conflict(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "transact", lambda _client, _writes: ["TransactionConflict"])
    monkeypatch.setattr(records, "pause", lambda _attempt: None)
    response = put(api)
    assert (response.status, response.problem) == (409, "conflict")


def test_fields_have_a_size(api: Api) -> None:
    # {"a":""} are 8 bytes.
    assert put(api, fields={"a": "x" * (records.MAX_FIELDS_BYTES - 8)}).status == 204
    response = put(api, fields={"a": "x" * (records.MAX_FIELDS_BYTES - 7)})
    assert (response.status, response.problem) == (413, "content-too-large")


@pytest.mark.parametrize(
    ("call", "status", "problem"),
    [
        ({"dataset": "unknown"}, 404, "not-found"),
        ({"dataset": "feedback"}, 422, "wrong-dataset-format"),
        ({"record_id": "a b"}, 422, "invalid-name"),
        ({"record_id": "x" * 129}, 422, "invalid-name"),
        ({"subject": " \t"}, 422, "invalid-body"),
        ({"subject": ""}, 422, "invalid-body"),
        ({"subject": "Muster-17", "record_id": "by-muster-17"}, 422, "identifier-in-url"),
        ({"scopes": "privacy/erase"}, 403, "insufficient-scope"),
    ],
)
def test_records_that_are_refused(api: Api, call: dict[str, str], status: int, problem: str) -> None:
    response = put(api, **call)
    assert (response.status, response.problem) == (status, problem)
    assert stored(api.cloud) == {}
    assert "Muster" not in response.text


def test_a_file_of_rows_is_put_as_it_is(api: Api) -> None:
    body = upload(api, "feedback/2026-05.jsonl", dataset="feedback").json
    assert (body["method"], body["headers"]) == ("PUT", {"If-None-Match": "*"})
    url = urlsplit(body["url"])
    assert (url.hostname, url.path) == ("vault-acme.s3.eu-west-1.amazonaws.com", "/feedback/2026-05.jsonl")
    assert parse_qs(url.query)["X-Amz-SignedHeaders"] == ["host;if-none-match"]


@pytest.mark.parametrize("key", ["feedback/2026-05.jsonl.gz", "feedback/2026-05.zst"])
def test_a_compressed_file_of_rows_is_put_like_any_other(api: Api, key: str) -> None:
    assert urlsplit(upload(api, key, dataset="feedback").json["url"]).path == f"/{key}"


def test_a_file_of_one_subject_can_only_be_put_with_its_sealed_reference(api: Api) -> None:
    body = upload(api, "letters/7.txt", "olivia@example.org").json
    assert set(body["headers"]) == {"If-None-Match", "x-amz-meta-subject"}
    query = parse_qs(urlsplit(body["url"]).query)
    assert query["X-Amz-SignedHeaders"] == ["host;if-none-match;x-amz-meta-subject"]
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert "olivia" not in body["url"]


def test_an_upload_url_ends_after_a_quarter_of_an_hour(api: Api) -> None:
    body = upload(api, "feedback/1.jsonl", dataset="feedback").json
    left = parse_timestamp(body["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)
    assert parse_qs(urlsplit(body["url"]).query)["X-Amz-Expires"] == ["900"]


def test_an_upload_writes_nothing_by_itself(api: Api) -> None:
    upload(api, "letters/7.txt", "ada@example.org")
    assert client("s3").list_objects_v2(Bucket="vault-acme")["KeyCount"] == 0


@pytest.mark.parametrize(
    ("dataset", "key", "subject", "pointers"),
    [
        ("feedback", "feedback/a.jsonl", "ada@example.org", ["/subject"]),
        ("letters", "letters/a.txt", None, ["/subject"]),
        ("letters", "letters/a.txt", "  ", ["/subject"]),
        ("feedback", "other/a.jsonl", None, ["/key"]),
        ("feedback", "feedback/", None, ["/key", "/key"]),
        ("feedback", "feedback/../letters/a.txt", None, ["/key"]),
        ("feedback", "feedback//a", None, ["/key"]),
        ("feedback", "feedback/./a", None, ["/key"]),
        ("feedback", "feedback/ada@example.org.jsonl", None, ["/key"]),
        ("feedback", "x.gz", "ada@example.org", ["/key", "/subject"]),
    ],
)
def test_uploads_that_are_refused(
    api: Api, dataset: str, key: str, subject: str | None, pointers: list[str]
) -> None:
    response = upload(api, key, subject, dataset)
    assert (response.status, response.problem) == (422, "invalid-body")
    assert response.pointers == pointers
    assert "ada@" not in response.text


@pytest.mark.parametrize(
    ("dataset", "key", "status", "problem"),
    [
        ("unknown", "letters/a.txt", 404, "not-found"),
        ("profiles", "letters/a.txt", 422, "wrong-dataset-format"),
        ("letters", "letters/ada-muster.txt", 422, "identifier-in-url"),
    ],
)
def test_uploads_to_the_wrong_place(api: Api, dataset: str, key: str, status: int, problem: str) -> None:
    response = upload(api, key, "Ada-Muster", dataset)
    assert (response.status, response.problem) == (status, problem)


def test_the_refusal_of_too_many_fields_comes_before_anything_is_written(cloud: Cloud) -> None:
    vault = open_vault(cloud.customer(), "ingest")
    fields = {"a": "\u00e4" * (records.MAX_FIELDS_BYTES // 2)}
    with pytest.raises(ProblemError):
        records.put_record(vault, "profiles", "p-1", "a" * 64, fields, datetime.now(UTC))
    assert stored(cloud) == {}
