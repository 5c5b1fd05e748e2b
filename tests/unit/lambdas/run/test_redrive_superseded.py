"""A redriven erasure takes nothing of who was erased since and came back."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from privacy.vault import objects as vault_objects

from ..support.state_machine import TaskFailedError
from .test_redrive import ANNA, BOB, after_planning, execute, redrive, row

if TYPE_CHECKING:
    from ..support.world import World


@pytest.mark.parametrize("times", [1, 2])
def test_who_was_erased_since_and_came_back_keeps_what_is_new(world: "World", times: int) -> None:
    """However often the older erasure fails and is redriven; who was not erased since is erased by it."""
    carl = "carl@example.org"
    world.put("feedback/a.jsonl", row(ANNA) + row(BOB) + row(carl))
    world.put_record("1", ANNA, name="Anna")
    older = world.erase(ANNA, carl)
    failed = execute(world, after_planning)
    newer = world.erase(ANNA)
    execute(world)
    assert world.request(newer).state == "completed"
    erased_at = tombstone_of(world, ANNA)
    world.past_the_second()
    world.put("feedback/new.jsonl", row(ANNA, "new life") + row(carl))
    world.put_record("2", ANNA, name="Anna anew")
    for _ in range(times - 1):
        redrive(world, failed)
        failed = execute(world, after_planning)
    redrive(world, failed)
    execute(world)

    assert world.request(older).state == "completed"
    assert world.read("feedback/new.jsonl") == row(ANNA, "new life")
    assert world.read("feedback/a.jsonl") == row(BOB)
    assert "record#profiles/2" in world.partition(ANNA)
    # Neither tombstone nor ledger say that she was erased again.
    assert tombstone_of(world, ANNA) == erased_at
    named = [
        entry["erased_at"]
        for entry in world.evidence("ledger").values()
        for erasure in entry["erasures"]
        if world.ref(ANNA) in erasure["subjects"]
    ]
    assert max(named) == erased_at


def test_what_an_earlier_version_has_redriven_is_superseded_as_well(world: "World") -> None:
    """It waits when the new version comes, and says only from which run it was redriven last."""
    world.put("feedback/a.jsonl", row(ANNA) + row(BOB))
    older = world.erase(ANNA)
    failed = execute(world, after_planning)
    world.erase(ANNA)
    execute(world)
    world.past_the_second()
    world.put("feedback/new.jsonl", row(ANNA, "new life"))
    redrive(world, failed)
    for item in world.dynamodb.scan(TableName=world.requests.table)["Items"]:
        if "first_failed_in" in item:
            world.dynamodb.update_item(
                TableName=world.requests.table,
                Key={name: item[name] for name in ("pk", "sk")},
                UpdateExpression="REMOVE first_failed_in",
            )
    execute(world)
    assert world.request(older).state == "completed"
    assert world.read("feedback/new.jsonl") == row(ANNA, "new life")


def tombstone_of(world: "World", person: str) -> str:
    """The instant of the person's tombstone."""
    pk = f"subject#{world.ref(person)}"
    (found,) = [i for i in world.items() if (i["pk"]["S"], i["sk"]["S"]) == (pk, "erased")]
    return str(found["erased_at"]["S"])


def test_older_versions_that_the_failed_run_left_go_although_a_later_erasure_knew_nothing_of_them(
    world: "World",
) -> None:
    """Her rows were gone from the index, so that the later erasure did not look at the file."""
    world.put("feedback/a.jsonl", row(ANNA) + row(BOB))
    older = world.erase(ANNA)
    cut = cut_short_before_the_purge(world)
    world.deliver()
    newer = world.erase(ANNA)
    execute(world)
    world.past_the_second()
    world.put("feedback/a.jsonl", row(ANNA, "new life"))
    redrive(world, cut)
    execute(world)
    assert [world.request(each).state for each in (older, newer)] == ["completed", "completed"]
    assert world.contents("feedback/a.jsonl") == [row(ANNA, "new life")]


def cut_short_before_the_purge(world: "World") -> str:
    """Have a run fail that has rewritten a file and not yet deleted the older version; return its id."""
    with pytest.MonkeyPatch.context() as patch:

        def refused(*_: object) -> None:
            raise TaskFailedError("s3.DeleteObjects.AccessDenied")

        patch.setattr(vault_objects, "purge", refused)
        before = world.versions()
        run = execute(world)
    world.notify_differences(before)
    return run


def test_a_later_erasure_that_failed_stands_for_nothing(world: "World") -> None:
    world.put("feedback/a.jsonl", row(ANNA) + row(BOB))
    older = world.erase(ANNA)
    failed = execute(world, after_planning)
    world.erase(ANNA)
    execute(world, after_planning)
    world.put("feedback/b.jsonl", row(ANNA))
    redrive(world, failed)
    execute(world)
    assert world.request(older).state == "completed"
    assert world.partition(ANNA) == ["erased"]
    assert world.read("feedback/b.jsonl") == b""


@pytest.mark.parametrize("by", ["an erasure", "the replay, started again"])
def test_a_replays_request_that_is_redriven_takes_nothing_of_who_was_erased_since(
    world: "World", by: str
) -> None:
    world.put("feedback/a.jsonl", row(ANNA) + row(BOB))
    content = world.read("feedback/a.jsonl")
    world.erase(ANNA)
    execute(world)
    world.past_the_second()
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    world.put("feedback/a.jsonl", content)
    start = {"input": {"customer": "acme", "restored_from": moment}}
    world.call("replay_erasures", start)
    failed = execute(world, after_planning)
    if by == "an erasure":
        world.erase(ANNA)
    else:
        world.call("replay_erasures", start)
    execute(world)
    world.past_the_second()
    world.put("feedback/new.jsonl", row(ANNA, "new life"))
    redrive(world, failed)
    execute(world)
    assert world.read("feedback/new.jsonl") == row(ANNA, "new life")
    assert world.contents("feedback/a.jsonl") == [row(BOB)]
