"""Notes of files that nobody can attribute, when a reindex meets them: those of before too."""

from typing import TYPE_CHECKING, Any

import pytest
from moto.s3.models import s3_backends

from privacy.api import unattributed_files
from privacy.vault import items as vault_items
from privacy.vault import sessions

from ..index.test_unattributed import KINDS, MORE
from ..support import world as worlds
from ..support.reindexing import kinds, reindex, row

if TYPE_CHECKING:
    from ..support.world import World

ANNA, CARL, DORA = "anna@example.org", "carl@example.org", "dora@example.org"
ANNAS = b"no,Email,name,text\n1,anna@example.org,A,x\n"


def archive(key: str) -> None:
    """Do what a lifecycle rule does: no event tells of it."""
    for backends in s3_backends.values():
        for backend in backends.values():
            if worlds.BUCKET in backend.buckets:
                for version in backend.buckets[worlds.BUCKET].keys.getlist(key):
                    version._storage_class = "GLACIER"


def of_before(world: "World", key: str, body: bytes) -> str:
    """Have in the vault what an older release left of a file: it was marked, and nothing was noted."""
    version = world.put(key, body)
    for note in world.notes():
        world.dynamodb.delete_item(TableName=worlds.TABLE, Key={name: note[name] for name in ("pk", "sk")})
    world.dynamodb.put_item(TableName=worlds.TABLE, Item={
        **vault_items.key(vault_items.object_pk(key), vault_items.INDEXED), "version_id": {"S": version}
    })  # fmt: skip
    for item in world.items():
        if item["sk"]["S"].startswith("index#"):
            world.dynamodb.put_item(TableName=worlds.TABLE, Item={**item, "reading": {"S": "00"}})
    return version


def restored(world: "World", key: str, version: str) -> None:
    restore: dict[str, Any] = {"Days": 1}
    world.s3.restore_object(Bucket=worlds.BUCKET, Key=key, RestoreRequest=restore)
    world.notify("ObjectRestore:Completed", key, version)
    world.settle()


def test_a_file_that_was_archived_since_keeps_its_note(world: "World") -> None:
    world.put("answers/a", ANNAS)
    archive("answers/a")
    assert world.erased(ANNA).state == "partial"
    assert "stale-note" not in kinds(world, reindex(world))
    assert world.erased(ANNA).state == "partial"
    assert world.notes()[0]["reason"]["S"] == "no-field"


@pytest.mark.parametrize("dataset", ["answers", "orders"])
def test_what_only_an_older_release_looked_into_is_archived_to_us(world: "World", dataset: str) -> None:
    key = f"{dataset}/a"
    version = of_before(world, key, ANNAS)
    archive(key)
    assert world.erased(DORA).state == "partial"
    assert kinds(world, reindex(world, dry_run=True))["missing-note"] == 1
    assert kinds(world, reindex(world))["missing-note"] == 1
    assert [world.erased(DORA).state for _ in range(2)] == ["partial"] * 2
    assert "missing-note" not in kinds(world, reindex(world))
    restored(world, key, version)
    assert world.notes()[0]["reason"]["S"] == ("no-field" if dataset == "answers" else "damaged")


def test_a_file_without_a_fault_that_only_an_older_release_looked_into(world: "World") -> None:
    version = of_before(world, "feedback/a", row(CARL))
    archive("feedback/a")
    reindex(world)
    assert world.erased(DORA).state == "partial"
    restored(world, "feedback/a", version)
    assert (world.notes(), world.erased(DORA).state) == ([], "completed")


def test_what_was_looked_into_by_this_release_and_archived_since_is_nobody_elses(world: "World") -> None:
    world.put("feedback/a", row(CARL))
    archive("feedback/a")
    reindex(world)
    assert (world.notes(), world.erased(DORA).state) == ([], "completed")
    assert world.erased(CARL).state == "partial"


@pytest.mark.parametrize("name", sorted(KINDS.keys() - {"outside every prefix"}))
def test_before_its_reindex_an_upgraded_vault_says_what_it_cannot_read(world: "World", name: str) -> None:
    key, content, reason = KINDS[name]
    dataset = key.split("/")[0]
    accepting = {"unattributed": {"accept": True, "reason": "machines only"}}
    world.declare(*worlds.DATASETS, *MORE)
    of_before(world, key, content)
    for who in (DORA, DORA):
        done = world.erased(who)
        assert (done.state, done.detail["unattributed"]) == ("partial", [{"dataset": dataset, "files": 1}])
    assert world.erased(ANNA).state != "completed"
    assert [note["reason"]["S"] for note in world.notes()] == [reason]
    world.declare(*[d | (accepting if d["name"] == dataset else {}) for d in (*worlds.DATASETS, *MORE)])
    done = world.erased(DORA)
    assert done.state == "completed"
    assert done.detail["unattributed"] == [{"dataset": dataset, "files": 1, "accepted": "machines only"}]
    assert not {"missing-note", "stale-note"} & kinds(world, reindex(world)).keys()
    assert world.contents(key) == [content]


def test_a_note_of_a_later_release_counts_until_it_is_made_anew(world: "World") -> None:
    world.put("answers/a", ANNAS)
    (note,) = world.notes()
    later = {**note, "reason": {"S": "of-a-later-release"}, "part": {"S": "some"}}
    world.dynamodb.put_item(TableName=worlds.TABLE, Item=later)
    assert world.erased(DORA).state == "partial"
    (listed,) = unattributed_files.page(sessions.open_vault(world.customer, "list"), None, None, 9).files
    assert (listed["key"], listed["reason"], listed["part"]) == ("answers/a", "damaged", "all")
    assert kinds(world, reindex(world)) == {"stale-note": 1}
    assert world.notes()[0]["reason"]["S"] == "no-field"


def test_what_an_older_release_noted_of_archived_files_goes(world: "World") -> None:
    key = "feedback/anna-sousa.jsonl"
    world.put(key, row(CARL), indexed=False, StorageClass="GLACIER")
    world.events.clear()
    for item in (f"object#{key}", "object#feedback/gone.jsonl"):
        world.dynamodb.put_item(TableName=worlds.TABLE, Item={
            **vault_items.key("archived", item), "key": {"S": item[7:]}, "dataset": {"S": "feedback"},
            "version_id": {"S": "v"},
        })  # fmt: skip
    for item in world.items():
        if item["sk"]["S"].startswith("index#"):
            world.dynamodb.put_item(TableName=worlds.TABLE, Item={**item, "reading": {"S": "00"}})
    reindex(world, dry_run=True)
    assert world.erased(DORA).state == "partial"
    reindex(world)
    assert not [item for item in world.items() if item["pk"]["S"] == "archived"]
    assert world.erased(DORA).state == "partial"


def test_notes_of_a_dataset_that_came_to_be_scanned_end_with_the_next_run(world: "World") -> None:
    world.put("feedback/a", b"[" + row(ANNA).strip() + b"]\n")
    assert world.erased(DORA).state == "partial"
    world.declare(*[d | {"index": "scan"} if d["name"] == "feedback" else d for d in worlds.DATASETS])
    world.put("feedback/a", row(CARL))
    request = world.erase(DORA)
    world.run()
    assert (world.request(request).state, world.notes()) == ("completed", [])
