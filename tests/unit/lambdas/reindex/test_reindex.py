"""An index that went wrong in every way there is, compared and put right."""

import gzip
import itertools
import json
import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.machines.reindex import ReindexSteps, reindex_definition
from privacy import environment, timestamps
from privacy.identifiers import uuid7
from privacy.reindex import items as comparison_items
from privacy.reindex import plan as reindex_plan
from privacy.reindex import report as reindex_report
from privacy.vault import items as vault_items
from privacy.vault import objects as vault_objects
from privacy.vault import tombstones
from tests.properties import examples

from ..parquet.test_parquet import buyer, stored, table
from ..support.state_machine import Execution, TaskFailedError

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB, CARL = "anna@example.org", "bob@example.org", "carl@example.org"
EVIDENCE = "gdpr-eu-west-evidence"
STEPS = ReindexSteps(
    plan="plan_reindex", compare="reindex_objects", report="report_reindex", clear="clear_reindex"
)
HOUR = 3_600_000
Difference = dict[str, Any]


def row(*people: str) -> bytes:
    return b"".join(json.dumps({"author": {"email": each}}).encode() + b"\n" for each in people)


@pytest.fixture(autouse=True)
def evidence(world: "World", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.EVIDENCE_BUCKET, EVIDENCE)
    world.s3.create_bucket(Bucket=EVIDENCE, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})


def reindex(world: "World", *, milliseconds: int = HOUR, **asked: object) -> dict[str, Any]:
    """Carry out a whole execution; return its output."""
    execution = Execution.start(reindex_definition(STEPS), uuid7(), {"customer": "acme", **asked})

    def invoke(function: str, event: Any) -> Any:  # noqa: ANN401 - JSON
        try:
            return world.call(function, event, milliseconds)
        except Exception as error:
            raise TaskFailedError(type(error).__name__) from error

    output: dict[str, Any] = {}
    while execution.status == "RUNNING":
        output = execution.frames[0].data
        execution.advance(invoke)
    assert execution.status == "SUCCEEDED"
    return {**output, "reindex_id": execution.name}


def reported(world: "World", done: dict[str, Any]) -> list[Difference]:
    """The differences of a reindex as its evidence has them."""
    found: list[Difference] = []
    for number in range(done["counts"]["pages"]):
        key = f"reindex/acme/{done['reindex_id']}-{number:05d}.json"
        page = json.loads(world.s3.get_object(Bucket=EVIDENCE, Key=key)["Body"].read())
        found += page["differences"]
    return found


def kinds(world: "World", done: dict[str, Any]) -> dict[str, int]:
    counted = Counter(difference["kind"] for difference in reported(world, done))
    assert counted == done["counts"]["differences"]
    return dict(counted)


def index(world: "World") -> list[dict[str, Any]]:
    """All that the table says about objects that is used.

    So without the times of the writing and of the event, and without positions in versions that are no base.
    """
    bases = {item["pk"]["S"]: item.get("base") for item in world.items() if item["sk"]["S"] == "indexed"}

    def unused(item: dict[str, Any]) -> set[str]:
        times = {"indexed_at", "uploaded_at"}
        if "object" not in item:
            return times
        base = bases.get(vault_items.object_pk(item["object"]["S"]))
        return times if item["version_id"] == base else {*times, "at"}

    return sorted(
        (
            {name: value for name, value in item.items() if name not in unused(item)}
            for item in world.items()
            if item["sk"]["S"].startswith("object#") or item["sk"]["S"] == "indexed"
        ),
        key=lambda item: (item["pk"]["S"], item["sk"]["S"]),
    )


def fresh(world: "World") -> list[dict[str, Any]]:
    """The index that comes of events of everything that is there now, oldest first; it is put in place."""
    for item in index(world):
        world.dynamodb.delete_item(TableName=world.customer.table, Key={k: item[k] for k in ("pk", "sk")})
    waiting, world.events = world.events, []
    answer = world.s3.list_object_versions(Bucket=world.customer.bucket)
    for version in reversed(answer.get("Versions", [])):
        record = world.notify("ObjectCreated:Put", version["Key"], version["VersionId"])
        assert world.deliver(record) == []
    world.events = waiting
    return index(world)


