"""Files of each kind that a reindex meets, and those that it cannot look into."""

from typing import TYPE_CHECKING, Any

import pytest

from privacy.reindex import items as comparison_items
from privacy.vault import items as vault_items
from privacy.vault import objects as vault_objects

from ..support.reindexing import (
    ANNA,
    BOB,
    CARL,
    add_an_entry_of,
    change,
    delete,
    index,
    kinds,
    orders,
    reindex,
    reported,
    row,
)

if TYPE_CHECKING:
    from ..support.world import World


def test_an_object_that_cannot_be_read_is_reported_and_its_entries_stay(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("feedback/a.jsonl", row(ANNA))
    unreadable = world.put(
        "feedback/a.jsonl", b"x" * 3 * vault_objects.READ_BYTES + b"\n" + row(BOB), indexed=False
    )
    world.events.clear()
    world.put("feedback/a.jsonl", row(CARL))
    add = f"subject#{world.ref(BOB)}"
    (item,) = [i for i in world.items() if i["pk"]["S"] == f"subject#{world.ref(CARL)}"]
    world.dynamodb.put_item(TableName=world.customer.table, Item={**item, "pk": {"S": add}})
    monkeypatch.setattr("privacy.formats.blocks.MAX_LINE_BYTES", 1000)
    before = index(world)
    done = reindex(world)
    note, difference = sorted(reported(world, done), key=lambda each: str(each["kind"]))
    assert (note["kind"], note["error"], note["repaired"]) == ("missing-note", "line-too-long", True)
    assert difference["kind"] == "unreadable-object", difference
    assert difference["object_version"] == unreadable
    assert difference["error"] == "LineTooLongError"
    assert not difference["repaired"]
    assert done["counts"]["remaining"] == 1
    # Bob's entry names a version without him, but what the unreadable one holds nobody can tell.
    assert index(world) == before


def test_an_entry_of_an_object_outside_every_dataset_is_reported_and_stays(world: "World") -> None:
    world.put("exports/a.jsonl", row(ANNA))
    world.put("feedback/a.jsonl", row(ANNA))
    (item,) = [i for i in world.items() if i["sk"]["S"] == "object#feedback/a.jsonl"]
    outside = {**item, "sk": {"S": "object#exports/a.jsonl"}, "object": {"S": "exports/a.jsonl"}}
    gone = {**item, "sk": {"S": "object#exports/b.jsonl"}, "object": {"S": "exports/b.jsonl"}}
    for each in (outside, gone):
        world.dynamodb.put_item(TableName=world.customer.table, Item=each)
    done = reindex(world)
    assert kinds(world, done) == {"outside-datasets": 1, "vanished-object": 1}
    assert done["counts"]["remaining"] == 1
    # With the entry, an erasure fails and says why; without it, it would end well and leave the rows.
    assert world.partition(ANNA) == ["object#exports/a.jsonl", "object#feedback/a.jsonl"]


def test_an_object_that_keeps_failing_is_reported_and_the_others_are_compared(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("feedback/a.jsonl", row(ANNA), indexed=False)
    world.put("feedback/b.jsonl", row(ANNA), indexed=False)
    original = vault_objects.read_version

    def failing(vault: Any, key: str, version: str) -> Any:  # noqa: ANN401
        if key == "feedback/a.jsonl":
            raise vault_objects.ObjectChangedError
        return original(vault, key, version)

    monkeypatch.setattr(vault_objects, "read_version", failing)
    done = reindex(world)
    differences = {difference["kind"]: difference for difference in reported(world, done)}
    assert set(differences) == {"not-compared", "missing-entry", "unmarked-version"}
    assert differences["not-compared"]["error"] == "ObjectChangedError"
    assert (
        differences["not-compared"]["object"] == comparison_items.Comparison("feedback/a.jsonl").digest[:12]
    )
    assert not differences["not-compared"]["repaired"]
    assert done["counts"]["remaining"] == 1
    assert world.partition(ANNA) == ["object#feedback/b.jsonl"]


def test_after_a_visit_of_a_parquet_file_nothing_is_missing_and_nothing_is_superfluous(
    world: "World",
) -> None:
    world.put("orders/a", orders(ANNA, BOB, CARL))
    world.erase(ANNA)
    world.run()
    assert world.deliver() == []
    before = index(world)
    assert kinds(world, reindex(world)) == {}
    assert index(world) == before != []


def test_after_visits_of_a_file_without_positions_nothing_is_wrong_and_what_is_wrong_is_put_right(
    world: "World",
) -> None:
    world.put("feedback/a.jsonl", row(ANNA, BOB, CARL) + b"not json\n")
    for who in (ANNA, BOB):
        world.erase(who)
        world.run()
        assert world.deliver() == []
        assert kinds(world, reindex(world)) == {}
    add_an_entry_of(world, BOB, like=CARL)
    assert kinds(world, reindex(world)) == {"superfluous-entry": 1}
    mended = index(world)
    assert world.partition(CARL) == ["object#feedback/a.jsonl"]
    assert kinds(world, reindex(world)) == {}
    assert index(world) == mended


def test_a_late_arrival_in_a_parquet_file_is_erased_too(world: "World") -> None:
    world.put("orders/late", orders(ANNA, BOB), indexed=False)
    world.events.clear()
    first = world.erase(ANNA)
    world.run()
    reindex(world)
    (follow_up,) = world.requests.pending("acme", 10)
    assert follow_up.follows == first
    world.run()
    assert world.deliver() == []
    (left,) = world.contents("orders/late")
    assert BOB.encode() in left
    assert ANNA.encode() not in left
    assert world.partition(ANNA) == ["erased"]
    assert kinds(world, reindex(world)) == {}


def test_a_dataset_that_is_scanned_has_no_index_to_compare(world: "World") -> None:
    """Not even where it had one before its config said so: runs look into its files, not at entries."""
    world.put("feedback/a.jsonl", row(BOB))
    world.put("dumps/a.csv", b"email,text\nanna@example.org,\n")
    world.put_letter("papers/1", ANNA)
    (item,) = [item for item in world.items() if item["sk"]["S"] == "object#feedback/a.jsonl"]
    pk, sk = {"S": f"subject#{world.ref(ANNA)}"}, {"S": "object#dumps/a.csv"}
    old = {**item, "pk": pk, "sk": sk, "object": {"S": "dumps/a.csv"}, "dataset": {"S": "dumps"}}
    world.dynamodb.put_item(TableName=world.customer.table, Item=old)
    before = world.items()
    done = reindex(world)
    assert done["counts"] == {"objects": 1, "differences": {}, "repaired": 0, "remaining": 0, "pages": 0}
    assert world.items() == before
    world.erase(ANNA)
    world.run()
    assert world.contents("dumps/a.csv") == [b"email,text\n"]
    assert world.versions("papers/1") == []
    assert world.partition(ANNA) == ["erased"]


def test_an_archived_upload_that_the_index_missed_is_reported_and_visited_by_every_erasure(
    world: "World",
) -> None:
    version = world.put("feedback/a.jsonl", row(ANNA), indexed=False, StorageClass="GLACIER")
    world.events.clear()
    before = world.items()
    reindex(world, dry_run=True)
    assert world.items() == before
    done = reindex(world)
    note, difference = sorted(reported(world, done), key=lambda each: str(each["kind"]))
    assert (note["kind"], note["error"]) == ("missing-note", "archived")
    assert (difference["kind"], difference["error"]) == ("unreadable-object", "ObjectArchivedError")
    assert difference["object_version"] == version
    assert done["counts"]["remaining"] == 1
    request = world.request(world.erase(BOB))
    world.run()
    ended = world.request(request.id)
    assert ended.state == "partial"
    assert ended.detail is not None
    assert [problem["reason"] for problem in ended.detail["problems"]] == ["archived"]


def test_an_archived_upload_that_was_missed_is_indexed_once_it_is_back(world: "World") -> None:
    key = "feedback/a.jsonl"
    world.put(key, row(ANNA, BOB), indexed=False, StorageClass="GLACIER")
    world.events.clear()
    reindex(world)
    world.erase(ANNA)
    world.run()
    world.s3.restore_object(Bucket=world.customer.bucket, Key=key, RestoreRequest={"Days": 1})
    assert kinds(world, reindex(world)) == {"missing-entry": 2, "unmarked-version": 1, "stale-note": 1}
    (follow_up,) = world.requests.pending("acme", 10)
    world.run()
    assert world.request(follow_up.id).state == "completed"
    assert world.partition(ANNA) == ["erased"]
    assert world.partition(BOB) == [f"object#{key}"]


def test_entries_of_a_file_that_was_archived_since_stay_and_nobody_else_is_bothered(world: "World") -> None:
    key = "feedback/a.jsonl"
    world.put(key, row(ANNA))
    bucket = world.customer.bucket
    copied = world.s3.copy_object(
        Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": key}, StorageClass="GLACIER"
    )
    for _, version, _ in world.versions(key):
        if version != copied["VersionId"]:
            delete(world, key, version)
    for pk, sk in (
        (f"subject#{world.ref(ANNA)}", f"object#{key}"),
        (vault_items.object_pk(key), "indexed"),
    ):
        change(world, pk, sk, version_id={"S": copied["VersionId"]})
    before = world.items()
    done = reindex(world)
    assert kinds(world, done) == {"unreadable-object": 1}
    assert world.items() == before
    others = world.erase(BOB)
    world.run()
    assert world.request(others).state == "completed"


def test_an_archived_letter_is_indexed_by_its_metadata(world: "World") -> None:
    world.put_letter("letters/1", ANNA, indexed=False, StorageClass="DEEP_ARCHIVE")
    world.events.clear()
    assert kinds(world, reindex(world)) == {"missing-entry": 1, "unmarked-version": 1}
    assert kinds(world, reindex(world)) == {}
    world.erase(ANNA)
    world.run()
    assert world.versions("letters/1") == []
