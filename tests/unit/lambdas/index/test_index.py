import json
import logging
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from privacy.vault import items as vault_items
from privacy.vault import tombstones

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"
ANNAS_ROW = b'{"author": {"email": "anna@example.org"}}\n'
BOBS_ROW = b'{"author": {"email": "bob@example.org"}}\n'


@pytest.mark.parametrize(
    "key", ["feedback/two words.jsonl", "feedback/a+b.jsonl", "feedback/50%.jsonl", "feedback/Zoë/名.jsonl"]
)
def test_keys_come_back_from_their_url_form(world: "World", key: str) -> None:
    world.put(key, ANNAS_ROW)
    assert world.partition(ANNA) == [f"object#{key}"]
    world.erase(ANNA)
    world.run()
    assert world.contents(key) == [b""]


def test_a_key_of_the_greatest_length_is_indexed_and_erased(world: "World") -> None:
    key = "feedback/" + "k" * (1024 - len("feedback/"))
    world.put(key, ANNAS_ROW + BOBS_ROW)
    world.erase(ANNA)
    world.run()
    assert world.contents(key) == [BOBS_ROW]
    assert world.partition(ANNA) == ["erased"]


def test_an_entry_counts_the_rows_of_its_subject(world: "World") -> None:
    version = world.put("feedback/a.jsonl", ANNAS_ROW + BOBS_ROW + ANNAS_ROW)
    (entry,) = [i for i in world.items() if i["pk"]["S"] == f"subject#{world.ref(ANNA)}"]
    assert (entry["rows"], entry["dataset"], entry["version_id"], entry["object"]) == (
        {"N": "2"},
        {"S": "feedback"},
        {"S": version},
        {"S": "feedback/a.jsonl"},
    )


def test_events_in_any_order_and_more_than_once_give_the_same_entries(world: "World") -> None:
    world.put("feedback/a.jsonl", ANNAS_ROW, indexed=False)
    world.put("feedback/a.jsonl", BOBS_ROW, indexed=False)
    first, second = world.events
    world.events.clear()
    assert world.deliver(second) == []
    assert world.deliver(first) == []
    assert world.deliver(second, first, second) == []
    assert world.partition(ANNA) == ["object#feedback/a.jsonl"]
    assert world.partition(BOB) == ["object#feedback/a.jsonl"]


def test_a_copy_is_found_as_well(world: "World") -> None:
    world.put("feedback/a.jsonl", ANNAS_ROW + BOBS_ROW)
    key, bucket = "feedback/copies/Zoë + 1.jsonl", world.customer.bucket
    source = {"Bucket": bucket, "Key": "feedback/a.jsonl"}
    version = world.s3.copy_object(Bucket=bucket, Key=key, CopySource=source)["VersionId"]
    world.notify("ObjectCreated:Copy", key, version)
    assert world.deliver() == []
    assert world.partition(ANNA) == ["object#feedback/a.jsonl", f"object#{key}"]
    world.erase(ANNA)
    world.run()
    assert world.contents("feedback/a.jsonl") == world.contents(key) == [BOBS_ROW]


def test_an_upload_in_parts_is_found_as_well(world: "World") -> None:
    key, bucket = "feedback/large 名.jsonl", world.customer.bucket
    filler = BOBS_ROW * (5 * 1024 * 1024 // len(BOBS_ROW) + 1)
    upload = world.s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    # A row that begins in one part and ends in the next.
    pieces = [filler + ANNAS_ROW[:20], ANNAS_ROW[20:] + BOBS_ROW]
    parts = [
        {
            "PartNumber": number,
            "ETag": world.s3.upload_part(
                Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=piece
            )["ETag"],
        }
        for number, piece in enumerate(pieces, 1)
    ]
    version = world.s3.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
    )["VersionId"]
    world.notify("ObjectCreated:CompleteMultipartUpload", key, version)
    assert world.deliver() == []
    assert world.partition(ANNA) == [f"object#{key}"]
    world.erase(ANNA)
    world.run()
    assert world.contents(key) == [filler + BOBS_ROW]