def orders(*people: str) -> bytes:
    rows = [{"no": number, "buyer": buyer(each)} for number, each in enumerate(people)]
    return stored(table(*rows), row_group_size=1)


def delete(world: "World", key: str, version: str) -> None:
    """Delete a version without telling anybody."""
    world.s3.delete_object(Bucket=world.customer.bucket, Key=key, VersionId=version)


def change(world: "World", pk: str, sk: str, **attributes: dict[str, str]) -> None:
    (item,) = [i for i in world.items() if (i["pk"]["S"], i["sk"]["S"]) == (pk, sk)]
    world.dynamodb.put_item(TableName=world.customer.table, Item={**item, **attributes})


def lose_an_upload(world: "World") -> None:
    world.put("feedback/lost.jsonl", row(ANNA, BOB), indexed=False)


def lose_an_overwrite(world: "World") -> None:
    world.put("feedback/a.jsonl", row(BOB, CARL), indexed=False)


def lose_a_letter(world: "World") -> None:
    world.put_letter("letters/2", CARL, indexed=False)


def lose_a_compressed_upload(world: "World") -> None:
    world.put("answers/z.csv", gzip.compress(b"email,name\nanna@example.org,A\n"), indexed=False)


def lose_a_parquet_upload(world: "World") -> None:
    world.put("orders/z", orders(ANNA, BOB, ANNA), indexed=False)


def lose_an_overwrite_of_a_parquet_file(world: "World") -> None:
    world.put("orders/z", orders(ANNA, BOB))
    world.put("orders/z", orders(BOB, BOB, CARL), indexed=False)


def lose_a_key_of_the_greatest_length(world: "World") -> None:
    world.put("feedback/" + "k" * 1015, row(ANNA), indexed=False)


def lose_a_hidden_upload(world: "World") -> None:
    world.put("feedback/hidden.jsonl", row(ANNA), indexed=False)
    world.s3.delete_object(Bucket=world.customer.bucket, Key="feedback/hidden.jsonl")


def lose_the_removal_of_an_object(world: "World") -> None:
    for key, version, _ in world.versions("feedback/a.jsonl"):
        delete(world, key, version)


def lose_the_removal_of_a_version(world: "World") -> None:
    delete(world, "feedback/a.jsonl", world.versions("feedback/a.jsonl")[0][1])


def leave_a_delete_marker_only(world: "World") -> None:
    lose_the_removal_of_an_object(world)
    world.s3.delete_object(Bucket=world.customer.bucket, Key="feedback/a.jsonl")


def take_events_in_the_wrong_order(world: "World") -> None:
    world.put("feedback/b.jsonl", row(ANNA), indexed=False)
    world.put("feedback/b.jsonl", row(ANNA, ANNA), indexed=False)
    assert world.deliver(*reversed(world.events)) == []


def lose_entries(world: "World") -> None:
    for item in index(world):
        if item["sk"]["S"] == "object#feedback/a.jsonl":
            world.dynamodb.delete_item(TableName=world.customer.table, Key={k: item[k] for k in ("pk", "sk")})


def lose_everything(world: "World") -> None:
    for item in index(world):
        world.dynamodb.delete_item(TableName=world.customer.table, Key={k: item[k] for k in ("pk", "sk")})


def lose_the_marks(world: "World") -> None:
    for item in index(world):
        if item["sk"]["S"] == "indexed":
            world.dynamodb.delete_item(TableName=world.customer.table, Key={k: item[k] for k in ("pk", "sk")})


def mark_another_version(world: "World") -> None:
    change(world, vault_items.object_pk("feedback/a.jsonl"), "indexed", version_id={"S": "other"})


def name_another_version(world: "World") -> None:
    pk = f"subject#{world.ref(ANNA)}"
    change(world, pk, "object#feedback/a.jsonl", version_id={"S": "other"})


def count_wrong(world: "World") -> None:
    change(world, f"subject#{world.ref(ANNA)}", "object#feedback/a.jsonl", rows={"N": "7"})


def name_another_dataset(world: "World") -> None:
    change(world, f"subject#{world.ref(ANNA)}", "object#feedback/a.jsonl", dataset={"S": "reviews"})


def add_an_entry_of_nobody(world: "World") -> None:
    add_an_entry_of(world, CARL, like=ANNA)


