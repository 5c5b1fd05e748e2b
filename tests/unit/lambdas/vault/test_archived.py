"""Files in an archive: brought back and dealt with, or reported; never forgotten."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from moto.s3 import models

from privacy.identifiers import uuid7
from privacy.requests import store as request_store
from privacy.requests.request import Request
from privacy.requests.run_lock import RunLock
from privacy.run.complete import complete_run
from privacy.vault import archived
from privacy.vault import objects as vault_objects
from privacy.vault import rewrite as vault_rewrite
from privacy.vault.sessions import open_vault
from privacy.visits import batch as visit_batch

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"
BUCKET = "gdpr-eu-west-vault-acme-123456789012-eu-west-1"


def row(email: str, text: str = "") -> bytes:
    return json.dumps({"by": {"email": email}, "text": text}).encode() + b"\n"


def entry_of(world: "World", key: str, *people: str) -> None:
    """The index knows whom the file holds: it looked into it before it was archived."""
    version = world.s3.head_object(Bucket=BUCKET, Key=key)["VersionId"]
    below = world.customer.dataset_of(key)
    assert below is not None
    for person in people:
        world.dynamodb.put_item(
            TableName=world.customer.table,
            Item={
                "pk": {"S": f"subject#{world.ref(person)}"}, "sk": {"S": f"object#{key}"},
                "object": {"S": key}, "dataset": {"S": below.name}, "version_id": {"S": version},
                "indexed_at": {"S": "2026-01-01T00:00:00.000000Z"},
            },
        )  # fmt: skip
    marker = {"pk": {"S": f"object#{_digest(key)}"}, "sk": {"S": "indexed"}, "version_id": {"S": version}}
    world.dynamodb.put_item(TableName=world.customer.table, Item=marker)
    world.events.clear()


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def put(world: "World", key: str, *rows: bytes, to: str = "GLACIER") -> str:
    return world.put(key, b"".join(rows), indexed=False, StorageClass=to)


def back(world: "World", key: str) -> None:
    """S3 brings the file back."""
    asked = {"Bucket": BUCKET, "Key": key, "RestoreRequest": {"Days": 1}}
    world.s3._make_api_call("RestoreObject", asked)


def restored(world: "World", key: str) -> list[bytes]:
    """The contents of the key's versions, once somebody has brought them back."""
    back(world, key)
    return world.contents(key)


def reasons(request: Request) -> list[str]:
    return [problem["reason"] for problem in (request.detail or {}).get("problems", [])]


