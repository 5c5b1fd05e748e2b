"""A customer whose data is being destroyed: nothing is asked for anew, what comes late ends `rejected`."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from privacy.aws.failures import StepFailedError
from privacy.customers.registry import destruction_key
from privacy.identifiers import uuid7
from privacy.requests.run_lock import RunLock
from privacy.run.replay import ReplayInputError

from ..support.world import MACHINE, REGISTRY

if TYPE_CHECKING:
    from ..support.world import World

ANNA = "anna@example.org"
MOMENT = "2026-01-01T00:00:00Z"


def freeze(world: "World") -> None:
    """Mark the customer and keep its lock, as the first step of a contract's end does."""
    mark = {"pk": {"S": destruction_key("acme")}, "state": {"S": "destroying"}, "since": {"S": MOMENT}}
    world.dynamodb.put_item(TableName=REGISTRY, Item=mark)
    RunLock(world.requests.table, MACHINE).hold_for_contract_end("acme")


def failed_run(world: "World") -> tuple[str, str]:
    world.put("feedback/a", json.dumps({"author": {"email": ANNA}}).encode() + b"\n")
    request, run = world.erase(ANNA), uuid7()
    world.plan(run)
    world.complete(run, error="States.Timeout", step="visit")
    return request, run


def everything(world: "World") -> list[Any]:
    tables = (world.customer.table, world.requests.table)
    found: list[Any] = [world.dynamodb.scan(TableName=table)["Items"] for table in tables]
    return found


def test_a_redrive_of_a_frozen_customer_is_refused(world: "World") -> None:
    request, run = failed_run(world)
    freeze(world)
    with pytest.raises(StepFailedError, match="customer: its contract is over"):
        world.call("redrive_run", {"customer": "acme", "run_id": run})
    assert world.request(request).state == "failed"


def test_a_replay_of_a_frozen_customer_is_refused(world: "World") -> None:
    world.erase(ANNA)
    world.run()
    freeze(world)
    before = everything(world)
    with pytest.raises(ReplayInputError, match="customer: its contract is over"):
        world.call("replay_erasures", {"input": {"customer": "acme", "restored_from": MOMENT}})
    assert everything(world) == before


@pytest.mark.parametrize("step", ["plan_reindex", "reindex_objects", "report_reindex", "clear_reindex"])
def test_a_reindex_of_a_frozen_customer_goes_no_further(world: "World", step: str) -> None:
    world.put("feedback/a", json.dumps({"author": {"email": ANNA}}).encode() + b"\n", indexed=False)
    event = {"customer": "acme", "reindex_id": "r-1", "dry_run": False, "first": "0", "last": "f"}
    freeze(world)
    before = everything(world)
    with pytest.raises(StepFailedError, match="contract is over"):
        world.call(step, {**event, "counts": {}, "input": {"customer": "acme"}})
    assert everything(world) == before


@pytest.mark.parametrize("late", ["a call that was let in before", "a redrive that was let in before"])
def test_what_comes_after_the_freeze_is_rejected_by_the_sweep(world: "World", late: str) -> None:
    world.dynamodb.put_item(
        TableName=REGISTRY, Item={"pk": {"S": "customers"}, "ids": {"S": json.dumps(["acme"])}}
    )
    if late.startswith("a call"):
        freeze(world)
        request = world.erase(ANNA)
    else:
        request, run = failed_run(world)
        freeze(world)
        assert world.requests.reopen("acme", request, run)
    world.call("sweep_runs", {})
    found = world.request(request)
    assert found.state == "rejected"
    assert found.detail == {"problems": [{"reason": "contract-ended"}], "problem_count": 1}
    assert world.requests.pending("acme", 1, waiting=True) == []
    assert world.executions() == 0
