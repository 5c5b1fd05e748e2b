"""Replay and redrive, with each of their AWS calls going wrong, or something happening before it.

Whatever it is: who was to be erased is, what is new of who came back stays, and so does everybody else's.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from privacy.customers.registry import destruction_key
from privacy.identifiers import uuid7
from privacy.requests import store as request_store
from privacy.requests.run_lock import RunLock
from privacy.run import plan as run_plan
from privacy.run import work as run_work
from privacy.vault import items as vault_items
from privacy.vault import sessions
from tests import properties

from ..contracts.disturbed import OneByOne
from ..support import snapshots
from ..support.faults import Fault, Faults, Killed, thinned
from ..support.world import MACHINE, REGISTRY

if TYPE_CHECKING:
    from ..support.world import World

pytestmark = pytest.mark.faults

ANNA, BOB, CARA = "anna@example.org", "bob@example.org", "cara@example.org"
DORA = "dora@example.org"
NEW, OTHERS = "feedback/new.jsonl", "feedback/other.jsonl"
ATTEMPTS = 6
"""How often a step is called: once more than Step Functions would for any error of one call."""

FLOORS = {"replay": 350, "redrive": 275}
"""Faults and actions there are at least."""


def row(email: str, text: str = "") -> bytes:
    return json.dumps({"author": {"email": email}, "text": text}).encode() + b"\n"


@dataclass
class Play:
    """A world in which erasures are repeated: of a replay from a `moment`, or of the `run` that `failed` in.

    `called` are the functions of the AWS calls so far.
    """

    world: "World"
    faults: Faults
    moment: str = ""
    run: str = ""
    failed: str = ""
    frozen: bool = False
    called: list[str] = field(default_factory=list)

    def step(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        """Call a function in a new process until it succeeds, as whoever calls it does."""
        for _ in range(ATTEMPTS):
            self.world.functions.restart()
            sessions.forget()
            before = len(self.faults.calls)
            try:
                with suppress(Exception, Killed), self.faults.function():
                    return self.world.call(function, event)
            finally:
                self.called += [function] * (len(self.faults.calls) - before)
        return {}

    def replay(self) -> None:
        """Carry out the replay, and the runs that it asks for."""
        step: dict[str, Any] = {"customer": "acme", "restored_from": self.moment}
        while step and not step.get("done"):
            step = self.step("replay_erasures", {"input": step})
        self.settle()

    def redrive(self) -> None:
        """Redrive the failed run, and carry out the run that follows."""
        self.step("redrive_run", {"customer": "acme", "run_id": self.run})
        self.settle()

    def settle(self) -> None:
        while self.world.requests.pending("acme", 1):
            run = uuid7()
            before = self.world.versions()
            planned = self.step("plan_run", {"customer": "acme", "run_id": run})
            if not planned:  # the contract is over
                return
            self.world.visit(planned)
            self.world.call("verify_run", {"customer": "acme", "run_id": run})
            self.world.complete(run)
            self.world.notify_differences(before)
            assert self.world.deliver() == []

    # -- what happens meanwhile

    def come_back(self) -> None:
        """Anna sends something new: she has been erased by now. Then somebody else is: the ledger grows."""
        self.world.put(NEW, row(ANNA, "new life") + row(BOB))
        self.world.erase(CARA)
        self.settle()

    def another_replay(self) -> None:
        """Another execution of the same replay does everything, and Anna comes back."""
        self.replay()
        self.come_back()

    def another_redrive(self) -> None:
        self.redrive()
        self.come_back()

    def erase_again(self) -> None:
        """She is asked to be erased once more and is, and comes back."""
        self.world.erase(ANNA)
        self.settle()
        self.world.past_the_second()  # what is sent in the second of an erasure passes for older
        self.come_back()

    def redeploy(self) -> None:
        """A deployment with another dataset."""
        more = [{"name": "polls", "format": "jsonl", "prefix": "polls/", "subject": "id", "personal": {}}]
        self.world.declare(*self.datasets(), *more)

    def upload(self) -> None:
        self.world.put(OTHERS, row(DORA))

    def freeze(self) -> None:
        """The contract's end comes as far as its first step."""
        mark = {"state": {"S": "destroying"}, "since": {"S": "2026-01-01T00:00:00Z"}}
        self.frozen = True
        self.world.dynamodb.put_item(TableName=REGISTRY, Item={"pk": {"S": destruction_key("acme")}, **mark})
        RunLock(self.world.requests.table, MACHINE).hold_for_contract_end("acme")

    def datasets(self) -> list[dict[str, Any]]:
        item = self.world.dynamodb.get_item(TableName=REGISTRY, Key={"pk": {"S": "customer#acme"}})["Item"]
        found: list[dict[str, Any]] = json.loads(item["datasets"]["S"])
        return found

    # -- what has to be so at the end

    def check(self) -> None:
        world = self.world
        if self.frozen:
            world.call("sweep_runs", {})
            assert world.requests.pending("acme", 9, waiting=True) == []
            assert BOB.encode() in world.read("feedback/a.jsonl")
            return
        assert world.requests.pending("acme", 9, waiting=True) == []
        everything = {key: b"".join(world.contents(key)) for key in {key for key, _, _ in world.versions()}}
        assert {key for key, content in everything.items() if ANNA.encode() in content} == {NEW}
        assert world.contents("feedback/a.jsonl") == [row(BOB)]
        assert everything.get(OTHERS, row(DORA)) == row(DORA)
        assert world.read(NEW) == row(ANNA, "new life") + row(BOB)
        assert not self.failed or world.request(self.failed).state == "completed"
        assert f"object#{NEW}" in world.partition(ANNA)