def add_an_entry_of(world: "World", who: str, *, like: str) -> None:
    (item,) = [
        item
        for item in world.items()
        if item["pk"]["S"] == f"subject#{world.ref(like)}" and item["sk"]["S"] == "object#feedback/a.jsonl"
    ]
    pk = {"S": f"subject#{world.ref(who)}"}
    world.dynamodb.put_item(TableName=world.customer.table, Item={**item, "pk": pk})


DAMAGES: list[tuple[Callable[["World"], None], dict[str, int]]] = [
    (lose_an_upload, {"missing-entry": 2, "unmarked-version": 1}),
    (lose_an_overwrite, {"missing-entry": 1, "wrong-entry": 1, "unmarked-version": 1}),
    (lose_a_letter, {"missing-entry": 1, "unmarked-version": 1}),
    (lose_a_compressed_upload, {"missing-entry": 1, "unmarked-version": 1}),
    (lose_a_parquet_upload, {"missing-entry": 2, "unmarked-version": 1}),
    (lose_an_overwrite_of_a_parquet_file, {"missing-entry": 1, "wrong-entry": 1, "unmarked-version": 1}),
    (lose_a_key_of_the_greatest_length, {"missing-entry": 1, "unmarked-version": 1}),
    (lose_a_hidden_upload, {"missing-entry": 1, "unmarked-version": 1}),
    (lose_the_removal_of_an_object, {"vanished-object": 3}),
    (lose_the_removal_of_a_version, {"wrong-entry": 1, "superfluous-entry": 1, "unmarked-version": 1}),
    (leave_a_delete_marker_only, {"vanished-object": 3}),
    (take_events_in_the_wrong_order, {"wrong-entry": 1, "unmarked-version": 1}),
    (lose_entries, {"missing-entry": 2}),
    (lose_everything, {"missing-entry": 3, "unmarked-version": 2}),
    (lose_the_marks, {"unmarked-version": 2}),
    (mark_another_version, {"unmarked-version": 1}),
    (name_another_version, {"wrong-entry": 1}),
    (count_wrong, {"wrong-entry": 1}),
    (name_another_dataset, {"wrong-entry": 1}),
    (add_an_entry_of_nobody, {"superfluous-entry": 1}),
]


def furnish(world: "World") -> None:
    world.put("feedback/a.jsonl", row(ANNA))
    world.put("feedback/a.jsonl", row(ANNA, BOB))
    world.put_letter("letters/1", BOB)


def test_a_vault_without_objects_has_nothing_to_compare(world: "World") -> None:
    done = reindex(world)
    assert done["counts"] == {"objects": 0, "differences": {}, "repaired": 0, "remaining": 0, "pages": 0}


@pytest.mark.parametrize("objects", [1, 99, 101, 12_345, 40_000_000])
def test_batches_cover_every_digest_once_and_fit_into_the_map(objects: int) -> None:
    batches = reindex_plan.batches(objects)
    assert len(json.dumps(batches)) < 256 * 1024  # Step Functions quotas: bytes of a state's input
    assert (batches[0]["first"], batches[-1]["last"]) == ("0000", "ffff")
    for one, following in itertools.pairwise(batches):
        assert int(one["last"], 16) + 1 == int(following["first"], 16)


def test_an_index_that_saw_everything_shows_no_difference(world: "World") -> None:
    furnish(world)
    before = index(world)
    done = reindex(world)
    assert done["counts"] == {"objects": 2, "differences": {}, "repaired": 0, "remaining": 0, "pages": 0}
    assert index(world) == before != []


@pytest.mark.parametrize(("damage", "expected"), DAMAGES, ids=[d.__name__ for d, _ in DAMAGES])
def test_what_went_wrong_is_reported_and_put_right(
    world: "World", damage: Callable[["World"], None], expected: dict[str, int]
) -> None:
    furnish(world)
    damage(world)
    world.events.clear()
    before = world.items()

    looked = reindex(world, dry_run=True)
    assert world.items() == before
    assert kinds(world, looked) == expected
    assert looked["counts"]["remaining"] == sum(expected.values())

    done = reindex(world)
    assert kinds(world, done) == expected
    assert (done["counts"]["repaired"], done["counts"]["remaining"]) == (sum(expected.values()), 0)
    assert world.executions() == 0

    again = reindex(world)
    assert again["counts"]["differences"] == {}
    mended = index(world)
    assert mended == fresh(world)