@pytest.fixture
def slow(world: "World", monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 takes its time to bring a file back; `restored` shows what is there when it has."""
    monkeypatch.setattr(world.s3, "restore_object", lambda **_: None)


def test_a_file_to_report_is_left_alone_and_its_request_says_so(world: "World") -> None:
    world.put("feedback/a.jsonl", b'{"author": {"email": "anna@example.org"}}\n')
    key = "notes/a.jsonl"
    put(world, key, row(ANNA, "old"), to="STANDARD")
    version = put(world, key, row(ANNA), row(BOB))
    entry_of(world, key, ANNA, BOB)
    before = world.versions(key)
    request = world.erase(ANNA)
    world.run()

    done = world.request(request)
    assert (done.state, reasons(done)) == ("partial", ["archived"])
    assert done.detail is not None
    assert done.detail["problems"][0]["dataset"] == "notes"
    assert key not in json.dumps(done.detail)
    assert world.versions(key) == before
    assert version in str(before)
    assert world.partition(ANNA) == ["erased", f"object#{key}"]
    assert world.contents("feedback/a.jsonl") == [b""]


@pytest.mark.usefixtures("slow")
def test_a_request_waits_for_a_file_and_ends_when_it_is_back(world: "World") -> None:
    key = "vault/a.jsonl"
    put(world, key, row(BOB), row(ANNA, "old"))
    put(world, key, row(BOB), row(ANNA))
    entry_of(world, key, ANNA, BOB)
    world.put("feedback/a.jsonl", b'{"author": {"email": "anna@example.org"}}\nnot json\n')
    request = world.erase(ANNA)
    world.run()

    waits = world.request(request)
    assert (waits.state, waits.run_id) == ("pending", None)
    assert waits.detail is not None
    assert waits.detail["waiting_count"] == 1
    assert waits.detail["waiting"][0]["dataset"] == "vault"
    assert world.contents("feedback/a.jsonl") == [b"not json\n"]
    assert world.requests.pending("acme", 10) == []

    other = world.erase(BOB)
    assert [r.id for r in world.requests.pending("acme", 10)] == [other]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(request_store, "datetime", _clock(archived.WAIT))
        assert [r.id for r in world.requests.pending("acme", 1)] == [request]
        world.run()  # too early
        assert {world.request(each).state for each in (request, other)} == {"pending"}
        back(world, key)
        patch.setattr(request_store, "datetime", _clock(2 * archived.WAIT))
        world.run()
        done = [world.request(each) for each in (request, other)]
    assert restored(world, key) == [b""]
    # What the first run could not read, the answer still says.
    assert [each.state for each in done] == ["partial", "partial"]
    assert done[0].detail is not None
    assert (done[0].detail["unparsed_count"], done[0].detail["unparsed"][0]["line"]) == (1, 2)
    assert "waiting" not in done[0].detail
    assert world.partition(ANNA) == ["erased"]


def _clock(ahead: timedelta) -> type[datetime]:
    real = datetime

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # noqa: ANN401
            return real.now(tz) + ahead

    return Clock


def test_it_is_written_back_into_its_own_storage_class(world: "World") -> None:
    key = "vault/a.jsonl"
    put(world, key, row(BOB), row(ANNA), to="DEEP_ARCHIVE")
    entry_of(world, key, ANNA, BOB)
    request = world.erase(ANNA)
    world.run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(request_store, "datetime", _clock(archived.WAIT))
        world.run()
    assert world.s3.head_object(Bucket=BUCKET, Key=key)["StorageClass"] == "DEEP_ARCHIVE"
    assert restored(world, key) == [row(BOB)]
    done = world.request(request)
    assert (done.state, done.detail) == ("completed", None)


@pytest.mark.usefixtures("slow")
def test_past_the_due_day_the_answer_does_not_wait_any_more(world: "World") -> None:
    key = "vault/a.jsonl"
    put(world, key, row(ANNA))
    entry_of(world, key, ANNA)
    request = world.erase(ANNA)
    run_id = uuid7()
    planned = world.plan(run_id)
    world.visit(planned)
    world.call("verify_run", {"customer": "acme", "run_id": run_id})
    complete_run(
        open_vault(world.customer, "close"),
        world.requests,
        RunLock(world.requests.table, "arn:aws:states:eu-west-1:123456789012:stateMachine:gdpr-eu-west-run"),
        run_id,
        clock=lambda: datetime.now(UTC) + timedelta(days=40),
    )
    assert (world.request(request).state, reasons(world.request(request))) == ("partial", ["archived"])


def test_an_upload_into_the_archive_is_noted_and_reported_by_every_erasure(world: "World") -> None:
    put(world, "notes/unread.jsonl", row(ANNA))
    assert world.deliver() == [], "it must not end in the dead-letter queue"
    for who in (ANNA, BOB):
        request = world.erase(who)
        world.run()
        assert (world.request(request).state, reasons(world.request(request))) == ("partial", ["archived"])


def test_an_upload_into_the_archive_is_brought_back_when_somebody_is_erased(world: "World") -> None:
    key = "vault/unread.jsonl"
    put(world, key, row(ANNA), row(BOB))
    assert world.deliver() == []
    request = world.erase(ANNA)
    world.run()
    assert world.request(request).state == "pending"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(request_store, "datetime", _clock(archived.WAIT))
        world.run()
    assert world.request(request).state == "completed"
    assert restored(world, key) == [row(BOB)]


def test_once_it_was_back_the_index_knows_it(world: "World") -> None:
    key = "notes/unread.jsonl"
    version = put(world, key, row(ANNA), row(BOB))
    assert world.deliver() == []
    erasure = world.erase(ANNA)
    world.run()
    assert world.request(erasure).state == "partial"
    world.s3.restore_object(Bucket=BUCKET, Key=key, RestoreRequest={"Days": 1})
    assert world.deliver(world.notify("ObjectRestore:Completed", key, version)) == []

    # Anna was erased before anybody could look into it, and so goes as a late arrival.
    (follow_up,) = world.requests.pending("acme", 10)
    assert follow_up.follows == erasure
    assert world.partition(BOB) == [f"object#{key}"]
    assert [i for i in world.items() if i["pk"]["S"] == "archived"] == []
    world.run()
    assert restored(world, key) == [row(BOB)]
    assert world.partition(ANNA) == ["erased"]


def test_a_file_that_replaced_one_nobody_could_read_ends_the_note(world: "World") -> None:
    put(world, "notes/a.jsonl", row(ANNA))
    assert world.deliver() == []
    version = world.put("notes/a.jsonl", row(BOB))
    request = world.erase(ANNA)
    world.run()
    assert world.request(request).state == "completed"
    assert world.versions("notes/a.jsonl") == [("notes/a.jsonl", version, False)]
    assert [i for i in world.items() if i["pk"]["S"] == "archived"] == []


def test_whole_files_go_and_are_indexed_without_being_brought_back(world: "World") -> None:
    world.put_letter("letters/1", ANNA, StorageClass="DEEP_ARCHIVE")
    assert world.partition(ANNA) == ["object#letters/1"]
    world.put_letter("papers/1", ANNA, StorageClass="GLACIER")
    request = world.erase(ANNA)
    world.run()
    assert world.versions() == []
    assert world.request(request).state == "completed"


def test_archived_older_versions_are_just_deleted(world: "World") -> None:
    put(world, "notes/a.jsonl", row(ANNA))
    world.events.clear()
    version = world.put("notes/a.jsonl", row(ANNA, "x") + row(BOB))
    request = world.erase(ANNA)
    world.run()
    assert world.contents("notes/a.jsonl") == [row(BOB)]
    assert version not in str(world.versions())
    assert world.request(request).state == "completed"


@pytest.mark.parametrize(
    ("storage", "asked"),
    [("GLACIER", {"Days": 3}), ("DEEP_ARCHIVE", {"Days": 3}), ("INTELLIGENT_TIERING", {})],
)
def test_what_s3_is_asked_for_by_storage_class(
    world: "World", monkeypatch: pytest.MonkeyPatch, storage: str, asked: dict[str, int]
) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(world.s3, "restore_object", lambda **more: calls.append(more["RestoreRequest"]))
    vault_objects.restore(open_vault(world.customer, "visit"), "vault/a", storage)
    assert calls == [{**asked, "GlacierJobParameters": {"Tier": "Standard"}}]


@pytest.mark.parametrize(
    ("code", "raises"),
    [
        ("RestoreAlreadyInProgress", None),
        ("ObjectAlreadyInActiveTierError", vault_objects.ObjectChangedError),
        ("InvalidObjectState", vault_objects.ObjectChangedError),
        ("NoSuchKey", vault_objects.ObjectChangedError),
        ("AccessDenied", ClientError),
    ],
)
def test_how_an_answer_to_a_restoration_is_taken(
    world: "World", monkeypatch: pytest.MonkeyPatch, code: str, raises: type[Exception] | None
) -> None:
    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": code}}, "RestoreObject")

    monkeypatch.setattr(world.s3, "restore_object", refuse)
    opened = open_vault(world.customer, "visit")
    if raises is None:
        vault_objects.restore(opened, "vault/a", "GLACIER")
    else:
        with pytest.raises(raises):
            vault_objects.restore(opened, "vault/a", "GLACIER")


@pytest.mark.parametrize("large", [False, True])
def test_a_visit_that_is_cut_short_knows_its_own_archived_work(
    world: "World", monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    """What it wrote is archived at once: it cannot read it again to see that its work is done."""
    if large:
        monkeypatch.setattr(vault_rewrite, "PART_BYTES", 1024)
        monkeypatch.setattr(models, "S3_UPLOAD_PART_MIN_SIZE", 1)
    key = "vault/a.jsonl"
    others = b"".join(row(BOB, "x" * 100) for _ in range(30))
    put(world, key, row(ANNA, "old"))
    put(world, key, others, row(ANNA), others)
    entry_of(world, key, ANNA, BOB)
    world.s3.restore_object(Bucket=BUCKET, Key=key, RestoreRequest={"Days": 1})
    request = world.erase(ANNA)
    planned = world.plan(uuid7())
    commit, refused = vault_rewrite.Rewrite.commit, [1]

    def lost(rewrite: vault_rewrite.Rewrite) -> str:
        version = commit(rewrite)
        if refused:
            refused.pop()
            raise ClientError({"Error": {"Code": "InternalError"}}, "PutObject")
        return version

    monkeypatch.setattr(vault_rewrite.Rewrite, "commit", lost)
    with pytest.raises(visit_batch.VisitsFailedError):
        world.visit(planned)
    world.visit(planned)
    world.call("verify_run", {"customer": "acme", "run_id": planned["run_id"]})
    world.complete(planned["run_id"])
    assert world.request(request).state == "completed"
    assert restored(world, key) == [others + others]
    assert world.partition(ANNA) == ["erased"]
    assert world.partition(BOB) == [f"object#{key}"]