def test_an_event_of_a_version_that_is_gone_changes_nothing(world: "World") -> None:
    version = world.put("feedback/a.jsonl", ANNAS_ROW, indexed=False)
    world.s3.delete_object(Bucket=world.customer.bucket, Key="feedback/a.jsonl", VersionId=version)
    assert world.deliver() == []
    assert world.partition(ANNA) == []


def test_entries_go_with_the_last_version_only(world: "World") -> None:
    first = world.put("feedback/a.jsonl", ANNAS_ROW)
    second = world.put("feedback/a.jsonl", BOBS_ROW)
    for version, left in ((second, ["object#feedback/a.jsonl"]), (first, [])):
        world.s3.delete_object(Bucket=world.customer.bucket, Key="feedback/a.jsonl", VersionId=version)
        world.notify("ObjectRemoved:Delete", "feedback/a.jsonl", version)
        assert world.deliver() == []
        assert world.partition(ANNA) == left
        assert world.partition(BOB) == left
    assert [i["pk"]["S"] for i in world.items() if i["pk"]["S"].startswith("object#")] == []


def test_a_delete_marker_removes_no_entry(world: "World") -> None:
    world.put("feedback/a.jsonl", ANNAS_ROW)
    marker = world.s3.delete_object(Bucket=world.customer.bucket, Key="feedback/a.jsonl")["VersionId"]
    world.notify("ObjectRemoved:DeleteMarkerCreated", "feedback/a.jsonl", marker)
    assert world.deliver() == []
    assert world.partition(ANNA) == ["object#feedback/a.jsonl"]


