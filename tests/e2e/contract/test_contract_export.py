"""The return of data: a program asks for everything, and gets that and nothing else."""

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from local.client import ExportView, PrivacyClient, ProblemError
from local.emulator.search import search
from local.stacks import Stack
from tests.e2e.support import World, completed, somebody

_INTERNAL = {"pk", "sk", "revision"}


def lines(api: PrivacyClient, export: ExportView, kind: str) -> list[dict[str, Any]]:
    """What the parts of one kind hold, fetched from their URLs."""
    parts = [part for part in export.parts if part["kind"] == kind]
    contents = [api.fetch(part["url"]) for part in parts]
    assert [(len(content), content.count(b"\n")) for content in contents] == [
        (part["size"], part["lines"]) for part in parts
    ]
    return [json.loads(line) for content in contents for line in content.splitlines()]


def made(api: PrivacyClient) -> ExportView:
    export = api.wait_for_export(api.request_export().id)
    assert export.state == "completed", export
    return export


def records_of(world: World, stack: Stack, customer: str) -> list[dict[str, Any]]:
    """All records of a vault, as the account's root finds them."""
    pages = (
        world.emulator.client("dynamodb", stack.region)
        .get_paginator("scan")
        .paginate(TableName=stack.vaults[customer].table, FilterExpression="attribute_exists(record_id)")
    )
    items = [item for page in pages for item in page["Items"]]
    found = [{n: v["S"] for n, v in item.items() if n not in _INTERNAL} for item in items]
    return [{**record, "fields": json.loads(record["fields"])} for record in found]


def files_of(world: World, stack: Stack, customer: str) -> dict[str, bytes]:
    """All files of a vault that are no export's, as the account's root finds them."""
    s3, bucket = world.emulator.client("s3", stack.region), stack.vaults[customer].bucket
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return {
        key: s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        for key in keys
        if not key.startswith("exports/")
    }


def in_order(records: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(record, sort_keys=True) for record in records)


@pytest.mark.parametrize(("name", "customer"), [("eu-west", "acme"), ("us-east", "umbra")])
def test_everything_comes_back_and_nothing_of_anybody_else(world: World, name: str, customer: str) -> None:
    api, stack = world.api(name, customer), world.stacks[name]
    export = made(api)
    records, listed = lines(api, export, "records"), lines(api, export, "files")
    assert records
    assert in_order(records) == in_order(records_of(world, stack, customer))

    fetched = {file["key"]: file for file in api.export_files(export.id, limit=7)}
    assert [{n: v for n, v in file.items() if n != "url"} for file in fetched.values()] == listed
    files = files_of(world, stack, customer)
    assert files
    assert {key: api.fetch(file["url"]) for key, file in fetched.items()} == files
    assert {file["dataset"] for file in listed} >= {
        sent.dataset for sent in world.data[name].customers[customer].files
    }
    assert export.counts == {
        "records": len(records),
        "files": len(files),
        "file_bytes": sum(map(len, files.values())),
    }

    everything = json.dumps([records, listed], ensure_ascii=False) + str(
        [content.decode(errors="replace") for content in files.values()]
    )
    for other in world.data[name].customers:
        if other != customer:
            stranger = world.data[name].only_at(other)[-1]
            assert not [trace for trace in stranger.traces if trace in everything]


def test_it_lies_in_the_customers_own_bucket_under_its_own_key(world: World) -> None:
    export = made(world.api("eu-west", "globex"))
    vault = world.stacks["eu-west"].vaults["globex"]
    s3 = world.emulator.client("s3", "eu-west-1")
    for part in export.parts:
        head = s3.head_object(Bucket=vault.bucket, Key=f"exports/{export.id}/{part['name']}")
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", vault.key_arn)


def test_a_program_without_the_scope_gets_nothing(world: World) -> None:
    export = made(world.api("eu-west", "acme"))
    support = world.api("eu-west", "acme", "support")
    for method, path in (
        ("POST", "/v1/contract/export"),
        ("GET", f"/v1/contract/export/{export.id}"),
        ("GET", f"/v1/contract/export/{export.id}/files"),
    ):
        response = support.call(method, path)
        assert response.status_code == httpx.codes.FORBIDDEN
        assert response.json()["type"] == "urn:gdpr:problem:insufficient-scope"
    assert support.contract()["state"] == "running"


@pytest.mark.parametrize(("name", "customer"), [("eu-west", "globex"), ("us-east", "initech")])
def test_another_customers_token_does_not_find_it(world: World, name: str, customer: str) -> None:
    export = made(world.api("eu-west", "acme"))
    for path in (f"/v1/contract/export/{export.id}", f"/v1/contract/export/{export.id}/files"):
        response = world.api(name, customer).call("GET", path)
        assert response.status_code == httpx.codes.NOT_FOUND


def test_the_same_key_asks_for_the_same_export(world: World) -> None:
    api = world.api("eu-west", "acme")
    first = api.request_export(idempotency_key="return-of-data")
    api.wait_for_export(first.id)
    assert api.request_export(idempotency_key="return-of-data") == first


def test_no_export_outlives_an_erasure(world: World) -> None:
    person = somebody()
    api, stack = world.api("eu-west", "acme"), world.stacks["eu-west"]
    api.put_record("profiles", "export-1", person, {"name": "Export Test", "email": person})
    world.send_rows([person], "feedback/export.jsonl")
    before = made(api)
    texts = [api.fetch(part["url"]).decode() for part in before.parts]
    assert any(person in text for text in texts)
    theirs = made(world.api("eu-west", "globex"))

    completed(api, api.request_erasure([person]))

    withdrawn = api.export(before.id)
    assert (withdrawn.state, withdrawn.reason, withdrawn.parts) == ("withdrawn", "erasure", ())
    with pytest.raises(ProblemError) as refused:
        list(api.export_files(before.id))
    assert refused.value.kind == "urn:gdpr:problem:export-unavailable"
    for part in before.parts:
        with pytest.raises(ProblemError):
            api.fetch(part["url"])
    assert search(world.emulator, stack.region, [person, "Export Test"]).findings == ()
    after = made(api)
    everything: list[Mapping[str, Any]] = [*lines(api, after, "records"), *lines(api, after, "files")]
    assert everything
    assert person not in json.dumps(everything, ensure_ascii=False)
    assert world.api("eu-west", "globex").export(theirs.id).state == "completed"
