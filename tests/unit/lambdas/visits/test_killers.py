"""Visits that take their function down with them, every time: the others of their batch get done."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from components.machines.run import RunSteps, run_definition
from privacy.identifiers import uuid7
from privacy.run import plan as run_plan
from privacy.vault import objects as vault_objects
from privacy.visits import batch
from privacy.visits.batch import Visitor

from ..support.state_machine import Execution, TaskFailedError

if TYPE_CHECKING:
    from privacy.visits.visit import Visit

    from ..support.world import World

ANNA = "anna@example.org"
STEPS = RunSteps(plan="plan_run", visit="visit_objects", verify="verify_run", complete="complete_run")
VISITS = 7


class Died(BaseException):
    """The function's process is gone: nothing in it may catch this."""


def row(person: str) -> bytes:
    return b'{"author": {"email": "%s"}}\n' % person.encode()


def execute(
    world: "World",
    *,
    died_of: str = "Runtime.OutOfMemory",
    no_room_after_a_death: int = 0,
) -> Execution:
    """Carry out one run as its state machine says, with functions that may die.

    After each death Lambda has so many times no room for the next call.
    """
    full = 0

    def invoke(function: str, event: dict[str, Any]) -> object:
        nonlocal full
        if full:
            full -= 1
            raise TaskFailedError("Lambda.TooManyRequestsException")
        try:
            return world.call(function, event)
        except Died:
            full = no_room_after_a_death
            raise TaskFailedError(died_of) from None
        except Exception as error:
            raise TaskFailedError(type(error).__name__) from error

    execution = Execution.start(run_definition(STEPS, 2), "acme-run", {"customer": "acme", "run_id": uuid7()})
    for _ in range(100):
        execution.advance(invoke)
        if execution.status != "RUNNING":
            return execution
    raise AssertionError("the run does not end")


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have the visits of these numbers end their function."""
    original = Visitor._carry_out

    def killing(*numbers: int) -> None:
        def carry_out(visitor: Visitor, visit: "Visit") -> None:
            if visit.number in numbers:
                raise Died
            original(visitor, visit)

        monkeypatch.setattr(Visitor, "_carry_out", carry_out)

    return killing


def furnish(world: "World") -> list[str]:
    """Seven files, each about somebody else; the requests, in the order of the visits."""
    for number in range(VISITS):
        world.put(f"feedback/{number}.jsonl", row(f"{number}@example.org") + row(ANNA))
    return [world.erase(f"{number}@example.org") for number in range(VISITS)]


def give_time_for(monkeypatch: pytest.MonkeyPatch, visits: int) -> None:
    """Let each call of the function have time for so many visits."""
    carry_out, visit_batch = Visitor._carry_out, Visitor.visit_batch
    left = 0

    def counted(visitor: Visitor, visit: "Visit") -> None:
        nonlocal left
        left -= 1
        carry_out(visitor, visit)

    def bounded(visitor: Visitor, first: int, last: int, _: object, *, backward: bool) -> object:
        nonlocal left
        left = visits
        return visit_batch(visitor, first, last, lambda: left, backward=backward)

    monkeypatch.setattr(batch, "RESERVE_MILLISECONDS", 1)
    monkeypatch.setattr(Visitor, "_carry_out", counted)
    monkeypatch.setattr(Visitor, "visit_batch", bounded)


@pytest.mark.parametrize("killer", range(VISITS))
def test_one_killer_costs_its_own_requests_only(
    world: "World", kill: Callable[..., None], killer: int
) -> None:
    requests = furnish(world)
    kill(killer)
    assert execute(world).status == "SUCCEEDED"
    states = [world.request(request).state for request in requests]
    assert states == ["failed" if number == killer else "completed" for number in range(VISITS)]
    detail = world.request(requests[killer]).detail
    assert detail is not None
    problem = detail["problems"][0]
    assert (problem["reason"], problem["error"]) == ("visit-not-done", "Runtime.OutOfMemory")


@pytest.mark.parametrize("times", [1, 2, 9])
def test_a_killer_costs_no_more_where_lambda_has_no_room_for_some_calls(
    world: "World", kill: Callable[..., None], times: int
) -> None:
    """A call for which there was no room is no attempt: both ways through the batch are gone all the same."""
    requests = furnish(world)
    kill(3)
    assert execute(world, no_room_after_a_death=times).status == "SUCCEEDED"
    states = [world.request(request).state for request in requests]
    assert states == ["failed" if number == 3 else "completed" for number in range(VISITS)]


def test_several_killers_cost_themselves_and_what_lies_between(
    world: "World", kill: Callable[..., None]
) -> None:
    requests = furnish(world)
    kill(2, 4)
    execute(world, died_of="Sandbox.Timedout")
    states = [world.request(request).state for request in requests]
    assert states == ["completed", "completed", "failed", "failed", "failed", "completed", "completed"]
    for request in requests[2:5]:
        detail = world.request(request).detail
        assert detail is not None
        assert detail["problems"][0]["error"] == "Sandbox.Timedout"


def test_a_killer_in_one_batch_leaves_the_other_batches_alone(
    world: "World", kill: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_plan, "BATCH_VISITS", 2)
    requests = furnish(world)
    kill(2)
    execute(world)
    assert [world.request(request).state for request in requests].count("failed") == 1


def test_a_failure_that_a_visit_noted_itself_is_not_written_over(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = furnish(world)
    original = vault_objects.read

    def read(vault: Any, key: str, **more: Any) -> object:  # noqa: ANN401
        if key == "feedback/1.jsonl":
            raise vault_objects.ObjectChangedError
        if key == "feedback/3.jsonl":
            raise Died
        return original(vault, key, **more)

    monkeypatch.setattr(vault_objects, "read", read)
    execute(world)
    details = [world.request(requests[number]).detail for number in (1, 3)]
    errors = [detail["problems"][0]["error"] for detail in details if detail]
    assert errors == ["ObjectChangedError", "Runtime.OutOfMemory"]


@pytest.mark.parametrize("enough_for", [1, 2, 3])
@pytest.mark.parametrize("killer", [None, 0, 3, 6])
def test_short_times_and_a_killer_together_leave_nothing_else_undone(
    world: "World",
    kill: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    enough_for: int,
    killer: int | None,
) -> None:
    """Each call has time for a few visits; the batch is gone through in both directions."""
    requests = furnish(world)
    if killer is not None:
        kill(killer)
    give_time_for(monkeypatch, enough_for)
    execute(world)
    states = [world.request(request).state for request in requests]
    assert states == ["failed" if number == killer else "completed" for number in range(VISITS)]


def test_visits_that_fail_do_not_use_up_the_attempts_of_those_between(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = furnish(world)
    read = vault_objects.read

    def refused(vault: Any, key: str, **more: Any) -> object:  # noqa: ANN401
        if key in {"feedback/0.jsonl", "feedback/6.jsonl"}:
            raise vault_objects.ObjectChangedError
        return read(vault, key, **more)

    monkeypatch.setattr(vault_objects, "read", refused)
    give_time_for(monkeypatch, 2)
    execute(world)
    states = [world.request(request).state for request in requests]
    assert states == ["failed", *["completed"] * (VISITS - 2), "failed"]