def test_after_a_run_nothing_is_missing_and_nothing_is_superfluous(world: "World") -> None:
    furnish(world)
    world.erase(BOB)
    world.run()
    assert world.deliver() == []
    before = index(world)
    done = reindex(world)
    assert kinds(world, done) == {}
    assert index(world) == before


def test_nothing_of_the_reindex_stays_in_the_vault(world: "World") -> None:
    furnish(world)
    lose_everything(world)
    reindex(world)
    assert [item for item in world.items() if item["pk"]["S"].startswith("reindex#")] == []


def test_a_difference_names_subject_dataset_object_and_versions(world: "World") -> None:
    furnish(world)
    (_, new, _), (_, old, _) = world.versions("feedback/a.jsonl")
    change(world, f"subject#{world.ref(ANNA)}", "object#feedback/a.jsonl", version_id={"S": old})
    done = reindex(world)
    (difference,) = reported(world, done)
    digest = comparison_items.Comparison("feedback/a.jsonl").digest
    assert difference == {
        "kind": "wrong-entry",
        "dataset": "feedback",
        "object": digest[:12],
        "subject": world.ref(ANNA),
        "index_version": old,
        "object_version": new,
        "differs": ["version_id"],
        "repaired": True,
    }
    summary = world.s3.get_object(Bucket=EVIDENCE, Key=f"reindex/acme/{done['reindex_id']}.json")
    assert json.loads(summary["Body"].read()) == {
        "customer": "acme", "reindex_id": done["reindex_id"], "dry_run": False, **done["counts"],
    }  # fmt: skip


def test_nothing_personal_is_logged_reported_or_given_to_the_state_machine(
    world: "World", caplog: pytest.LogCaptureFixture
) -> None:
    world.put("feedback/anna.jsonl", row(ANNA), indexed=False)
    world.put("feedback/broken-anna.jsonl", row(BOB))
    with caplog.at_level(logging.INFO):
        done = reindex(world)
    seen = [caplog.text, json.dumps(done)]
    for entry in world.s3.list_objects_v2(Bucket=EVIDENCE)["Contents"]:
        seen += [entry["Key"], world.s3.get_object(Bucket=EVIDENCE, Key=entry["Key"])["Body"].read().decode()]
    assert "object compared" in seen[0]
    assert not [text for text in seen if "anna" in text.lower()]


def test_an_upload_found_after_its_subjects_erasure_is_erased_too(world: "World") -> None:
    world.put("feedback/early.jsonl", row(ANNA))
    world.put("feedback/late.jsonl", row(ANNA, BOB), indexed=False)
    world.events.clear()
    first = world.erase(ANNA)
    world.run()
    world.events.clear()
    started = world.executions()

    reindex(world)
    reindex(world)

    assert world.executions() == started + 1
    (follow_up,) = world.requests.pending("acme", 10)
    assert follow_up.follows == first
    world.run()
    assert world.contents("feedback/late.jsonl") == [row(BOB)]
    assert world.request(follow_up.id).state == "completed"
    assert world.partition(ANNA) == ["erased"]


def test_a_late_arrival_behind_a_newer_version_is_erased_too(world: "World") -> None:
    world.put("feedback/late.jsonl", row(ANNA), indexed=False)
    world.events.clear()
    world.erase(ANNA)
    world.run()
    world.put("feedback/late.jsonl", row(BOB))
    reindex(world)
    (follow_up,) = world.requests.pending("acme", 10)
    assert follow_up.follows is not None
    world.run()
    assert world.contents("feedback/late.jsonl") == [row(BOB)]


def test_an_upload_whose_indexing_ended_before_it_asked_for_tombstones_is_erased_too(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    """All entries are there, but the version is not marked: nobody has asked whether somebody was erased."""
    world.put("feedback/late.jsonl", row(ANNA, BOB), indexed=False)
    world.erase(ANNA)
    event = world.events.pop()
    world.run()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tombstones, "erased_since", killed)
        with pytest.raises(KeyboardInterrupt):
            world.deliver(event)
    assert "object#feedback/late.jsonl" in world.partition(ANNA)
    reindex(world)
    assert len(world.requests.pending("acme", 10)) == 1
    world.run()
    assert world.contents("feedback/late.jsonl") == [row(BOB)]


