"""Asking for everything that was sent, and fetching it."""

import base64
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from botocore.exceptions import ReadTimeoutError
from hypothesis import example, given
from hypothesis import strategies as st
from moto.dynamodb.models import DynamoDBBackend

from privacy.api import export_downloads
from privacy.aws import clients as aws_clients
from privacy.exports.store import ExportStore, Part, Written
from privacy.identifiers import uuid7
from privacy.requests.caller import Caller
from privacy.timestamps import parse_timestamp, timestamp
from tests.properties import examples

from ..region import client
from ..support.api import Api, Response
from ..support.interleaving import Interleaving, interleavings

ALL = "/v1/contract/export"
ONE = "/v1/contract/export/{id}"
FILES = "/v1/contract/export/{id}/files"
ACCESS = "privacy/access"


def ask(api: Api, key: str | None = None, **more: Any) -> Response:  # noqa: ANN401 - arguments of a call
    headers = {} if key is None else {"Idempotency-Key": key}
    return api("POST", ALL, headers=headers, **{"scopes": ACCESS, **more})


def get(api: Api, export_id: str, **more: Any) -> Response:  # noqa: ANN401 - arguments of a call
    return api("GET", ONE, id=export_id, **{"scopes": ACCESS, **more})


def files(api: Api, export_id: str, **more: Any) -> Response:  # noqa: ANN401 - arguments of a call
    return api("GET", FILES, id=export_id, **{"scopes": ACCESS, **more})


def store(api: Api) -> ExportStore:
    return ExportStore(api.cloud.request_table)


def create(api: Api, export_id: str, at: datetime, customer: str = "acme") -> None:
    after, _ = store(api).latest(customer)
    store(api).create(customer, export_id, at, None, caller=Caller("acme-dpo", "call"), after=after)


def listed(number: int) -> dict[str, Any]:
    return {
        "dataset": "letters",
        "key": f"letters/ü {number}",
        "version_id": f"v{number}",
        "size": number,
        "last_modified": "2026-05-04T09:00:00Z",
        "etag": '"e"',
    }


def completed(api: Api, *lists: int, customer: str = "acme", ago: timedelta = timedelta()) -> str:
    """An export that is completed, with a list of so many files each."""
    now = datetime.now(UTC) - ago
    export_id = uuid7(now)
    parts = [Part("records-000001-00.jsonl", "records", 1, 10)]
    for position, count in enumerate(lists):
        name = f"files-{position:06d}-00.jsonl"
        lines = [
            json.dumps(listed(1000 * position + n), ensure_ascii=False).encode() + b"\n" for n in range(count)
        ]
        client("s3").put_object(
            Bucket=f"vault-{customer}", Key=f"exports/{export_id}/{name}", Body=b"".join(lines)
        )
        parts.append(Part(name, "files", count, sum(map(len, lines))))
    create(api, export_id, now, customer)
    written = Written(records=1, files=sum(lists), size=0, parts=tuple(parts))
    until = now + timedelta(days=7)
    assert store(api).complete(customer, export_id, at=now, fetch_until=until, written=written)
    return export_id