def test_the_test_event_and_objects_outside_every_dataset_are_taken_silently(world: "World") -> None:
    assert world.deliver_bodies(json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"})) == []
    world.put("exports/a.jsonl", ANNAS_ROW)
    assert world.partition(ANNA) == []


def test_only_the_messages_that_failed_come_again(world: "World") -> None:
    world.put("feedback/a.jsonl", ANNAS_ROW, indexed=False)
    good = json.dumps({"Records": world.events})
    foreign = good.replace(world.customer.bucket, "somebody-elses-bucket")
    assert world.deliver_bodies("not json", good, '{"Records": [{}]}', foreign) == ["0", "2", "3"]
    assert world.partition(ANNA) == ["object#feedback/a.jsonl"]


def test_a_failed_message_is_logged_without_its_key(world: "World", caplog: pytest.LogCaptureFixture) -> None:
    world.put("feedback/anna.jsonl", ANNAS_ROW, indexed=False)
    body = json.dumps({"Records": world.events}).replace("eventTime", "noTime")
    with caplog.at_level(logging.INFO):
        assert world.deliver_bodies(body) == ["0"]
    assert "MalformedEventError" in caplog.text
    assert "anna" not in caplog.text


def test_an_upload_indexed_after_its_subjects_erasure_is_erased_too(world: "World") -> None:
    world.put("feedback/early.jsonl", ANNAS_ROW)
    world.put("feedback/late.jsonl", ANNAS_ROW + BOBS_ROW, indexed=False)
    first = world.erase(ANNA)
    late = list(world.events)
    world.events.clear()
    world.run()
    assert world.read("feedback/late.jsonl") == ANNAS_ROW + BOBS_ROW

    started = world.executions()
    assert world.deliver(*late) == []
    assert world.deliver(*late) == []
    assert world.executions() == started + 1
    (follow_up,) = world.requests.pending("acme", 10)
    assert follow_up.follows == first
    world.run()

    assert world.contents("feedback/late.jsonl") == [BOBS_ROW]
    assert world.request(follow_up.id).state == "completed"
    assert world.partition(ANNA) == ["erased"]


def test_an_upload_indexed_before_the_plan_needs_no_second_request(world: "World") -> None:
    world.put("feedback/a.jsonl", ANNAS_ROW)
    world.erase(ANNA)
    world.run()
    assert world.deliver() == []
    assert world.requests.pending("acme", 10) == []


def test_an_upload_made_after_the_erasure_stays(world: "World") -> None:
    world.erase(ANNA)
    world.run()
    world.put("feedback/new.jsonl", ANNAS_ROW)
    assert world.requests.pending("acme", 10) == []
    assert world.contents("feedback/new.jsonl") == [ANNAS_ROW]


def test_a_late_arrival_leaves_what_came_legitimately_since(world: "World") -> None:
    world.put("feedback/late.jsonl", ANNAS_ROW, indexed=False)
    late = list(world.events)
    world.events.clear()
    world.erase(ANNA)
    world.run()
    world.put("feedback/new.jsonl", ANNAS_ROW, indexed=False)
    new = list(world.events)
    world.events.clear()
    world.put_record("1", ANNA, name="Anna is back")
    assert world.deliver(*late) == []
    world.run()
    assert world.deliver(*new) == []
    assert world.requests.pending("acme", 10) == []
    assert world.contents("feedback/late.jsonl") == [b""]
    assert world.contents("feedback/new.jsonl") == [ANNAS_ROW]
    assert world.partition(ANNA) == ["erased", "object#feedback/new.jsonl", "record#profiles/1"]


def test_a_follow_up_that_no_longer_knows_its_object_erases_nothing_else(world: "World") -> None:
    world.put("feedback/late.jsonl", ANNAS_ROW, indexed=False)
    late = list(world.events)
    world.events.clear()
    world.erase(ANNA)
    world.run()
    world.put("feedback/new.jsonl", ANNAS_ROW)
    assert world.deliver(*late) == []
    (follow_up,) = world.requests.pending("acme", 10)
    world.dynamodb.delete_item(
        TableName=world.customer.table, Key={"pk": {"S": f"request#{follow_up.id}"}, "sk": {"S": "late"}}
    )
    world.run()
    assert world.contents("feedback/new.jsonl") == [ANNAS_ROW]
    assert world.request(follow_up.id).state == "failed"


def test_a_late_arrival_is_erased_when_its_object_is_visited_for_somebody_else(world: "World") -> None:
    """The visit's rewrite hides the upload's time, and its event finds the version gone."""
    world.put("feedback/a.jsonl", BOBS_ROW)
    world.put("feedback/a.jsonl", ANNAS_ROW + BOBS_ROW, indexed=False)
    late = list(world.events)
    world.events.clear()
    world.erase(ANNA)
    world.run()
    world.erase(BOB)
    world.run()
    assert world.deliver(*late) == []
    assert world.deliver() == []
    assert world.contents("feedback/a.jsonl") == [b""]
    assert world.partition(ANNA) == ["erased"]


@pytest.mark.parametrize(("module", "step"), [(vault_items, "batch_write"), (tombstones, "erased_since")])
def test_a_version_purged_while_it_is_indexed_leaves_no_entry_and_no_request(
    world: "World", monkeypatch: pytest.MonkeyPatch, module: ModuleType, step: str
) -> None:
    world.put("feedback/a.jsonl", ANNAS_ROW)
    world.put("feedback/a.jsonl", ANNAS_ROW + BOBS_ROW, indexed=False)
    world.erase(ANNA)
    original, waiting = getattr(module, step), [world.run]

    def overtaken(*args: object, **more: object) -> object:
        while waiting:
            waiting.pop()()
        return original(*args, **more)

    monkeypatch.setattr(module, step, overtaken)
    assert world.deliver() == []
    assert world.contents("feedback/a.jsonl") == [BOBS_ROW]
    assert world.partition(ANNA) == ["erased"]
    assert world.requests.pending("acme", 10) == []


def test_the_event_of_a_rewrite_does_not_make_a_request(world: "World") -> None:
    world.put("feedback/a.jsonl", ANNAS_ROW + BOBS_ROW)
    world.erase(ANNA)
    world.run()
    rewritten = list(world.events)
    world.events.clear()
    world.erase(BOB)
    planned = world.plan("00000000-0000-7000-8000-000000000001")
    assert world.deliver(*rewritten) == []
    assert [request.follows for request in world.requests.pending("acme", 10)] == [None]
    world.visit(planned)
    assert world.contents("feedback/a.jsonl") == [b""]