def test_an_attempt_that_ended_behind_its_entries_leaves_no_late_arrival_out(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("feedback/late.jsonl", row(ANNA), indexed=False)
    world.put("feedback/late.jsonl", row(BOB), indexed=False)
    newest = world.events[-1]
    world.events.clear()
    world.erase(ANNA)
    world.run()
    assert world.deliver(newest) == []
    original, waiting = tombstones.erased_since, [KeyboardInterrupt]

    def killed(*args: Any) -> Any:  # noqa: ANN401
        if waiting:
            raise waiting.pop()
        return original(*args)

    monkeypatch.setattr(tombstones, "erased_since", killed)
    planned = world.call("plan_reindex", {"reindex_id": "r-1", "input": {"customer": "acme"}})
    step = {"customer": "acme", "reindex_id": "r-1", "dry_run": False, **planned["batches"][0]}
    with pytest.raises(KeyboardInterrupt):
        world.call("reindex_objects", step)
    assert "object#feedback/late.jsonl" in world.partition(ANNA)
    assert world.requests.pending("acme", 10) == []
    assert world.call("reindex_objects", step)["done"]
    assert len(world.requests.pending("acme", 10)) == 1


def test_what_was_uploaded_after_an_erasure_is_indexed_and_stays(world: "World") -> None:
    world.erase(ANNA)
    world.run()
    earlier = {"S": timestamps.instant(datetime.now(UTC) - timedelta(hours=1))}
    change(world, f"subject#{world.ref(ANNA)}", "erased", erased_at=earlier)
    world.put("feedback/new.jsonl", row(ANNA), indexed=False)
    reindex(world)
    assert world.requests.pending("acme", 10) == []
    assert "object#feedback/new.jsonl" in world.partition(ANNA)


def test_a_dry_run_asks_for_no_erasure(world: "World") -> None:
    world.put("feedback/late.jsonl", row(ANNA), indexed=False)
    world.events.clear()
    world.erase(ANNA)
    world.run()
    before = world.items()
    reindex(world, dry_run=True)
    assert world.requests.pending("acme", 10) == []
    assert world.items() == before


def test_an_object_that_cannot_be_read_is_reported_and_its_entries_stay(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("feedback/a.jsonl", row(ANNA))
    unreadable = world.put("feedback/a.jsonl", row(BOB) + b"x" * 3 * vault_objects.READ_BYTES, indexed=False)
    world.events.clear()
    world.put("feedback/a.jsonl", row(CARL))
    add = f"subject#{world.ref(BOB)}"
    (item,) = [i for i in world.items() if i["pk"]["S"] == f"subject#{world.ref(CARL)}"]
    world.dynamodb.put_item(TableName=world.customer.table, Item={**item, "pk": {"S": add}})
    monkeypatch.setattr("privacy.formats.blocks.MAX_LINE_BYTES", 1000)
    before = index(world)
    done = reindex(world)
    (difference,) = reported(world, done)
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


@pytest.mark.parametrize("step", ["subjects_of", "batch_get", "get"])
def test_an_upload_that_is_indexed_meanwhile_wins(
    world: "World", monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    world.put("feedback/a.jsonl", row(ANNA))
    lose_entries(world)
    planned = world.call("plan_reindex", {"reindex_id": "r-1", "input": {"customer": "acme"}})
    original, waiting = getattr(vault_items, step), [lambda: world.put("feedback/a.jsonl", row(ANNA, BOB))]

    def overtaken(*args: Any, **more: Any) -> Any:  # noqa: ANN401
        answer = original(*args, **more)
        while waiting:
            waiting.pop()()
        return answer

    ids = {"customer": "acme", "reindex_id": "r-1", "dry_run": False}
    with monkeypatch.context() as patched:
        patched.setattr(vault_items, step, overtaken)
        assert world.call("reindex_objects", {**ids, **planned["batches"][0]})["done"]
    # What was found first was no longer so: nothing was written over what the upload's event had written.
    assert world.call("report_reindex", ids)["counts"]["differences"] == {}
    world.call("clear_reindex", {**ids, "counts": {}})
    mended = index(world)
    assert mended == fresh(world)


@pytest.mark.parametrize("when", [1, 2, 3, 4])
def test_an_erasure_that_runs_meanwhile_leaves_no_entry_and_no_row(
    world: "World", monkeypatch: pytest.MonkeyPatch, when: int
) -> None:
    """A run erases Anna right before the n-th listing that a comparison makes."""
    world.put("feedback/a.jsonl", row(ANNA))
    world.put("feedback/a.jsonl", row(ANNA, BOB), indexed=False)
    world.events.clear()
    planned = world.call("plan_reindex", {"reindex_id": "r-1", "input": {"customer": "acme"}})
    world.erase(ANNA)
    original, calls = vault_objects.versions, Counter[str]()

    def overtaken(*args: Any) -> Any:  # noqa: ANN401
        calls["listed"] += 1
        if calls["listed"] == when:
            world.run()
        return original(*args)

    ids = {"customer": "acme", "reindex_id": "r-1", "dry_run": False}
    with monkeypatch.context() as patched:
        patched.setattr(vault_objects, "versions", overtaken)
        assert world.call("reindex_objects", {**ids, **planned["batches"][0]})["done"]
    while world.requests.pending("acme", 1):
        world.run()
    assert world.contents("feedback/a.jsonl") == [row(BOB)]
    assert world.partition(ANNA) == ["erased"]
    assert world.deliver() == []
    reindex(world)
    assert kinds(world, reindex(world)) == {}


def test_short_calls_go_on_where_the_last_one_stopped(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        world.put(f"feedback/{number}.jsonl", row(ANNA, BOB), indexed=number % 2 == 0)
        world.put(f"feedback/{number}.jsonl", row(ANNA), indexed=False)
        world.events.clear()

    def invoke(function: str, event: Any) -> Any:  # noqa: ANN401 - JSON
        """Call the function with time for one more thing before its time is short."""
        calls[function] += 1
        times = iter([0] if function in {"report_reindex", "clear_reindex"} else [HOUR, 0])
        context = type("Context", (), {"get_remaining_time_in_millis": lambda _: next(times)})()
        return world.functions.module(function).handler(event, context)

    calls = Counter[str]()
    execution = Execution.start(reindex_definition(STEPS), uuid7(), {"customer": "acme"})
    output: dict[str, Any] = {}
    with monkeypatch.context() as patched:
        patched.setattr(reindex_report, "PAGE", 3)
        patched.setattr(reindex_report, "_LOOKED_AT", 2)
        patched.setattr(reindex_report, "_CLEARED", 2)
        patched.setattr(reindex_plan, "BATCH_VISITS", 3)
        s3, scan = world.s3.list_object_versions, world.dynamodb.scan
        patched.setattr(world.s3, "list_object_versions", lambda **more: s3(**({"MaxKeys": 2} | more)))
        patched.setattr(world.dynamodb, "scan", lambda **more: scan(**({"Limit": 3} | more)))
        while execution.status == "RUNNING":
            output = execution.frames[0].data
            execution.advance(invoke)
    assert min(calls.values()) > 4
    done = {**output, "reindex_id": execution.name}
    assert kinds(world, done) == {"missing-entry": 6, "wrong-entry": 4, "unmarked-version": 7}
    assert done["counts"]["objects"] == 7
    assert done["counts"]["remaining"] == 0
    assert [item for item in world.items() if item["pk"]["S"].startswith("reindex#")] == []
    mended = index(world)
    assert mended == fresh(world)


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


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({}, "customer is missing"),
        ({"customer": "acme", "dry_run": "yes"}, "dry_run is neither true nor false"),
    ],
)
def test_an_input_that_is_none_says_what_is_wrong(world: "World", asked: dict[str, Any], error: str) -> None:
    with pytest.raises(Exception, match=error):
        world.call("plan_reindex", {"reindex_id": "r-1", "input": asked})


def test_neighbours_are_left_alone(world: "World") -> None:
    """Records, tombstones, and keys that begin like the one that is compared."""
    world.put_record("1", ANNA, name="Anna")
    world.put("feedback/a.jsonl", row(ANNA))
    world.put("feedback/a.jsonl.bak", row(BOB))
    world.erase(CARL)
    world.run()
    before = {(i["pk"]["S"], i["sk"]["S"]): i for i in world.items()}
    del before[f"subject#{world.ref(ANNA)}", "object#feedback/a.jsonl"]
    world.dynamodb.delete_item(
        TableName=world.customer.table,
        Key={"pk": {"S": f"subject#{world.ref(ANNA)}"}, "sk": {"S": "object#feedback/a.jsonl"}},
    )
    reindex(world)
    after = {(i["pk"]["S"], i["sk"]["S"]): i for i in world.items()}
    assert {place: item for place, item in after.items() if place in before} == before
    assert set(after) - set(before) == {(f"subject#{world.ref(ANNA)}", "object#feedback/a.jsonl")}


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
    (difference,) = reported(world, done)
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
    assert kinds(world, reindex(world)) == {"missing-entry": 2, "unmarked-version": 1}
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


PEOPLE = st.lists(st.sampled_from([ANNA, BOB, CARL]), max_size=3)
KEYS = st.sampled_from(["feedback/a", "feedback/b", "orders/a"])
FATES = st.sampled_from(["delivered", "lost", "twice", "later"])
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, PEOPLE, FATES),
        st.tuples(st.just("remove"), KEYS, st.integers(0, 3), FATES),
        st.tuples(st.just("hide"), KEYS, st.just(0), FATES),
        st.tuples(st.just("forget"), KEYS, st.integers(0, 5), FATES),
    ),
    max_size=12,
)


