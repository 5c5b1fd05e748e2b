"""Values of corrections do not outlive their subject's erasure, wherever calls and runs break off."""

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from privacy.identifiers import moment_of, uuid7
from privacy.requests.run_lock import RunLock
from privacy.run import work as run_work
from privacy.vault import request_items, sessions

from ..support.world import MACHINE

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"
CHANGES = [{"dataset": "feedback", "set": {"author.name": "Anna Oldname"}}]


def row(person: str, name: str = "?") -> bytes:
    return b'{"author":{"email":"%s","name":"%s"}}\n' % (person.encode(), name.encode())


def failed_correction(world: "World") -> tuple[str, str]:
    """A correction of Anna whose run failed, and that run."""
    world.put("feedback/a", row(ANNA) + row(BOB))
    correction, run = world.correct(ANNA, CHANGES), uuid7()
    world.plan(run)
    world.complete(run, error="States.Timeout", step="visit")
    assert world.request(correction).state == "failed"
    assert kept(world) == 1
    return correction, run


def kept(world: "World") -> int:
    """How many corrections' values are in the vault."""
    return json.dumps(world.items(), default=str).count("Oldname")


def erased(world: "World") -> None:
    request = world.erase(ANNA)
    world.run()
    assert world.deliver() == []
    assert world.request(request).state == "completed"


def put_new_data(world: "World") -> None:
    time.sleep(1.1)  # S3 tells whole seconds
    world.put("feedback/new", row(ANNA, "Anna Newlife"))


def redrive(world: "World", run: str) -> dict[str, Any]:
    return world.call("redrive_run", {"customer": "acme", "run_id": run})


def test_an_erasure_takes_what_was_kept_to_redrive_an_older_correction(world: "World") -> None:
    failed_correction(world)
    erased(world)
    assert kept(world) == 0


def test_a_correction_that_failed_before_an_erasure_is_not_redriven(world: "World") -> None:
    correction, run = failed_correction(world)
    erased(world)
    put_new_data(world)
    answer = redrive(world, run)
    assert (answer["requests"], answer["superseded"]) == (0, 1)
    assert world.request(correction).state == "failed"
    assert world.read("feedback/new") == row(ANNA, "Anna Newlife")


def test_an_erasure_that_comes_while_a_correction_is_redriven_takes_its_values(world: "World") -> None:
    """The redrive has looked for later requests already when the erasure is made, planned and done."""
    correction, run = failed_correction(world)
    reopen = type(world.requests).reopen

    def late(store: Any, customer: str, request: str, run_id: str) -> bool:  # noqa: ANN401
        erased(world)
        put_new_data(world)
        return reopen(store, customer, request, run_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(world.requests), "reopen", late)
        assert redrive(world, run)["requests"] == 1
    world.run()
    assert world.request(correction).state == "completed"
    assert world.read("feedback/new") == row(ANNA, "Anna Newlife")
    assert kept(world) == 0


def test_a_correction_that_waited_while_its_subject_was_erased_changes_nothing_new(world: "World") -> None:
    """Its call began before the erasure, and put the request on record after it."""
    world.put("feedback/a", row(ANNA))
    request_id = uuid7()
    opened, ref = sessions.open_vault(world.customer, "intake"), world.ref(ANNA)
    erased(world)
    put_new_data(world)
    request_items.put_changes(opened, [ref], request_id, json.dumps(CHANGES))
    world.requests.create(
        "acme", type="correction", refs=[ref], request_id=request_id, received_at=moment_of(request_id)
    )
    run = uuid7()
    world.plan(run)
    assert kept(world) == 0
    world.complete(run, error="States.Timeout", step="visit")
    assert kept(world) == 0
    assert world.read("feedback/new") == row(ANNA, "Anna Newlife")


def test_a_correction_of_what_came_after_an_erasure_is_carried_out(world: "World") -> None:
    world.put("feedback/a", row(ANNA))
    erased(world)
    put_new_data(world)
    correction = world.correct(ANNA, CHANGES)
    world.run()
    assert world.request(correction).state == "completed"
    assert world.read("feedback/new") == row(ANNA, "Anna Oldname")


@pytest.mark.parametrize("erased_first", [True, False])
def test_what_is_asked_together_leaves_no_values_wherever_the_run_ends(
    world: "World", erased_first: bool
) -> None:
    world.put("feedback/a", row(ANNA) + row(BOB))
    if erased_first:
        requests = [world.erase(ANNA), world.correct(ANNA, CHANGES)]
    else:
        requests = [world.correct(ANNA, CHANGES), world.erase(ANNA)]
    run = RunLock(world.requests.table, MACHINE).start_run("acme")
    assert run is not None
    world.plan(run)
    assert kept(world) == 0
    world.complete(run, error="States.Timeout", step="visit")
    assert {world.request(request).state for request in requests} == {"failed"}
    redrive(world, run)
    world.run()
    assert [world.request(r).state for r in requests if world.request(r).type == "erasure"] == ["completed"]
    assert world.contents("feedback/a") == [row(BOB)]
    assert kept(world) == 0


def test_a_plan_that_is_made_again_finds_the_correction_answered(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan ends between the erasure's tombstone and the writing of visits."""
    world.put("feedback/a", row(ANNA) + row(BOB))
    correction, erasure = world.correct(ANNA, CHANGES), world.erase(ANNA)
    run = uuid7()
    with monkeypatch.context() as patch:
        patch.setattr(run_work, "files_below", lambda *_: 1 / 0)
        with pytest.raises(Exception, match="plan failed"):
            world.plan(run)
    planned = world.plan(run)
    world.visit(planned)
    world.call("verify_run", {"customer": "acme", "run_id": run})
    world.complete(run)
    assert {world.request(request).state for request in (correction, erasure)} == {"completed"}
    assert world.contents("feedback/a") == [row(BOB)]
    assert kept(world) == 0
