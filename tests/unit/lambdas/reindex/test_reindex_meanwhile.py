"""What is uploaded, erased and indexed while a reindex compares."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from components.machines.reindex import reindex_definition
from privacy import timestamps
from privacy.identifiers import uuid7
from privacy.reindex import plan as reindex_plan
from privacy.reindex import report as reindex_report
from privacy.vault import items as vault_items
from privacy.vault import objects as vault_objects
from privacy.vault import tombstones

from ..support.reindexing import (
    ANNA,
    BOB,
    HOUR,
    STEPS,
    change,
    fresh,
    index,
    kinds,
    lose_entries,
    reindex,
    row,
)
from ..support.state_machine import Execution

if TYPE_CHECKING:
    from ..support.world import World


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
    execution = Execution.start(reindex_definition(STEPS, 2), uuid7(), {"customer": "acme"})
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
    done = output
    assert kinds(world, done) == {"missing-entry": 6, "wrong-entry": 4, "unmarked-version": 7}
    assert done["counts"]["objects"] == 7
    assert done["counts"]["remaining"] == 0
    assert [item for item in world.items() if item["pk"]["S"].startswith("reindex#")] == []
    mended = index(world)
    assert mended == fresh(world)


def test_a_late_arrival_in_an_older_version_leaves_the_current_ones_mark(world: "World") -> None:
    world.put("feedback/a.jsonl", row(ANNA, BOB), indexed=False)
    world.events.clear()
    world.past_the_second()
    world.erase(ANNA)
    world.run()
    world.past_the_second()
    world.put("feedback/a.jsonl", row(BOB))
    (mark,) = [item for item in world.items() if item["sk"]["S"] == "indexed"]
    reindex(world)
    assert [item for item in world.items() if item["sk"]["S"] == "indexed"] == [mark]
    world.run()
    assert world.deliver() == []
    assert world.contents("feedback/a.jsonl") == [row(BOB)]
    assert reindex(world, dry_run=True)["counts"]["differences"] == {}