@examples(10)
@given(history=ACTIONS)
def test_whatever_happened_to_the_events_the_index_is_that_of_all_of_them(
    world: "World", history: list[tuple[str, str, Any, str]]
) -> None:
    for key, version, _ in world.versions():
        delete(world, key, version)
    lose_everything(world)
    world.events.clear()
    waiting: list[dict[str, Any]] = []
    for action, key, what, fate in history:
        record = happened(world, action, key, what)
        world.events.clear()
        if record is not None:
            times = {"delivered": 1, "lost": 0, "twice": 2, "later": 0}[fate]
            assert world.deliver(*[record] * times) == [] if times else True
            if fate == "later":
                waiting.append(record)
    for record in reversed(waiting):
        assert world.deliver(record) == []
    reindex(world)
    assert kinds(world, reindex(world)) == {}
    mended = used(world)
    fresh(world)
    assert mended == used(world)


def happened(world: "World", action: str, key: str, what: Any) -> dict[str, Any] | None:  # noqa: ANN401
    """Let something happen to a key, or to the index; return the event that comes of it."""
    if action == "put":
        body = orders(*what) if key.startswith("orders/") else row(*what)
        return world.notify("ObjectCreated:Put", key, world.put(key, body, indexed=False))
    if action == "hide":
        world.s3.delete_object(Bucket=world.customer.bucket, Key=key)
    elif action == "forget":
        if known := index(world):
            item = known[what % len(known)]
            place = {name: item[name] for name in ("pk", "sk")}
            world.dynamodb.delete_item(TableName=world.customer.table, Key=place)
    elif there := [version for _, version, _ in world.versions(key)]:
        version = there[what % len(there)]
        delete(world, key, version)
        return world.notify("ObjectRemoved:Delete", key, version)
    return None


def used(world: "World") -> list[dict[str, Any]]:
    """The index without marks of keys that have no version: nobody looks at one."""
    there = {vault_items.object_pk(key) for key, _, marker in world.versions() if not marker}
    return [item for item in index(world) if item["sk"]["S"] != "indexed" or item["pk"]["S"] in there]


def test_the_mark_alone_of_an_object_that_is_gone_is_no_mark_of_the_next_one(world: "World") -> None:
    """With neither a version nor an entry left, no reindex finds it: it has the digest of its key only."""
    version = world.put("feedback/a.jsonl", b"")
    delete(world, "feedback/a.jsonl", version)
    world.events.clear()
    assert kinds(world, reindex(world)) == {}
    world.put("feedback/a.jsonl", row(ANNA))
    assert world.partition(ANNA) == ["object#feedback/a.jsonl"]
    assert kinds(world, reindex(world)) == {}