def signed_for(url: str) -> str:
    """Bucket and key of a URL."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    return f"{parts.hostname.partition('.')[0]}{unquote(parts.path)}"


def test_an_export_is_on_record_and_being_made(api: Api) -> None:
    response = ask(api)
    assert (response.status, response.json["state"]) == (202, "running")
    export_id = response.json["id"]
    assert response.headers["Location"] == f"export/{export_id}"
    (execution,) = api.cloud.executions(api.cloud.export_machine_arn)
    described = aws_clients.stepfunctions().describe_execution(executionArn=execution["executionArn"])
    assert json.loads(described["input"]) == {"customer": "acme", "export_id": export_id}
    assert get(api, export_id).json == response.json


@pytest.mark.parametrize("scopes", ["privacy/read privacy/erase privacy/ingest", "privacy/unmask", ""])
def test_it_takes_the_scope_for_copies(api: Api, scopes: str) -> None:
    for response in (ask(api, scopes=scopes), get(api, "x", scopes=scopes), files(api, "x", scopes=scopes)):
        assert (response.status, response.problem) == (403, "insufficient-scope")
    assert api.cloud.executions(api.cloud.export_machine_arn) == []


def test_everything_can_be_fetched_in_the_days_of_grace(api: Api) -> None:
    today = datetime.now(UTC).date()
    api.cloud.register("acme", contract_ends=(today - timedelta(days=20)).isoformat())
    export_id = completed(api, 1)
    assert get(api, export_id).json["state"] == "completed"
    assert len(files(api, export_id).json["files"]) == 1
    assert ask(api).status == 202
    api.functions.restart()
    api.cloud.register("acme", contract_ends=(today - timedelta(days=40)).isoformat())
    for response in (ask(api), get(api, export_id), files(api, export_id)):
        assert (response.status, response.problem) == (403, "contract-ended")


def test_the_same_key_asks_for_the_same_export(api: Api) -> None:
    first = ask(api, "k")
    assert ask(api, '"k"').text == first.text
    assert len(api.cloud.executions(api.cloud.export_machine_arn)) == 1
    store(api).fail("acme", first.json["id"], at=datetime.now(UTC))
    assert ask(api, "k").text == first.text, "whatever has become of it"
    assert ask(api, "l").json["id"] != first.json["id"]
    assert ask(api, "no\nkey").problem == "invalid-parameter"


def test_a_start_that_went_wrong_is_made_up_for_by_asking_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: str) -> None:
        raise ReadTimeoutError(endpoint_url="x")

    with monkeypatch.context() as patch:
        patch.setattr(aws_clients.stepfunctions(), "start_execution", fail)
        assert ask(api, "k").status == 500
    assert api.cloud.executions(api.cloud.export_machine_arn) == []
    assert ask(api, "k").status == 202
    assert len(api.cloud.executions(api.cloud.export_machine_arn)) == 1


def test_one_export_at_a_time(api: Api) -> None:
    first = ask(api).json["id"]
    second = ask(api)
    assert (second.status, second.problem) == (409, "export-running")
    assert first in second.json["detail"]
    assert ask(api, client="zenith-dpo").status == 202
    store(api).fail("acme", first, at=datetime.now(UTC))
    assert ask(api).status == 202


@examples(20)
@given(order=interleavings(), kinds=st.lists(st.sampled_from("aab-"), min_size=2, max_size=4))
@example(order=Interleaving(lambda waiting: waiting - 1), kinds=["-", "-", "-", "-"])
def test_one_export_is_made_however_many_ask_at_once(api: Api, order: Interleaving, kinds: list[str]) -> None:
    before, executions = exports(api), len(api.cloud.executions(api.cloud.export_machine_arn))
    keys = [None if kind == "-" else f"{kind}-{len(before)}" for kind in kinds]
    answers: list[Response] = order.run([lambda key=key: ask(api, key) for key in keys])
    (export_id,) = exports(api) - before
    assert {each.json["id"] for each in answers if each.status == 202} == {export_id}
    assert {each.problem for each in answers if each.status != 202} <= {"export-running"}
    assert len(api.cloud.executions(api.cloud.export_machine_arn)) == executions + 1
    store(api).fail("acme", export_id, at=datetime.now(UTC))


def exports(api: Api) -> set[str]:
    names = {item["sk"]["S"] for item in api.cloud.items(api.cloud.request_table)}
    return {name.removeprefix("export#") for name in names if name.startswith("export#")}


def test_twenty_calls_at_once_make_one_export(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.module("create_export")
    write, alone = DynamoDBBackend.transact_write_items, Lock()

    def in_turn(*given: Any) -> None:  # noqa: ANN401 - moto's arguments
        with alone:  # as DynamoDB carries out transactions; moto, in threads, does not
            write(*given)

    monkeypatch.setattr(DynamoDBBackend, "transact_write_items", in_turn)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: ask(api), range(20)))
    assert [each.status for each in answers].count(202) == 1
    assert len(exports(api)) == 1


def test_an_export_of_before_the_latest_was_noted_counts_as_well(api: Api) -> None:
    first = ask(api).json["id"]
    for item in api.cloud.items("requests"):
        if item["sk"]["S"] == "latest-export":
            key = {name: item[name] for name in ("pk", "sk")}
            aws_clients.dynamodb().delete_item(TableName="requests", Key=key)
    assert ask(api).problem == "export-running"
    store(api).fail("acme", first, at=datetime.now(UTC))
    assert ask(api).status == 202
    assert ask(api).problem == "export-running"


def test_an_export_tells_who_asked(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        export_id = ask(api, claims={"sub": "3c9f2a10", "username": "jane"}).json["id"]
    answer = get(api, export_id).json
    assert (answer["client_id"], answer["person_id"], answer["call_id"]) == (
        "acme-dpo",
        "3c9f2a10",
        "request-1",
    )
    assert f"export={export_id} client=acme-dpo person=3c9f2a10 call=request-1" in caplog.text


def test_an_export_that_nothing_makes_any_more_has_failed(api: Api) -> None:
    export_id = uuid7()
    create(api, export_id, datetime.now(UTC) - timedelta(minutes=2))
    assert get(api, export_id).json["state"] == "failed"
    assert ask(api).status == 202


def test_where_to_fetch_what_was_written(api: Api) -> None:
    export_id = completed(api, 2)
    answer = get(api, export_id).json
    assert (answer["state"], answer["counts"]) == ("completed", {"records": 1, "files": 2, "file_bytes": 0})
    assert [(part["kind"], part["lines"]) for part in answer["parts"]] == [("records", 1), ("files", 2)]
    for part in answer["parts"]:
        assert signed_for(part["url"]) == f"vault-acme/exports/{export_id}/{part['name']}"
        assert parse_qs(urlsplit(part["url"]).query)["X-Amz-Expires"] == ["900"]
    ends = parse_timestamp(answer["urls_expire_at"]) - datetime.now(UTC)
    assert timedelta(minutes=14) < ends <= timedelta(minutes=15)


@pytest.mark.parametrize("state", ["failed", "withdrawn", "expired"])
def test_what_has_ended_otherwise_is_not_fetched(api: Api, state: str) -> None:
    export_id = completed(api, 1, ago=timedelta(days=7 if state == "expired" else 0))
    if state == "withdrawn":
        assert store(api).withdraw_all("acme", at=datetime.now(UTC)) == 1
    elif state == "failed":
        export_id = ask(api).json["id"]
        store(api).fail("acme", export_id, at=datetime.now(UTC))
    answer = get(api, export_id)
    assert answer.json["state"] == state
    assert "Ask for a new one" in answer.json["detail"]
    assert answer.json.get("reason") == ("erasure" if state == "withdrawn" else None)
    assert "http" not in answer.text
    refused = files(api, export_id)
    assert (refused.status, refused.problem) == (409, "export-unavailable")
    assert state in refused.json["detail"]


def test_of_a_running_export_nothing_is_fetched(api: Api) -> None:
    assert files(api, ask(api).json["id"]).problem == "export-unavailable"


def test_the_files_come_in_pages_each_with_a_url(api: Api) -> None:
    export_id = completed(api, 5, 3)
    found: list[dict[str, Any]] = []
    query = {"limit": "2"}
    sizes = []
    while True:
        page = files(api, export_id, query=query).json
        found += page["files"]
        sizes.append(len(page["files"]))
        if "next_cursor" not in page:
            break
        query["cursor"] = page["next_cursor"]
    assert sizes == [2, 2, 1, 2, 1]
    assert [{name: value for name, value in file.items() if name != "url"} for file in found] == [
        listed(n) for n in (0, 1, 2, 3, 4, 1000, 1001, 1002)
    ]
    for file in found:
        assert signed_for(file["url"]) == f"vault-acme/{file['key']}"


def test_a_page_ends_with_what_was_read(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    export_id = completed(api, 5)
    monkeypatch.setattr(export_downloads, "_READ_BYTES", 300)
    first = files(api, export_id).json
    assert len(first["files"]) == 2
    second = files(api, export_id, query={"cursor": first["next_cursor"]}).json
    assert [file["size"] for file in second["files"]] == [2, 3]


def test_an_export_without_files_has_an_empty_page(api: Api) -> None:
    page = files(api, completed(api)).json
    assert page["files"] == []
    assert "next_cursor" not in page


@pytest.mark.parametrize("position", [(0, 3), (0, 10**9), (7, 0), (2**32 - 1, 2**64 - 1)])
def test_a_made_up_cursor_is_none(api: Api, position: tuple[int, int]) -> None:
    cursor = base64.urlsafe_b64encode(export_downloads._POSITION.pack(*position)).decode()
    response = files(api, completed(api, 2), query={"cursor": cursor})
    assert (response.status, response.problem) == (400, "invalid-parameter")


def test_a_cursor_says_nothing_of_a_file(api: Api) -> None:
    cursor = files(api, completed(api, 2), query={"limit": "1"}).json["next_cursor"]
    assert b"letters" not in base64.urlsafe_b64decode(cursor)


@pytest.mark.parametrize("export_id", ["0196a6d5-3a40-7c3e-9a51-6f0d7f1b2c3d", "x", "x" * 5000, "ä" * 36])
def test_an_export_that_does_not_exist(api: Api, export_id: str) -> None:
    for response in (get(api, export_id), files(api, export_id)):
        assert (response.status, response.problem) == (404, "not-found")


def test_another_customers_export_looks_like_none(api: Api) -> None:
    export_id = completed(api, 1, customer="zenith")
    for call in (get, files):
        theirs, none = call(api, export_id), call(api, uuid7())
        assert (theirs.status, theirs.text) == (none.status, none.text)
        assert call(api, export_id, client="zenith-dpo").status == 200


def test_an_erasure_that_comes_while_a_page_is_read(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    export_id = completed(api, 1)
    read = export_downloads._read

    def erased(*arguments: Any) -> bytes:  # noqa: ANN401 - passed on as they came
        store(api).withdraw_all("acme", at=datetime.now(UTC))
        for entry in client("s3").list_objects_v2(Bucket="vault-acme", Prefix="exports/")["Contents"]:
            client("s3").delete_object(Bucket="vault-acme", Key=entry["Key"])
        return read(*arguments)

    monkeypatch.setattr(export_downloads, "_read", erased)
    response = files(api, export_id)
    assert (response.status, response.problem) == (409, "export-unavailable")


def test_a_list_that_is_gone_without_a_reason_is_our_fault(api: Api) -> None:
    export_id = completed(api, 1)
    for entry in client("s3").list_objects_v2(Bucket="vault-acme", Prefix="exports/")["Contents"]:
        client("s3").delete_object(Bucket="vault-acme", Key=entry["Key"])
    assert files(api, export_id).status == 500


def test_withdrawing_leaves_a_neighbours_exports_alone(api: Api) -> None:
    ours, theirs = completed(api, 1), completed(api, 1, customer="zenith")
    assert store(api).withdraw_all("acme", at=datetime.now(UTC)) == 1
    assert store(api).withdraw_all("acme", at=datetime.now(UTC)) == 0
    assert get(api, ours).json["state"] == "withdrawn"
    assert get(api, theirs, client="zenith-dpo").json["state"] == "completed"


def test_not_more_than_a_few_copies_of_all_records_are_kept(api: Api) -> None:
    now = datetime.now(UTC)
    made = []
    for number in range(10):
        made.append(ask(api, f"k-{number}").json["id"])
        assert store(api).complete(
            "acme", made[-1], at=now, fetch_until=now + timedelta(days=1 + number), written=Written(
                records=0, files=0, size=0, parts=()
            )
        )  # fmt: skip
    more = ask(api)
    assert (more.status, more.problem) == (409, "too-many-exports")
    assert made[-1] in more.json["detail"]
    assert timestamp(now + timedelta(days=1)) in more.json["detail"]
    assert len(api.cloud.executions(api.cloud.export_machine_arn)) == 10
    assert ask(api, "k-9").json["id"] == made[-1], "the same call, made again"
    assert ask(api, client="zenith-dpo").status == 202, "somebody else's"
    store(api).withdraw_all("acme", at=now)
    assert ask(api).status == 202
