"""An index that went wrong in every way there is, compared and put right."""

import gzip
import itertools
import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from privacy.reindex import items as comparison_items
from privacy.reindex import plan as reindex_plan
from privacy.vault import items as vault_items

from ..support.reindexing import (
    ANNA,
    BOB,
    CARL,
    add_an_entry_of,
    change,
    delete,
    fresh,
    index,
    kinds,
    lose_entries,
    lose_everything,
    orders,
    reindex,
    reported,
    row,
)
from ..support.world import EVIDENCE

if TYPE_CHECKING:
    from ..support.world import World


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


def test_the_mark_alone_of_an_object_that_is_gone_is_no_mark_of_the_next_one(world: "World") -> None:
    """With neither a version nor an entry left, no reindex finds it: it has the digest of its key only."""
    version = world.put("feedback/a.jsonl", b"")
    delete(world, "feedback/a.jsonl", version)
    world.events.clear()
    assert kinds(world, reindex(world)) == {}
    world.put("feedback/a.jsonl", row(ANNA))
    assert world.partition(ANNA) == ["object#feedback/a.jsonl"]
    assert kinds(world, reindex(world)) == {}


def test_a_name_that_was_used_before_has_evidence_of_its_own(world: "World") -> None:
    """Step Functions lets people use an execution's name again after 90 days."""
    world.put("feedback/a.jsonl", row(ANNA), indexed=False)
    world.events.clear()
    first = reindex(world, name="monthly", started="2026-01-01T10:00:00.123Z")
    world.put("feedback/b.jsonl", row(BOB), indexed=False)
    world.events.clear()
    second = reindex(world, name="monthly", started="2026-05-01T10:00:00.123Z")
    assert first["reindex_id"] != second["reindex_id"]
    for done, objects in ((first, 1), (second, 2)):
        counts = world.evidence("reindex")[f"reindex/acme/{done['reindex_id']}.json"]
        assert counts["objects"] == objects == done["counts"]["objects"]
    assert world.ref(BOB) in {each.get("subject") for each in reported(world, second)}


def test_what_an_execution_of_the_same_name_left_behind_is_not_taken_for_its_own(world: "World") -> None:
    world.put("feedback/a.jsonl", row(ANNA))
    begun = {"reindex_id": "monthly", "started": "2026-01-01T10:00:00Z", "input": {"customer": "acme"}}
    assert world.call("plan_reindex", begun)["done"]
    world.put("feedback/b.jsonl", row(BOB), indexed=False)
    world.events.clear()
    assert reindex(world, name="monthly")["counts"]["objects"] == 2
