"""A contract's end with each AWS call going wrong once in each way: the end is always the same."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from privacy.requests.run_lock import CONTRACT_END, RunLock
from tests import properties

from ..support import destroyed_state
from ..support.contract_region import ENDED, MACHINE, NOTHING, REQUESTS, STEPS, Region
from ..support.faults import Fault, thinned
from ..support.state_machine import Execution
from .disturbed import World, disturbed

pytestmark = pytest.mark.faults

CHUNKS = 4
FLOOR = 520
"""Fault points there are at least, all kinds counted."""

FLOOR_HELD = 52

MOST_STEPS = 60
FUNCTIONS = set(STEPS.values()) - {"take_inventory", "keep_key"}
HELD = {"confirm_key_deletion", "keep_key"}
"""Functions that are called where a hold comes while the key waits for its end."""


@pytest.fixture
def world(region: Region, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with disturbed(region, monkeypatch) as made:
        yield made


@dataclass(frozen=True)
class Moment:
    """The moment before the undisturbed execution went on; the function called then, and its calls."""

    saved: Any
    view: str
    counted: dict[str, int]
    function: str | None
    calls: tuple[str, ...]


def undisturbed(world: World, execution: Execution | None = None) -> list[Moment]:
    """Carry out an execution to its end; return all of its moments, the end as the last."""
    moments, execution = [], execution or world.start()
    while execution.status == "RUNNING":
        saved, view, counted = (
            destroyed_state.save(execution),
            world.view(execution),
            destroyed_state.counted(),
        )
        world.faults.calls.clear()
        world.invoked = None
        world.advance(execution)
        moments.append(Moment(saved, view, counted, world.invoked, tuple(world.faults.calls)))
    assert execution.status == "SUCCEEDED"
    end = Moment(destroyed_state.save(execution), world.view(execution), destroyed_state.counted(), None, ())
    return [*moments, end]


def points_of(
    moments: list[Moment], floor: int, functions: set[str] = FUNCTIONS
) -> list[tuple[Moment, int, Fault]]:
    """Every kind of fault at every call."""
    places = [moment for moment in moments if moment.calls]
    assert {moment.function for moment in places} == functions
    points = [
        (moment, number, fault)
        for moment in places
        for number, operation in enumerate(moment.calls)
        for fault in Fault
        if fault.applies_to(operation, number)
    ]
    assert len(points) >= floor
    return thinned(points)


def deviation(world: World, execution: Execution, moments: list[Moment]) -> str | None:
    """Go on to the end; return what is different there, or None.

    Once nothing tells the region any more from the undisturbed one at some moment, they go the same way.
    """
    known = {moment.view: moment for moment in moments}
    for _ in range(MOST_STEPS):
        world.advance(execution)
        assert world.faults.struck
        view = world.view(execution)
        if view in known:
            most = known[view].counted
            over = {kind: n for kind, n in destroyed_state.counted().items() if n > most.get(kind, 0)}
            return f"counted more than was deleted: {over}" if over else None
    return f"it ends otherwise: {view}\n\nnot: {moments[-1].view}"


def what(moment: Moment, number: int, fault: Fault) -> str:
    return f"{fault.name} at call {number} ({moment.calls[number]}) of {moment.function}"


def test_undisturbed_nothing_is_left(world: World) -> None:
    before = destroyed_state.neighbour(world.region)
    undisturbed(world)
    assert world.region.contents("acme") == NOTHING | {"key": "Gone"}
    assert destroyed_state.neighbour(world.region) == before
    destruction = world.region.registry.destruction("acme")
    assert destruction is not None
    assert destruction.state == "destroyed"
    stages = [key.rpartition("/")[2] for key in world.region.evidence()]
    assert sorted(stages) == ["destroyed.json", "scheduled.json"]
    assert world.region.requests.pending("acme", 1) == []
    active = RunLock(REQUESTS, MACHINE).active_run("acme")
    assert active is not None
    assert active.run_id == CONTRACT_END
    assert destroyed_state.counted() == {"versions": 8, "markers": 1, "uploads": 2}


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_call_that_goes_wrong_changes_nothing_in_the_end(
    world: World, chunk: int, record_testsuite_property: Callable[[str, object], None]
) -> None:
    before = destroyed_state.neighbour(world.region)
    moments = undisturbed(world)
    deviations, covered = [], 0
    for moment, number, fault in points_of(moments, FLOOR)[chunk::CHUNKS]:
        execution = destroyed_state.put_back(moment.saved)
        world.faults.choose(number, fault)
        other = deviation(world, execution, moments)
        if other is not None:
            deviations.append(f"{what(moment, number, fault)}: {other}")
        assert destroyed_state.neighbour(world.region) == before
        covered += 1
    record_testsuite_property(f"fault points: a contract's end, {chunk}", covered)
    assert not deviations, "\n".join(deviations)


def test_a_call_that_goes_wrong_keeps_no_key_from_being_kept(
    world: World, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """A hold comes while the key waits for its end."""
    execution = world.region.carry_out(world.start())
    world.region.register("acme", contract_ends=ENDED, hold="litigation, case 1")
    world.held = True
    before = destroyed_state.neighbour(world.region)
    moments = undisturbed(world, execution)
    assert world.region.contents("acme")["key"] == "Disabled"
    assert "key-kept" in moments[-1].view
    deviations, covered = [], 0
    for moment, number, fault in points_of(moments, FLOOR_HELD, HELD):
        execution = destroyed_state.put_back(moment.saved)
        world.faults.choose(number, fault)
        other = deviation(world, execution, moments)
        if other is not None:
            deviations.append(f"{what(moment, number, fault)}: {other}")
        assert destroyed_state.neighbour(world.region) == before
        covered += 1
    record_testsuite_property("fault points: a hold while the key waits", covered)
    assert not deviations, "\n".join(deviations)


def test_a_failed_execution_is_started_again_and_ends_the_same(world: World) -> None:
    """A function ends after one of its calls, and fails whenever it is called again, until a new start."""
    before = destroyed_state.neighbour(world.region)
    moments = undisturbed(world)
    every_call = properties.soaking()
    deviations, started = [], 0
    for moment in moments:
        for number in range(0 if every_call else max(len(moment.calls) - 1, 0), len(moment.calls)):
            execution = destroyed_state.put_back(moment.saved)
            world.faults.choose(number, Fault.KILLED_AFTER)
            world.advance(execution)
            world.broken = moment.function
            while execution.status == "RUNNING":
                world.advance(execution)
            world.broken = None
            if execution.status == "SUCCEEDED":  # the call was answered with an error, as it is to be
                continue
            started += 1
            other = deviation(world, world.start(), moments)
            if other is not None:
                deviations.append(f"{what(moment, number, Fault.KILLED_AFTER)}: {other}")
            assert destroyed_state.neighbour(world.region) == before
    assert not deviations, "\n".join(deviations)
    assert started >= len({moment.function for moment in moments if moment.calls})