@pytest.fixture
def play(world: "World", monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    for module in (request_store, vault_items):
        monkeypatch.setattr(module, "pause", lambda _: None)
    for module in (run_plan, run_work):
        monkeypatch.setattr(module, "ThreadPoolExecutor", lambda max_workers: OneByOne(max_workers))
    faults = Faults()
    with faults.installed():
        yield Play(world, faults)


def restored(play: Play) -> None:
    """Anna and Cara were erased; Anna's file was put back."""
    world = play.world
    world.put("feedback/a.jsonl", row(ANNA) + row(BOB))
    back = world.read("feedback/a.jsonl")
    for person in (ANNA, CARA):
        world.erase(person)
        world.run()
        assert world.deliver() == []
    world.past_the_second()
    play.moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    world.put("feedback/a.jsonl", back)


def failed(play: Play) -> None:
    """Anna's erasure failed."""
    world = play.world
    world.put("feedback/a.jsonl", row(ANNA) + row(BOB))
    play.failed, play.run = world.erase(ANNA, CARA), uuid7()
    world.plan(play.run)
    world.complete(play.run, error="States.Timeout", step="visit")


def meanwhile(play: Play, *, during: str, in_between: list[str], always: list[str]) -> dict[str, int]:
    """Carry out `during` with one thing after the other going wrong, or happening; return how many.

    What `in_between` names has runs of its own, which never come while another one is planned.
    """
    world, carry_out = play.world, getattr(play, during)
    world.dynamodb.put_item(TableName=REGISTRY, Item={"pk": {"S": "customers"}, "ids": {"S": '["acme"]'}})
    before, customer = snapshots.take(), world.customer
    play.faults.calls.clear()
    play.called.clear()
    carry_out()
    functions, calls = list(play.called), list(play.faults.calls)
    assert len(functions) == len(calls)

    def again(number: int, what: Fault | str) -> None:
        snapshots.put_back(before)
        world.customer, play.frozen = customer, False
        world.events.clear()
        came_back = what in in_between
        if isinstance(what, Fault):
            play.faults.choose(number, what)
        else:
            play.faults.before(number, getattr(play, what))
        carry_out()
        assert play.faults.struck
        if not came_back and not play.frozen:
            play.come_back()
            carry_out()
        try:
            play.check()
        except AssertionError as error:
            place = f"call {number}, {calls[number]} of {functions[number]}"
            raise AssertionError(f"{what} at {place}") from error

    points = [
        (functions, number, fault)
        for number, operation in enumerate(calls)
        for fault in Fault
        if fault.applies_to(operation, number)
    ]
    for _, number, fault in thinned(points):
        again(number, fault)
    happenings = [
        (number, action)
        for action in (*in_between, *always)
        for number in range(len(calls))
        if action in always or functions[number] != "plan_run"
    ]
    for number, action in happenings:
        if properties.soaking() or number % 5 == 0:
            again(number, action)
    return {"faults": len(points), "actions": len(happenings)}


def test_a_replay_ends_the_same_whatever_happens(play: Play) -> None:
    restored(play)
    always = ["redeploy", "upload", "freeze"]
    counted = meanwhile(play, during="replay", in_between=["another_replay"], always=always)
    assert sum(counted.values()) >= FLOORS["replay"], counted


def test_a_redrive_ends_the_same_whatever_happens(play: Play) -> None:
    failed(play)
    in_between, always = ["another_redrive", "erase_again"], ["redeploy", "upload", "freeze"]
    counted = meanwhile(play, during="redrive", in_between=in_between, always=always)
    assert sum(counted.values()) >= FLOORS["redrive"], counted
